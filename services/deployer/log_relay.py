"""Gets what builds print onto the bus, in order, at least once; the chunk's place names it."""

import asyncio
from typing import Final

import asyncpg
import structlog
from nats.errors import Error as NatsError

from contracts.deployer.logs import CHUNK_BYTES_MAX, LogChunk, Progress, log_subject
from contracts.subjects import LOG_STREAM
from runtime.bus import BusError
from runtime.process import Running
from runtime.processor import OUTAGES

POLL_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 0.5
ROUND_MAX: Final = 200


async def relay_logs(running: Running, woken: asyncio.Event) -> None:
    """Relay as chunks come, for ever; while the bus or the database is away they wait."""
    beat = running.liveness.beat("logs")
    while True:
        beat()
        woken.clear()
        try:
            sent = await relay_round(running) if running.bus.connected else 0
        except (*OUTAGES, NatsError, BusError, TimeoutError) as error:
            structlog.get_logger().warning("logs.postponed", error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if sent < ROUND_MAX:
            await _until(woken)


async def relay_round(running: Running) -> int:
    """Relay some of what waits; return how many chunks that was."""
    rows = await running.pool.fetch(
        """select build_id, chunk_offset, deployment_id, user_id, text, bytes, at, final, done,
                  planned
           from log_chunks where not relayed order by at, build_id, chunk_offset limit $1""",
        ROUND_MAX,
    )
    for row in rows:
        for offset, text, final in pieces(row["chunk_offset"], row["text"], final=row["final"]):
            chunk = LogChunk(
                build_id=row["build_id"],
                deployment_id=row["deployment_id"],
                user_id=row["user_id"],
                offset=offset,
                text=text,
                at=row["at"],
                progress=_progress(row),
                final=final,
            )
            await _publish(running, chunk)
        # What was changed meanwhile is to be relayed again.
        await running.pool.execute(
            """update log_chunks set relayed = true
               where build_id = $1 and chunk_offset = $2
               and (bytes, done, final) is not distinct from ($3, $4, $5)""",
            row["build_id"],
            row["chunk_offset"],
            row["bytes"],
            row["done"],
            row["final"],
        )
    return len(rows)


def pieces(offset: int, text: str, *, final: bool) -> list[tuple[int, str, bool]]:
    """Return the text cut into pieces that a message may hold, each with its offset in bytes."""
    found: list[tuple[int, str, bool]] = []
    length = CHUNK_BYTES_MAX // 4  # a character has four bytes at most
    for start in range(0, max(len(text), 1), length):
        piece = text[start : start + length]
        last = start + length >= len(text)
        found.append((offset, piece, final and last))
        offset += len(piece.encode())
    return found


def _progress(row: asyncpg.Record) -> Progress | None:
    if row["planned"] is None:
        return None
    return Progress(done=row["done"], planned=row["planned"])


async def _publish(running: Running, chunk: LogChunk) -> None:
    await running.bus.jetstream.publish(
        log_subject(chunk.build_id),
        chunk.model_dump_json().encode(),
        stream=LOG_STREAM,
        headers={
            "Nats-Msg-Id": _message_id(chunk),
            "content-type": "application/json",
        },
    )


def _message_id(chunk: LogChunk) -> str:
    """Return what a chunk is known by: of one place there are several, until it has its text."""
    done = "" if chunk.progress is None else chunk.progress.done
    return f"{chunk.build_id}:{chunk.offset}:{len(chunk.text)}:{done}:{int(chunk.final)}"


async def _until(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await event.wait()
    except TimeoutError:
        return
