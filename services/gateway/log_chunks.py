"""Takes build logs from the bus: a FastStream subscriber on the durable consumer that is there.

It only starts where the consumer exists, and is stopped when it is gone: FastStream would ask for
a missing one thousands of times a second. It takes batches, which keep their order, and nothing is
acknowledged before it is committed. What cannot be read is parked, never returned: it would come
again for ever.
"""

import asyncio
from collections.abc import Callable, Sequence
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
BATCH_MAX: Final = 100
BATCH_SECONDS: Final = 0.2
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
        pull_sub=PullSub(batch_size=BATCH_MAX, timeout=BATCH_SECONDS, batch=True),
        ack_policy=AckPolicy.MANUAL,
        decoder=_as_they_came,
        inbox_prefix=f"{inbox_prefix(running.bus.service)}.".encode(),
        no_reply=True,
        persistent=False,
    )

    async def take(messages: Any) -> None:
        await _take(running, wakes, messages)

    subscriber(take)
    await subscriber.start()
    try:
        while not missing:
            beat()
            await asyncio.sleep(CHECK_SECONDS)
            await _is_there(running, missing)
    finally:
        await subscriber.stop()


async def _as_they_came(message: Any) -> Any:
    """Leave the messages as they are: one that cannot be read must not cost its neighbours."""
    return message.raw_message


async def _take(running: Running, wakes: Wakes, messages: Sequence[Msg]) -> None:
    """Keep a batch, then acknowledge it; while the database is away have it come again."""
    try:
        chunks = [chunk for each in messages if (chunk := await _readable(running, each))]
        async with (
            running.pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection,
            connection.transaction(),
        ):
            await on_log_chunks(connection, chunks)
    except (*OUTAGES, TimeoutError) as error:
        structlog.get_logger().warning("logs.database_away", error=repr(error))
        for each in messages:
            await each.nak(delay=RETRY_SECONDS)
        return
    for build_id in {chunk.build_id for chunk in chunks}:
        wakes.wake(log_topic(build_id))
    for each in messages:
        await each.ack()


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
