"""Reads the facts that no segment has yet: of each stream, those above its sealed version.

Versions are contiguous in a stream, so nothing can be skipped, in whatever order transactions
commit. It is one snapshot and a cursor: nobody waits for it, and it holds one chunk at a time.
"""

from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from runtime.segments.origin import Origin
from runtime.segments.reader import bytewise
from runtime.store import FactRow

CHUNK_FACTS: Final = 2_000

# The streams come by their names from an index, and the facts of each from another: nothing is
# sorted, however much there is. Names are compared by their bytes, as segments are ordered.
_UNSEALED: Final = """
    select f.stream, f.version, f.id, f.at, f.body, f.actor, f.correlation_id, f.causation_id,
           f.previous_hash, f.hash
    from (select s.name, coalesce(z.version, 0) as sealed
          from streams s left join sealed_streams z on z.stream = s.name
          where s.version > coalesce(z.version, 0)
            and ($1::text[] is null or split_part(s.name, '-', 1) = any($1))
          order by s.name{order}) u
    cross join lateral
         (select * from facts where stream = u.name and version > u.sealed order by version) f
"""


async def read_unsealed(
    connection: asyncpg.Connection, origin: Origin
) -> AsyncIterator[list[FactRow]]:
    """Yield the facts above the sealed versions in chunks, by their stream's bytes and version."""
    cursor = await connection.cursor(
        _UNSEALED.format(order=await bytewise(connection)),
        None if origin.kinds is None else list(origin.kinds),
    )
    while rows := await cursor.fetch(CHUNK_FACTS):
        yield [FactRow(*row) for row in rows]


async def sealed_ends(
    connection: asyncpg.Connection, streams: list[str]
) -> dict[str, tuple[int, bytes]]:
    """Return of those streams that are sealed the last sealed version and its hash."""
    rows = await connection.fetch(
        "select stream, version, hash from sealed_streams where stream = any($1::text[])", streams
    )
    return {row["stream"]: (row["version"], row["hash"]) for row in rows}
