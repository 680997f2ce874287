"""Reads the facts from the beginning, stream by stream, without holding more than a chunk of them.

Everything is read in one transaction with one snapshot, so a ledger that goes on working is
neither disturbed nor seen half-way.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from runtime.store import FactRow

CHUNK_FACTS: Final = 5_000
CONNECT_SECONDS_MAX: Final = 10

_UPTO: Final = "($1::timestamptz is null or at <= $1)"


class Span(NamedTuple):
    """The streams from a name on, and before another, by their bytes; none has no end there."""

    first: str | None = None
    before: str | None = None


WHOLE: Final = Span()


@asynccontextmanager
async def snapshot(dsn: str, same_as: str | None = None) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection on which everything is read as of one moment, and nothing written.

    `same_as` is the moment of another such connection, as `pg_export_snapshot()` named it there.
    """
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS_MAX)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if same_as is not None:
                await connection.execute(f"set transaction snapshot '{same_as}'")
            yield connection
    finally:
        await connection.close()


async def count_facts(connection: asyncpg.Connection, as_of: datetime | None) -> int:
    """Return how many facts there are up to an instant, that instant included."""
    return int(await connection.fetchval(f"select count(*) from facts where {_UPTO}", as_of))  # noqa: S608 - no input


async def read_facts(
    connection: asyncpg.Connection, as_of: datetime | None, span: Span = WHOLE
) -> AsyncIterator[list[FactRow]]:
    """Yield the facts up to an instant in chunks, by the bytes of the stream's name and version."""
    order = await bytewise(connection)
    cursor = await connection.cursor(
        f"""select stream, version, id, at, body, actor, correlation_id, causation_id,
                   previous_hash, hash
            from facts where {_UPTO}{_within(span, order)}
            order by stream{order}, version""",  # noqa: S608 - no input
        as_of,
        *(name for name in span if name is not None),
    )
    while rows := await cursor.fetch(CHUNK_FACTS):
        yield [FactRow(*row) for row in rows]


def _within(span: Span, order: str) -> str:
    """Return what keeps to a span, whose ends are the query's second and third values."""
    ends = [sign for sign, name in zip((">=", "<"), span, strict=True) if name is not None]
    return "".join(f" and stream{order} {sign} ${n}" for n, sign in enumerate(ends, 2))


async def spans(connection: asyncpg.Connection, count: int) -> list[Span]:
    """Return spans that cover all names, at most so many, of about equally many facts each.

    How many facts a stream has is asked of its head: were that wrong, a span would only be longer.
    """
    order = await bytewise(connection)
    rows = await connection.fetch(
        f"""select min(name{order}) as first from (
                select name, div(
                    (sum(facts) over (order by name{order}) - facts) * $1::int,
                    nullif(sum(facts) over (), 0)
                ) as part
                from (select name, greatest(version, 0) as facts from streams) as heads
            ) as parts group by part order by first{order}""",  # noqa: S608 - no input
        count,
    )
    cuts = [row["first"] for row in rows[1:]]
    return [Span(*ends) for ends in zip([None, *cuts], [*cuts, None], strict=True)]


async def bytewise(connection: asyncpg.Connection) -> str:
    """Return what has names sorted by their bytes; nothing where the database does so anyway.

    To name the collation although it is the database's own would cost the use of the index.
    """
    names = ["a-b", "aB", "a_c", "A", "ab"]
    sorted_there = await connection.fetchval(
        "select array_agg(name order by name) from unnest($1::text[]) name", names
    )
    return "" if sorted_there == sorted(names) else ' collate "C"'
