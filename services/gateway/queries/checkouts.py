"""Checkouts that somebody may see: their own."""

from typing import Any

from runtime.connection import Connection


async def checkout_of(
    connection: Connection, user_id: str, checkout_id: str
) -> dict[str, Any] | None:
    """Return a user's checkout; nothing where there is none, or it is another's."""
    row = await connection.fetchrow(
        """select checkout_id, status, credits, bonus, price_minor, currency, url,
                  session_expires_at, opened_at
           from checkouts where checkout_id = $1 and user_id = $2""",
        checkout_id,
        user_id,
    )
    return None if row is None else dict(row)
