"""Reads now and then what cannot be counted as it happens: how much waits, and since when.

Every replica reads for itself, so of several the greatest is true. A measure that fails keeps its
last values, and `tollgate_measured_timestamp_seconds` says how old they are; of one that was never
read it says since when that has been tried.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from runtime.connection import Connection
from runtime.metrics import MEASURED_AT, NOT_READY, OUTBOX_OLDEST_SECONDS, OUTBOX_PENDING, SET_ASIDE

if TYPE_CHECKING:
    from runtime.process import Running

MEASURE_SECONDS_MAX: Final = 20.0
PENDING_COUNTED_MAX: Final = 100_000
SET_ASIDE_COUNTED_MAX: Final = 100_000

_OUTBOX: Final = """
    select (select count(*) from (select from outbox_pending limit $1) as counted) as pending,
           (select extract(epoch from now() - created_at)::float8 from outbox_pending
            order by position limit 1) as oldest"""
_SET_ASIDE: Final = """
    select case when parked_at is not null then 'parked'
                when reason = 'failed' then 'retry' else 'predecessor' end as state,
           count(*) as number
    from (select parked_at, reason from inbox_waiting limit $1) as counted group by 1"""
_STATES: Final = ("parked", "retry", "predecessor")


@dataclass(frozen=True)
class Measure:
    """Something that is read every so often into gauges of its own; it must be cheap for that."""

    name: str
    every_seconds: float
    read: Callable[["Running"], Awaitable[None]]


async def _read_queues(running: "Running") -> None:
    """Read what waits for the bus, and what waits from it."""
    async with running.pool.acquire() as connection:
        await _read_outbox(connection)
        rows = await connection.fetch(_SET_ASIDE, SET_ASIDE_COUNTED_MAX)
    found = {row["state"]: row["number"] for row in rows}
    for state in _STATES:
        SET_ASIDE.labels(state=state).set(found.get(state, 0))


async def _read_outbox(connection: Connection) -> None:
    [row] = await connection.fetch(_OUTBOX, PENDING_COUNTED_MAX)
    OUTBOX_PENDING.set(row["pending"])
    OUTBOX_OLDEST_SECONDS.set(max(0.0, row["oldest"] or 0.0))


async def _read_readiness(running: "Running") -> None:
    """Ask what readiness asks: a process that nobody sends work to says by this why."""
    problems = await running.readiness.problems()
    for check in running.readiness.checks:
        NOT_READY.labels(check=check).set(check in problems)


QUEUES: Final = Measure("queues", 10.0, _read_queues)
READINESS: Final = Measure("readiness", 10.0, _read_readiness)


def measuring(measure: Measure) -> Callable[["Running"], Coroutine[Any, Any, None]]:
    """Return the task that reads a measure until it is cancelled."""

    async def measure_again_and_again(running: "Running") -> None:
        measured_at = MEASURED_AT.labels(measure=measure.name)
        # Else there would be nothing to be old, and the alert would never come.
        measured_at.set(running.clock.now().timestamp())
        while True:
            try:
                async with asyncio.timeout(MEASURE_SECONDS_MAX):
                    await measure.read(running)
            except Exception as error:  # noqa: BLE001 - nobody's work may end for want of a figure
                log = structlog.get_logger()
                log.warning("metrics.not_measured", measure=measure.name, error=repr(error))
            else:
                measured_at.set(running.clock.now().timestamp())
            await asyncio.sleep(measure.every_seconds)

    return measure_again_and_again
