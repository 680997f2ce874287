"""Messages set aside: to be looked at, put back, or, deliberately, given up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runtime.connection import Connection

PAGE_MAX: Final = 500
LISTED_MAX: Final = 1_000


@dataclass(frozen=True)
class Parked:
    """A message set aside, as people see it."""

    id: str
    stream: str
    sequence: int
    subject: str
    reason: str
    detail: str
    attempts: int
    first_at: datetime
    parked_at: datetime | None
    body: bytes


async def list_parked(connection: Connection, *, limit: int = LISTED_MAX) -> list[Parked]:
    """Return what is parked and then what waits, each the oldest first; at most so many.

    Many may wait behind one that is parked: none of those hides another that is.
    """
    rows = await connection.fetch(
        """select id, stream, sequence, subject, reason, detail, attempts, first_at, parked_at, body
           from inbox_waiting
           order by parked_at is null, first_at, stream, sequence limit $1""",
        limit,
    )
    return [Parked(**dict(row)) for row in rows]


async def show_parked(connection: Connection, message_id: str) -> Parked | None:
    """Return one message set aside, or nothing."""
    row = await connection.fetchrow(
        """select id, stream, sequence, subject, reason, detail, attempts, first_at, parked_at, body
           from inbox_waiting where id = $1""",
        message_id,
    )
    return None if row is None else Parked(**dict(row))


async def retry_parked(connection: Connection, message_id: str) -> bool:
    """Have a parked message tried again at once; return whether there was one."""
    done = await connection.fetchval(
        """update inbox_waiting set parked_at = null, due_at = first_at, attempts = 0
           where id = $1 and parked_at is not null returning id""",
        message_id,
    )
    return done is not None


async def retry_readable(connection: Connection, readable: Callable[[str, bytes], bool]) -> int:
    """Have what nobody could read tried again, where this release can; return how many.

    So what a newer release sent while this service was of an older one is handled as soon as the
    service is of the newer one again, and nobody needs to come.
    """
    again, last = 0, ""
    while True:
        rows = await connection.fetch(
            """select id, subject, body from inbox_waiting
               where reason = 'undecodable' and parked_at is not null and id > $1
               order by id limit $2""",
            last,
            PAGE_MAX,
        )
        for row in rows:
            if readable(row["subject"], row["body"]):
                again += await retry_parked(connection, row["id"])
        if len(rows) < PAGE_MAX:
            return again
        last = rows[-1]["id"]


async def discard_parked(connection: Connection, message_id: str) -> bool:
    """Give a parked message up: its stream goes on as if it had been applied.

    Returns whether it was done; a message that is not next in its stream is not given up.
    """
    async with connection.transaction():
        row = await connection.fetchrow(
            """select w.stream, w.sequence from inbox_waiting w
               where w.id = $1 and w.parked_at is not null for update""",
            message_id,
        )
        if row is None:
            return False
        await connection.execute(
            "insert into inbox_cursors (stream, sequence) values ($1, 0) on conflict do nothing",
            row["stream"],
        )
        moved = await connection.fetchval(
            """update inbox_cursors set sequence = $2 where stream = $1 and sequence = $2 - 1
               returning stream""",
            row["stream"],
            row["sequence"],
        )
        if moved is None and not row["stream"].startswith("unreadable-"):
            return False
        await connection.execute("delete from inbox_waiting where id = $1", message_id)
        await connection.execute(
            """update inbox_waiting set due_at = first_at
               where stream = $1 and sequence = $2 + 1 and parked_at is null""",
            row["stream"],
            row["sequence"],
        )
    return True
