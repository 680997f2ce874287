"""Seals by the clock: every hour, unless it is set otherwise, in a process of its own."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from runtime.process import Running
from runtime.processor import OUTAGES
from runtime.segments.child import run_child
from runtime.segments.settings import SegmentSettings

LOOK_SECONDS: Final = 5.0
JITTER: Final = 0.1
"""Replicas that started together look at different moments: so far off is each interval."""
ELSEWHERE: Final = 3
"""The exit status that says that another process is sealing."""

# The oldest thing not sealed is as old as the last seal, or as the first fact.
_LAST: Final = """
    select coalesce((select max(sealed_at) from segments),
                    (select min(at) from facts where position = (select min(position) from facts)))
"""


def seal_by_schedule(
    service: str, settings: SegmentSettings
) -> Callable[[Running], Coroutine[Any, Any, None]]:
    """Return the task that seals, for `Service.tasks`; it does nothing where nothing is set."""

    async def sealing(running: Running) -> None:
        if settings.segments_url is None or not settings.seal_interval_seconds:
            structlog.get_logger().info("sealing.off")
            await asyncio.Event().wait()
        beat = running.liveness.beat("sealing")
        tried_at: datetime | None = None
        interval = interval_of(settings)
        while True:
            beat()
            now = running.clock.now()
            try:
                last = await running.pool.fetchval(_LAST)
            except OUTAGES as error:
                structlog.get_logger().warning("sealing.postponed", error=repr(error))
                last = None
            if last is not None and now >= max(last, tried_at or last) + interval:
                tried_at, interval = now, interval_of(settings)
                await _seal_once(service, beat)
            await asyncio.sleep(LOOK_SECONDS)

    return sealing


def interval_of(settings: SegmentSettings) -> timedelta:
    """Return how long to wait until the next seal, a little shorter or longer each time."""
    off = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
    return timedelta(seconds=settings.seal_interval_seconds * off)


async def _seal_once(service: str, beat: Callable[[], None]) -> None:
    """Run the sealing process to its end."""
    log = structlog.get_logger()
    ended = await run_child(service, "seal", beat=beat)
    if ended.status == 0:
        log.info("facts.sealed", **msgspec.json.decode(ended.output, type=dict[str, int]))
    elif ended.status != ELSEWHERE:
        log.error("sealing.failed", reason=ended.errors)
