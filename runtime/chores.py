"""Work that is due every so often, whatever comes on the bus: to remove what is over, mostly."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import asyncpg
import structlog

from runtime.health import Liveness
from runtime.processor import COLLISIONS, OUTAGES, UnavailableError

Beat = Callable[[], None]
"""What a chore calls whenever it has got on: else one with much to do looks stuck."""

TURN_SECONDS: Final = 5.0
"""Between two heartbeats: far less than what a loop may take before it counts as stuck."""

CONNECTION_SECONDS_MAX: Final = 5.0


async def every(
    seconds: float, liveness: Liveness, name: str, chore: Callable[[Beat], Awaitable[Any]]
) -> None:
    """Do a chore now and every so many seconds, until cancelled.

    What an outage or another replica keeps from being done is said, and done the next time. The
    chore is a loop of the process's own, by this name: one that hangs is seen as stuck.
    """
    beat = liveness.beat(name)
    turn = min(TURN_SECONDS, seconds)
    passed = seconds
    while True:
        beat()
        if passed >= seconds:
            passed = 0.0
            try:
                await chore(beat)
            except (*OUTAGES, *COLLISIONS, UnavailableError) as error:
                structlog.get_logger().warning("chore.postponed", chore=name, error=repr(error))
        await asyncio.sleep(turn)
        passed += turn


async def delete_in_steps(
    pool: asyncpg.Pool, sql: str, before: datetime, rows_max: int, beat: Beat
) -> int:
    """Delete all that a statement finds before an instant; return how many rows that were.

    The statement takes the instant and how many rows it may delete at most, so that nobody waits
    long for a lock. A connection is given back after each step.
    """
    deleted = 0
    while True:
        beat()
        async with pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
            status = await connection.execute(sql, before, rows_max)
        count = int(status.rpartition(" ")[2])
        deleted += count
        if count < rows_max:
            return deleted
