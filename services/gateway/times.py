"""Instants as the API writes them."""

from datetime import UTC, datetime


def rfc_3339(at: datetime) -> str:
    """Return an instant in UTC with `Z`, to the microsecond where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
