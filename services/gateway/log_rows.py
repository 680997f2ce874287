"""Build logs: chunks as they come from the bus, and as they are read back.

A chunk's place is its build and the offset of its first byte, so a chunk that comes twice, or
late, has one place all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.deployer.logs import LogChunk
from runtime.connection import Connection

_INSERT = """
    insert into log_chunks (build_id, start, stop, deployment_id, body, final, at, done, planned)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (build_id, start) do update
    set stop = greatest(log_chunks.stop, excluded.stop),
        body = case when log_chunks.stop < excluded.stop then excluded.body
                    else log_chunks.body end,
        final = log_chunks.final or excluded.final,
        done = greatest(log_chunks.done, excluded.done),
        planned = coalesce(log_chunks.planned, excluded.planned)
    where log_chunks.stop < excluded.stop or (excluded.final and not log_chunks.final)
       or excluded.done > coalesce(log_chunks.done, -1)"""


@dataclass(frozen=True)
class StoredChunk:
    """Bytes `start` up to, not including, `stop` of a build's log; nothing follows a final one.

    `done` and `planned` say how many resources Terraform was through with, of how many, if it knew.
    One without bytes tells only that, or that the log has ended.
    """

    start: int
    stop: int
    body: bytes
    final: bool
    done: int | None
    planned: int | None


async def on_log_chunks(connection: Connection, chunks: Sequence[LogChunk]) -> None:
    """Keep chunks, whatever of them was kept before.

    In the order of their places: gateways that keep the same ones wait for each other, and not in
    a circle.
    """
    rows = []
    for chunk in sorted(chunks, key=lambda chunk: (chunk.build_id, chunk.offset)):
        body = chunk.text.encode()
        stop = chunk.offset + len(body)
        place = (chunk.build_id, chunk.offset, stop, chunk.deployment_id)
        told = chunk.progress
        progress = (None, None) if told is None else (told.done, told.planned)
        rows.append((*place, body, chunk.final, chunk.at, *progress))
    await connection.executemany(_INSERT, rows)


async def erase_logs(connection: Connection, deployment_id: str) -> None:
    """Drop the logs of all of a deployment's builds."""
    await connection.execute("delete from log_chunks where deployment_id = $1", deployment_id)


async def read_chunks(
    connection: Connection, build_id: str, after: int, limit: int
) -> list[StoredChunk]:
    """Return chunks that hold bytes from offset `after` on, or stand there without, in order."""
    rows = await connection.fetch(
        """select start, stop, body, final, done, planned from log_chunks
           where build_id = $1 and (stop > $2 or ((final or start = stop) and stop = $2))
           order by start limit $3""",
        build_id,
        after,
        limit,
    )
    return [StoredChunk(**dict(row)) for row in rows]
