"""Signatures: who wrote something, provable to anybody who has the public key.

Ed25519 (RFC 8032) with keys as JWK (RFC 8037). A key's id is its RFC 7638 thumbprint, so a key
cannot be passed off under the name of another. Keys are rotated by signing with a new one while the
public halves of the old ones stay known: what they signed stays valid.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

SIGNATURE_BYTES: Final = 64
KEYS_MAX: Final = 100


class SigningKeyError(ValueError):
    """A text is no Ed25519 key, or no set of them. Says nothing of what it holds."""


@dataclass(frozen=True, repr=False)
class SigningKey:
    """A private key that signs, and its public half."""

    key_id: str
    _private: Ed25519PrivateKey
    _public: dict[str, str]

    @classmethod
    def read(cls, text: str) -> "SigningKey":
        """Return the key in a private JWK; else `SigningKeyError`."""
        key = _okp(_json(text))
        private = key.private_key
        if not isinstance(private, Ed25519PrivateKey):
            raise SigningKeyError("a signing key is a private JWK of type OKP, curve Ed25519")
        return cls(key.thumbprint(), private, _public_part(key))

    def sign(self, content: bytes) -> bytes:
        """Return the signature of 64 bytes."""
        return self._private.sign(content)

    @property
    def public(self) -> "PublicKeys":
        """Return the public half alone."""
        return PublicKeys.of([self._public])


@dataclass(frozen=True)
class PublicKeys:
    """Public keys by their ids."""

    keys: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, jwks: Iterable[Any]) -> "PublicKeys":
        """Return the public halves of these JWKs; at most 100."""
        found = {}
        for jwk in jwks:
            key = _okp(jwk)
            if not isinstance(key.public_key, Ed25519PublicKey):
                raise SigningKeyError("a public key is a JWK of type OKP, curve Ed25519")
            found[key.thumbprint()] = _public_part(key)
            if len(found) > KEYS_MAX:
                raise SigningKeyError(f"more than {KEYS_MAX} keys")
        return cls(found)

    @classmethod
    def read(cls, text: str) -> "PublicKeys":
        """Return the keys in a JWK or a JWK set; else `SigningKeyError`."""
        value = _json(text)
        if "keys" not in value:
            return cls.of([value])
        if not isinstance(value["keys"], list):
            raise SigningKeyError("the keys of a JWK set are a list")
        return cls.of(value["keys"])

    def __or__(self, other: "PublicKeys") -> "PublicKeys":
        """Return the keys of both."""
        return PublicKeys({**self.keys, **other.keys})

    def to_json(self) -> str:
        """Return them as a JWK set, by their ids."""
        return json.dumps({"keys": [self.keys[key_id] for key_id in sorted(self.keys)]}, indent=2)

    def signed(self, key_id: str, signature: bytes, content: bytes) -> bool:
        """Whether the key of that id is known and signed this."""
        jwk = self.keys.get(key_id)
        if jwk is None or len(signature) != SIGNATURE_BYTES:
            return False
        public = _okp(jwk).public_key
        if not isinstance(public, Ed25519PublicKey):
            return False
        try:
            public.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise SigningKeyError("a key is a JSON object") from None
    if not isinstance(value, dict):
        raise SigningKeyError("a key is a JSON object")
    return value


def _okp(jwk: Any) -> OKPKey:
    if not isinstance(jwk, dict):
        raise SigningKeyError("a key is a JSON object")
    try:
        return OKPKey.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        raise SigningKeyError("it is no JWK of type OKP") from None


def _public_part(key: OKPKey) -> dict[str, str]:
    values = key.as_dict(private=False)
    return {
        "kty": "OKP",
        "crv": str(values["crv"]),
        "x": str(values["x"]),
        "kid": key.thumbprint(),
        "alg": "EdDSA",
        "use": "sig",
    }
