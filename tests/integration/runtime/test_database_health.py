"""A database that does not take what is written: it is said, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from pydantic import SecretStr

from runtime.clock import Clock, ManualClock, monotonic_seconds, system_clock
from runtime.database_health import CLOCK_AHEAD_SECONDS_MAX
from runtime.health import BEAT_AGE_SECONDS_MAX
from runtime.process import Running, StartError, assemble
from runtime.processor import OUTAGES, UnavailableError
from runtime.settings import RuntimeSettings
from tests.integration.runtime.conftest import CounterDatabase
from tests.support import counter

WAIT_SECONDS_MAX: Final = 20.0
OTHER: Final = "another password"


def settings(dsn: str) -> RuntimeSettings:
    return RuntimeSettings(
        postgres_dsn=SecretStr(dsn),
        nats_user="counter",
        nats_password=SecretStr("none"),
    )


@asynccontextmanager
async def running(database: CounterDatabase, clock: Clock = system_clock) -> AsyncIterator[Running]:
    """Run the counter, and the watch over its database."""
    async with assemble(counter.build(), settings(database.dsn), counter.WIRING) as started:
        watch = asyncio.create_task(started.processor.database.watch(started.pool, clock, OUTAGES))
        yield started
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


@pytest_asyncio.fixture
async def admin(real_database: CounterDatabase) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(real_database.admin_dsn)
    yield opened
    await opened.close()


async def fill_the_disk(admin: asyncpg.Connection) -> None:
    """Have Postgres say what it says when a table cannot grow."""
    await admin.execute(
        """create function full_disk() returns trigger language plpgsql as $$
           begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
           create trigger full_disk before insert on facts execute function full_disk()"""
    )


async def make_room(admin: asyncpg.Connection) -> None:
    await admin.execute("drop trigger full_disk on facts")


async def only_read(admin: asyncpg.Connection) -> None:
    await _reconnecting_with(admin, "default_transaction_read_only = on")


async def write_again(admin: asyncpg.Connection) -> None:
    await _reconnecting_with(admin, "default_transaction_read_only = off")


async def _reconnecting_with(admin: asyncpg.Connection, setting: str) -> None:
    name = await admin.fetchval("select current_database()")
    await admin.execute("set default_transaction_read_only = off")
    await admin.execute(f"alter database {name} set {setting}")
    await admin.execute(
        """select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid()"""
    )


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not true():
            await asyncio.sleep(0.05)


def counted(reason: str) -> float:
    value = REGISTRY.get_sample_value("tollgate_database_outages_total", {"reason": reason})
    return value or 0.0


@pytest.mark.parametrize(
    ("breaks", "mends", "reason"),
    [
        (fill_the_disk, make_room, "DiskFullError"),
        (only_read, write_again, "ReadOnlySQLTransactionError"),
    ],
)
async def test_what_cannot_be_written_waits_is_told_and_is_written_once(
    real_database: CounterDatabase,
    admin: asyncpg.Connection,
    breaks: Callable[[Any], Awaitable[None]],
    mends: Callable[[Any], Awaitable[None]],
    reason: str,
) -> None:
    async with running(real_database) as service:
        database, before = service.processor.database, counted(reason)
        await breaks(admin)
        adding = asyncio.create_task(
            service.processor.execute(
                counter.Add(actor="tester", counter="a", amount=3),
                timeout_seconds=WAIT_SECONDS_MAX,
            )
        )
        await until(lambda: database.problem == reason)
        assert counted(reason) > before
        assert not adding.done()

        await mends(admin)

        await adding
        assert len(await service.store.read("counter-a")) == 1
        await until(lambda: database.problem is None)


async def test_a_loop_that_waits_for_its_database_or_bus_is_not_stuck(
    real_database: CounterDatabase, admin: asyncpg.Connection
) -> None:
    """A new process would wait as well: to be killed for it would end what it has in hand."""
    async with running(real_database) as service:
        await fill_the_disk(admin)
        adding = asyncio.create_task(
            service.processor.execute(counter.Add(actor="tester", counter="a", amount=3))
        )
        await until(lambda: service.processor.database.problem is not None)
        a_minute_later = monotonic_seconds() + BEAT_AGE_SECONDS_MAX
        await until(lambda: service.liveness.stuck(at=a_minute_later) == [])
        assert not adding.done()
        await make_room(admin)
        await adding


async def test_a_password_that_was_changed_is_an_outage_and_not_the_message_s_fault(
    real_database: CounterDatabase, admin: asyncpg.Connection
) -> None:
    async with running(real_database) as service:
        await admin.execute(f"alter role tollgate_counter password '{OTHER}'")
        try:
            await admin.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()"""
            )
            with pytest.raises(UnavailableError):
                await service.processor.execute(
                    counter.Add(actor="tester", counter="a", amount=3), timeout_seconds=2
                )
            assert service.processor.database.problem is not None
            assert not service.processing.done()
            with pytest.raises(StartError, match="cannot log in to its database") as refused:
                async with running(real_database):
                    pass
            assert real_database.dsn not in str(refused.value)
        finally:
            await admin.execute("alter role tollgate_counter password 'for-tests-only'")


async def test_a_clock_that_is_off_is_told(real_database: CounterDatabase) -> None:
    behind = timedelta(seconds=CLOCK_AHEAD_SECONDS_MAX + 7)
    async with running(real_database, ManualClock(system_clock.now() - behind)) as service:
        await until(lambda: service.processor.database.clock_problem is not None)
        assert "from the database's" in str(service.processor.database.clock_problem)
        ahead = REGISTRY.get_sample_value("tollgate_clock_ahead_seconds")
        assert ahead is not None
        assert ahead < -CLOCK_AHEAD_SECONDS_MAX
