"""JetStream anew from the outboxes, when it was lost whole.

The outbox keeps every message that was ever published. To have them all sent again is to mark them
as pending; the relay does the rest, in the order they were written, with the ids they had. Those
who applied them know them by stream and number. Requests are not sent again: they expire.
"""

from typing import Final

import asyncpg

from contracts.subjects import REQUEST_KIND

_REQUESTS: Final = f"tollgate.%.{REQUEST_KIND}.%"


async def send_again(connection: asyncpg.Connection) -> int:
    """Mark every fact of the outbox as pending; return how many there are."""
    rows: int = await connection.fetchval(
        """with again as (
               insert into outbox_pending (position, created_at)
               select position, created_at from outbox where subject not like $1
               on conflict (position) do nothing
               returning 1)
           select count(*) from again""",
        _REQUESTS,
    )
    return rows
