"""Passwords and keys of an embedded environment: made once, kept in one file of mode 0600."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from joserfc.jwk import OKPKey

from devkit.data_directory import read_json, write_json
from runtime.ids import new_secret
from runtime.sealing import generate_sealing_key

SEALED_FOR: Final = ("catalog", "deployer", "revenue")
"""Services that values are sealed for, each with a key pair of its own."""
SIGNED_BY: Final = ("ledger", "revenue")
"""Services whose facts are sealed, each with a signing key of its own."""


@dataclass(frozen=True, repr=False)
class Secrets:
    """All secrets, by service where there is one per service; keys as JWK texts."""

    postgres_admin: str
    nats_admin: str
    databases: dict[str, str]
    bus: dict[str, str]
    master_keys: dict[str, str]
    sealing_private: dict[str, str]
    sealing_public: dict[str, str]
    signing_keys: dict[str, str]
    stripe_api_key: str
    stripe_webhook_secret: str


def load_or_make(path: Path, services: tuple[str, ...]) -> Secrets:
    """Return the secrets in `path`; those that it does not have yet are made and added."""
    found = read_json(path) if path.exists() else {}
    complete = _complete(found, services)
    if complete != found:
        write_json(path, complete)
    return Secrets(**complete)


def load(path: Path) -> Secrets:
    """Return the secrets in `path`, all of which must be there."""
    return Secrets(**read_json(path))


def _complete(found: dict[str, Any], services: tuple[str, ...]) -> dict[str, Any]:
    private = dict(found.get("sealing_private", {}))
    public = dict(found.get("sealing_public", {}))
    for service in SEALED_FOR:
        if service not in private:
            private[service], public[service] = generate_sealing_key()
    return {
        "postgres_admin": found.get("postgres_admin") or new_secret(),
        "nats_admin": found.get("nats_admin") or _new_bus_password(),
        "databases": _one_each(found.get("databases", {}), services),
        "bus": {
            service: found.get("bus", {}).get(service) or _new_bus_password()
            for service in services
        },
        "master_keys": _one_each(found.get("master_keys", {}), services),
        "sealing_private": private,
        "sealing_public": public,
        "signing_keys": _signing_keys(found),
        "stripe_api_key": found.get("stripe_api_key") or f"sk_test_{new_secret()}",
        "stripe_webhook_secret": found.get("stripe_webhook_secret") or f"whsec_{new_secret()}",
    }


def _one_each(found: dict[str, str], services: tuple[str, ...]) -> dict[str, str]:
    """A secret of 32 random bytes in base64url is a password as well as a 256-bit key."""
    return {service: found.get(service) or new_secret() for service in services}


def _new_bus_password() -> str:
    """Begins with a letter: NATS reads what comes from its environment as it reads its file.

    There `-x` is half a number, and `2026-11-21x` half a date.
    """
    return f"n{new_secret()}"


def _signing_keys(found: dict[str, Any]) -> dict[str, str]:
    """A key for each service whose facts are sealed; the ledger's was the first, and alone."""
    known = {"ledger": found.get("signing_key"), **found.get("signing_keys", {})}
    return {service: known.get(service) or _new_signing_key() for service in SIGNED_BY}


def _new_signing_key() -> str:
    return json.dumps(OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True))
