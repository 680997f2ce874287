"""Reads the facts from the beginning, stream by stream, without holding more than a chunk of them.

Everything is read in one transaction with one snapshot, so a ledger that goes on working is
neither disturbed nor seen half-way.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg

from runtime.store import FactRow

CHUNK_FACTS: Final = 5_000
CONNECT_SECONDS_MAX: Final = 10

_UPTO: Final = "($1::timestamptz is null or at <= $1)"


@asynccontextmanager
async def snapshot(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection on which everything is read as of one moment, and nothing written."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS_MAX)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    finally:
        await connection.close()


async def count_facts(connection: asyncpg.Connection, as_of: datetime | None) -> int:
    """Return how many facts there are up to an instant, that instant included."""
    return int(await connection.fetchval(f"select count(*) from facts where {_UPTO}", as_of))  # noqa: S608 - no input


async def read_facts(
    connection: asyncpg.Connection, as_of: datetime | None
) -> AsyncIterator[list[FactRow]]:
    """Yield the facts up to an instant in chunks, by the bytes of the stream's name and version."""
    order = await bytewise(connection)
    cursor = await connection.cursor(
        f"""select stream, version, id, at, body, actor, correlation_id, causation_id,
                   previous_hash, hash
            from facts where {_UPTO} order by stream{order}, version""",  # noqa: S608 - no input
        as_of,
    )
    while rows := await cursor.fetch(CHUNK_FACTS):
        yield [FactRow(*row) for row in rows]


async def bytewise(connection: asyncpg.Connection) -> str:
    """Return what has names sorted by their bytes; nothing where the database does so anyway.

    To name the collation although it is the database's own would cost the use of the index.
    """
    names = ["a-b", "aB", "a_c", "A", "ab"]
    sorted_there = await connection.fetchval(
        "select array_agg(name order by name) from unnest($1::text[]) name", names
    )
    return "" if sorted_there == sorted(names) else ' collate "C"'
