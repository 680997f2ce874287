"""Takes build logs from the bus: a FastStream subscriber on the durable consumer that is there.

Chunks have no order to keep between them, so they are handled side by side, and kept together: one
transaction for all that wait while the one before is committed. Nothing is acknowledged before
that. What cannot be read is parked, never returned: it would come again for ever.

The subscriber only starts where the consumer exists, and is stopped when it is gone: FastStream
would ask for a missing one thousands of times a second. It does not take batches: FastStream 0.7.8
drops one it has half fetched when nats-py runs into a time-out of asyncio's, not of its own, and
then it comes again only after the consumer's `ack_wait`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from contracts.deployer.logs import LogChunk
from contracts.subjects import LOG_STREAM
from runtime.bus_topology import inbox_prefix
from runtime.inbox import undecodable
from runtime.process import Running
from runtime.processor import OUTAGES
from runtime.store import Changes
from services.gateway.log_rows import on_log_chunks
from services.gateway.wakes import Wakes, log_topic

SUBJECTS: Final = "tollgate.logs.>"
FETCH_MAX: Final = 200
FETCH_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
CHECK_SECONDS: Final = 10.0
CONNECTION_SECONDS_MAX: Final = 5.0


async def keep_logs(running: Running, wakes: Wakes) -> None:
    """Keep all log lines that come, until cancelled."""
    beat = running.liveness.beat("logs")
    missing: list[str] = []

    async def check() -> str | None:
        return missing[0] if missing else None

    running.readiness.add_check("logs", check)
    while True:
        beat()
        if not running.bus.connected or not await _is_there(running, missing):
            await asyncio.sleep(RETRY_SECONDS)
            continue
        await _subscribe(running, wakes, missing, beat)


async def _is_there(running: Running, missing: list[str]) -> bool:
    """Return whether the consumer exists, as far as the server says so."""
    name = running.bus.service
    try:
        await running.bus.jetstream.consumer_info(LOG_STREAM, name)
    except NotFoundError:
        missing[:] = [f"missing: {LOG_STREAM}/{name}"]
        return False
    except (NatsError, TimeoutError) as error:
        structlog.get_logger().warning("logs.bus_unreachable", error=repr(error))
        return False
    missing.clear()
    return True


async def _subscribe(
    running: Running, wakes: Wakes, missing: list[str], beat: Callable[[], None]
) -> None:
    """Take logs for as long as the consumer is there."""
    from faststream import AckPolicy
    from faststream.nats import JStream, PullSub

    subscriber = running.bus.broker.subscriber(
        SUBJECTS,
        stream=JStream(LOG_STREAM, declare=False),
        durable=running.bus.service,
        pull_sub=PullSub(batch_size=FETCH_MAX, timeout=FETCH_SECONDS),
        ack_policy=AckPolicy.MANUAL,
        decoder=_as_it_came,
        inbox_prefix=f"{inbox_prefix(running.bus.service)}.".encode(),
        no_reply=True,
        persistent=False,
    )
    writer = ChunkWriter(running)

    async def take(message: Any) -> None:
        await _take(running, wakes, writer, message)

    subscriber(take)
    await subscriber.start()
    try:
        while not missing:
            beat()
            await asyncio.sleep(CHECK_SECONDS)
            await _is_there(running, missing)
    finally:
        await subscriber.stop()


async def _as_it_came(message: Any) -> Any:
    """Leave a message as it is: what cannot be read is ours to park."""
    return message.raw_message


async def _take(running: Running, wakes: Wakes, writer: "ChunkWriter", message: Msg) -> None:
    """Keep what a message holds, then acknowledge it; while the database is away it comes again."""
    try:
        chunk = await _readable(running, message)
        if chunk is not None:
            await writer.keep(chunk)
    except (*OUTAGES, TimeoutError) as error:
        structlog.get_logger().warning("logs.database_away", error=repr(error))
        await message.nak(delay=RETRY_SECONDS)
        return
    await message.ack()
    if chunk is not None:
        wakes.wake(log_topic(chunk.build_id))


@dataclass(eq=False)
class _Waiting:
    """A chunk on its way into the database, and how that went."""

    chunk: LogChunk
    written: bool = False
    error: Exception | None = None


class ChunkWriter:
    """Keeps chunks, all that wait in one transaction."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._waiting: list[_Waiting] = []
        self._turn = asyncio.Lock()

    async def keep(self, chunk: LogChunk) -> None:
        """Return once the chunk is committed; raises what kept it from that."""
        mine = _Waiting(chunk)
        self._waiting.append(mine)
        async with self._turn:
            if not mine.written and mine.error is None:
                batch, self._waiting = self._waiting, []
                await self._write(batch)
        if mine.error is not None:
            raise mine.error

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            async with (
                self._running.pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection,
                connection.transaction(),
            ):
                await on_log_chunks(connection, [each.chunk for each in batch])
        except Exception as error:  # noqa: BLE001 - each of those who wait is told
            for each in batch:
                each.error = error
            return
        for each in batch:
            each.written = True


async def _readable(running: Running, message: Msg) -> LogChunk | None:
    """Return the chunk in a message, or park the message where it holds none."""
    try:
        return LogChunk.model_validate_json(message.data)
    except ValidationError as error:
        row = undecodable(
            subject=message.subject,
            body=message.data,
            place=(f"unreadable-{LOG_STREAM}", message.metadata.sequence.stream),
            detail=repr(error),
            now=running.clock.now(),
        )
        structlog.get_logger().error("message.parked", subject=message.subject, stream=row.stream)
        async with running.store.transaction() as transaction:
            await transaction.write(Changes(set_aside=[row]))
        return None
