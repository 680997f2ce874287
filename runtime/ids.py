"""The one place that makes ids."""

import secrets

from uuid_utils import uuid7


def new_id() -> str:
    """Return a UUIDv7 as text: unique, and later ones sort after earlier ones."""
    return str(uuid7())


def new_secret(length_bytes: int = 32) -> str:
    """Return an unguessable text that is safe in a URL."""
    return secrets.token_urlsafe(length_bytes)
