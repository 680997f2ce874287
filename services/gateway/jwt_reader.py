"""JSON Web Tokens of an issuer (RFC 7519, RFC 8725): believed only when all of it is right."""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry, extract_compact

ALGORITHMS: Final = ("RS256", "PS256", "ES256")
"""Asymmetric ones alone: neither `none` nor one that a public key could be a secret of."""

TOKEN_LENGTH_MAX: Final = 8_192
LEEWAY_SECONDS: Final = 30
SUBJECT_LENGTH_MAX: Final = 255
KEYS_MAX: Final = 50

Keys = KeySet
"""The keys of an issuer."""

_REGISTRY: Final = JWSRegistry(algorithms=list(ALGORITHMS))


class BadTokenError(Exception):
    """A token is not to be believed; the message says why, and nothing of what it holds."""


class UnknownKeyError(BadTokenError):
    """None of the keys has the id that the token names."""


def read_keys(body: bytes) -> KeySet:
    """Return the keys that sign in a key set (RFC 7517); `BadTokenError` where there is none."""
    try:
        listed = json.loads(body)["keys"]
        usable = [each for each in listed[:KEYS_MAX] if _signs(each)]
        if not usable:
            raise BadTokenError("the issuer has no keys")
        return KeySet.import_key_set({"keys": usable})
    except (ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
        raise BadTokenError("the issuer's keys cannot be read") from error


def _signs(key: Mapping[str, Any]) -> bool:
    return (
        key.get("kty") in {"RSA", "EC"}
        and key.get("use", "sig") == "sig"
        and isinstance(key.get("kid"), str)
        and key.get("alg", ALGORITHMS[0]) in ALGORITHMS
    )


def key_id_of(token: str) -> str:
    """Return the id of the key that a token names; `BadTokenError` where it names none."""
    if len(token) > TOKEN_LENGTH_MAX or token.count(".") != 2:  # noqa: PLR2004 - header.claims.signature
        raise BadTokenError("no token")
    try:
        header = extract_compact(token.encode(), registry=_REGISTRY).headers()
    except (ValueError, JoseError) as error:
        raise BadTokenError("no token") from error
    if header.get("alg") not in ALGORITHMS:
        raise BadTokenError("the algorithm is not allowed")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise BadTokenError("the token names no key")
    return key_id


def read_token(
    token: str, keys: KeySet, *, issuer: str, audience: str, now_seconds: int
) -> dict[str, Any]:
    """Return a token's claims; `BadTokenError` where it is forged, expired, or for another."""
    key_id = key_id_of(token)
    if all(key.kid != key_id for key in keys.keys):
        raise UnknownKeyError("the key is not one of the issuer's")
    try:
        claims = dict(jwt.decode(token, keys, registry=_REGISTRY).claims)
        jwt.JWTClaimsRegistry(
            now=now_seconds,
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(claims)
    except (ValueError, TypeError, JoseError) as error:
        raise BadTokenError(f"not good: {type(error).__name__}") from error
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX:
        raise BadTokenError("the subject is none")
    if not isinstance(claims.get("scope", ""), str):
        raise BadTokenError("the scope is no text")
    return claims
