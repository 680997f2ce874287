"""Attests each month when it is over: by the clock, and by command.

First the floor is raised to the month's end, so that no transaction that begins now can give a
fact an earlier `at`, however far behind its replica's clock is. Transactions that were open then
may have read the old floor, so their ends are waited for: they all had a transaction id before
they read it, and a snapshot tells when none of those is running any more. Nobody waits for this.
Then everything is verified and counted, and the fact is recorded.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.segments.child import run_child
from services.ledger.lots import PLATFORM
from services.ledger.periods.handlers import AttestMonth, CloseForFacts
from services.ledger.periods.rules import Month, PeriodAttested
from services.ledger.settings import LedgerSettings

LOOK_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 600.0
"""After something did not fit, which a person has to see to."""
DRAIN_SECONDS_MAX: Final = 60.0
DRAIN_POLL_SECONDS: Final = 0.05
MONTHS_MAX: Final = 1_200
_LOCK: Final = "tollgate.attest"

Examine = Callable[[Month], Awaitable[PeriodAttested]]
"""Returns what a closed month came to, or raises `NotAttestedError`."""


class NotAttestedError(Exception):
    """A month cannot be attested; the message says why."""


async def attest_due(running: Running, examine: Examine, delay: timedelta) -> list[Month]:
    """Attest the months that have been over for `delay`, oldest first; return which those were.

    Another process that attests goes on alone: then there is nothing to do here.
    """
    attested = []
    async with _alone(running) as alone:
        if alone:
            for month in await months_due(running, delay):
                await attest(running, month, examine)
                attested.append(month)
    return attested


async def months_due(running: Running, delay: timedelta) -> list[Month]:
    """Return the months since the first fact that are over and not attested."""
    first = await running.pool.fetchval("select at from facts order by position limit 1")
    if first is None:
        return []
    rows = await running.pool.fetch(
        """select name from streams where name like 'period-%' and version > 0"""
    )
    done = {row["name"] for row in rows}
    found: list[Month] = []
    month = Month.of(first)
    while running.clock.now() >= month.until + delay and len(found) < MONTHS_MAX:
        if month.stream not in done:
            found.append(month)
        month = month.next
    return found


async def attest(running: Running, month: Month, examine: Examine) -> None:
    """Close a month for new facts, verify and count, and record what it came to."""
    await running.processor.execute(CloseForFacts(actor=PLATFORM, month=month))
    await until_none_is_open(running.pool)
    attestation = await examine(month)
    await running.processor.execute(
        AttestMonth(actor=PLATFORM, month=month, attestation=attestation)
    )


async def until_none_is_open(pool: asyncpg.Pool) -> None:
    """Return once every transaction has ended that had an id when this was called."""
    bound = await pool.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    try:
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while await pool.fetchval(_OLDEST_OPEN) < bound:  # noqa: ASYNC110 - it is Postgres'
                await asyncio.sleep(DRAIN_POLL_SECONDS)
    except TimeoutError:
        raise NotAttestedError(
            f"a transaction has been open for more than {DRAIN_SECONDS_MAX:.0f} s"
        ) from None


_OLDEST_OPEN: Final = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@asynccontextmanager
async def _alone(running: Running) -> AsyncIterator[bool]:
    """Tell whether this process attests: a lock that ends with its connection."""
    connection = await asyncpg.connect(running.settings.postgres_dsn.get_secret_value(), timeout=5)
    try:
        yield await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", _LOCK)
    finally:
        await connection.close()


def attest_by_schedule(settings: LedgerSettings) -> Callable[[Running], Coroutine[Any, Any, None]]:
    """Return the task that attests months, for `Service.tasks`."""
    delay = timedelta(seconds=settings.attest_delay_seconds)

    async def attesting(running: Running) -> None:
        beat = running.liveness.beat("attesting")

        async def examine(month: Month) -> PeriodAttested:
            return await examined_by_child(month, beat)

        while True:
            beat()
            wait = LOOK_SECONDS
            try:
                if await months_due(running, delay):
                    for month in await attest_due(running, examine, delay):
                        structlog.get_logger().info("period.attested", period=month.name)
            except (*OUTAGES, UnavailableError) as error:
                structlog.get_logger().warning("period.postponed", error=repr(error))
            except NotAttestedError as error:
                structlog.get_logger().error(  # noqa: TRY400 - the trace would say nothing
                    "period.not_attested", reason=str(error)
                )
                wait = RETRY_SECONDS
            for _ in range(int(wait / LOOK_SECONDS)):
                beat()
                await asyncio.sleep(LOOK_SECONDS)

    return attesting


async def examined_by_child(month: Month, beat: Callable[[], None]) -> PeriodAttested:
    """Have another process verify and count, as that takes long; else `NotAttestedError`."""
    ended = await run_child("ledger", "examine", month.name, beat=beat)
    if ended.status != 0:
        raise NotAttestedError(ended.errors)
    return msgspec.json.decode(ended.output, type=PeriodAttested)
