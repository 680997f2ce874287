"""A service whose database or bus is not what it must be: a real process, watched from outside.

What cannot run says why in its log and ends; what can run later says so in its log, in readiness
and in a metric, and loses nothing.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from nats.js.api import DiscardPolicy, StreamConfig
from prometheus_client import REGISTRY

from devkit.ports import free_port
from runtime.postgres_store import PostgresStore
from runtime.store import OutboxRow
from tests.integration.runtime.conftest import CounterDatabase, NatsBusUnderTest
from tests.support.counter import Add
from tests.support.environment import PASSWORD, Database, RunningNats
from tests.support.runtime_bench import COUNTER_STREAM, Bench

ROOT: Final = Path(__file__).parents[3]
SERVICE: Final = "revenue"
WAIT_SECONDS_MAX: Final = 30.0
POLL_SECONDS: Final = 0.05


@dataclass
class Surroundings:
    """A database and a bus for one process of a service."""

    database: Database
    bus: RunningNats

    @asynccontextmanager
    async def process(self, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the service as its container does; its log is its standard output."""
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TOLLGATE_POSTGRES_DSN": self.database.dsn,
            "TOLLGATE_NATS_URL": self.bus.url,
            "TOLLGATE_NATS_USER": SERVICE,
            "TOLLGATE_NATS_PASSWORD": PASSWORD,
            "TOLLGATE_HTTP_PORT": str(port),
            "TOLLGATE_LOG_FORMAT": "json",
        }
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tollgate", "service", SERVICE),
            env=settings,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield started
        finally:
            if started.returncode is None:
                started.terminate()
            await started.wait()

    async def refusal(self) -> str:
        """Return the reason that a process tells in its log, and ends."""
        async with asyncio.timeout(WAIT_SECONDS_MAX), self.process(free_port()) as started:
            output, _ = await started.communicate()
        assert started.returncode == 1, output
        lines = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
        [told] = [line for line in lines if line["event"] == "service.refused_to_start"]
        assert PASSWORD not in output.decode()
        return str(told["reason"])


@pytest_asyncio.fixture
async def surroundings(
    database_for: Callable[[str], Awaitable[Database]], bus: RunningNats
) -> Surroundings:
    return Surroundings(await database_for(SERVICE), bus)


async def run_sql(surroundings: Surroundings, *statements: str) -> None:
    admin = await asyncpg.connect(surroundings.database.admin_dsn)
    try:
        for statement in statements:
            await admin.execute(statement)
    finally:
        await admin.close()


async def lacks_a_migration(surroundings: Surroundings) -> None:
    await run_sql(
        surroundings,
        f"delete from schema_migrations where (owner, number) = (select owner, max(number)"
        f" from schema_migrations where owner = '{SERVICE}' group by owner)",
    )


async def is_of_a_newer_release(surroundings: Surroundings) -> None:
    await run_sql(
        surroundings,
        "insert into schema_migrations (owner, number, name, checksum, expands)"
        f" select owner, 9000, 'unheard_of', checksum, false from schema_migrations"
        f" where owner = '{SERVICE}' limit 1",
    )


async def has_a_foreign_stream(surroundings: Surroundings) -> None:
    async with surroundings.bus.connected() as client:
        jetstream = client.jetstream()
        found = (await jetstream.stream_info("TOLLGATE_REVENUE")).config
        foreign = StreamConfig(**{**vars(found), "max_msg_size": 1024})
        await jetstream.update_stream(foreign)


async def lacks_a_consumer(surroundings: Surroundings) -> None:
    async with surroundings.bus.connected() as client:
        await client.jetstream().delete_consumer("TOLLGATE_LEDGER", SERVICE)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lacks_a_migration, "not migrated: revenue/"),
        (is_of_a_newer_release, "newer release: it has revenue/9000"),
        (has_a_foreign_stream, "stream TOLLGATE_REVENUE max_msg_size"),
        (lacks_a_consumer, "consumer TOLLGATE_LEDGER/revenue is missing"),
    ],
)
async def test_a_service_refuses_to_run_on_what_it_does_not_know(
    surroundings: Surroundings, spoil: Callable[[Surroundings], Awaitable[None]], told: str
) -> None:
    await spoil(surroundings)
    assert told in await surroundings.refusal()


async def test_a_database_that_only_reads_is_told_in_log_readiness_and_metric(
    surroundings: Surroundings,
) -> None:
    name, port = surroundings.database.name, free_port()
    async with (
        surroundings.process(port) as started,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await answers(client, "/readyz", lambda answer: answer.status_code == httpx2.codes.OK)
        await run_sql(surroundings, _set(name, "on"))
        unready = await answers(client, "/readyz", lambda answer: "ReadOnly" in answer.text)
        assert unready.status_code == httpx2.codes.SERVICE_UNAVAILABLE
        counted = 'tollgate_database_outages_total{reason="ReadOnlySQLTransactionError"}'
        await answers(client, "/metrics", lambda answer: counted in answer.text)
        await run_sql(surroundings, "set default_transaction_read_only = off", _set(name, "off"))
        await answers(client, "/readyz", lambda answer: answer.status_code == httpx2.codes.OK)
        started.terminate()
        output, _ = await started.communicate()
    assert b'"database.away"' in output


def _set(name: str, reads_only: str) -> str:
    """Return what makes a database read only, or not any more, for whoever connects from now on."""
    return (
        f"alter database {name} set default_transaction_read_only = {reads_only};"
        " select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )


async def answers(
    client: httpx2.AsyncClient, path: str, true: Callable[[httpx2.Response], bool]
) -> httpx2.Response:
    """Return an answer once it is as it should be."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            try:
                answer = await client.get(path)
            except httpx2.TransportError:
                await asyncio.sleep(POLL_SECONDS)
                continue
            if true(answer):
                return answer
            await asyncio.sleep(POLL_SECONDS)


async def test_what_a_full_bus_does_not_take_is_told_and_sent_once_there_is_room(
    real_bus: NatsBusUnderTest, real_database: CounterDatabase
) -> None:
    jetstream = real_bus.bus.jetstream
    before = (await jetstream.stream_info(COUNTER_STREAM)).config

    async def room(**limits: Any) -> None:
        await jetstream.update_stream(StreamConfig(**{**vars(before), **limits}))

    async with asyncpg.create_pool(real_database.dsn, min_size=2, max_size=5) as pool:
        bench = Bench(PostgresStore(pool), real_bus)
        await room(max_bytes=1, discard=DiscardPolicy.NEW)
        adding = asyncio.ensure_future(
            bench.processor.execute(Add(actor="tester", counter="a", amount=3))
        )
        await asyncio.sleep(0)
        await bench.processor.drain()
        await adding
        failures = _relay_failures()
        leadership = await asyncpg.connect(real_database.dsn)
        relaying = asyncio.create_task(bench.relay.run(leadership))
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while _relay_failures() < failures + 2:
                    await asyncio.sleep(POLL_SECONDS)
                [kept] = await bench.store.pending(10)
                assert (await jetstream.stream_info(COUNTER_STREAM)).state.messages == 0
                await room()
                while await bench.store.pending(10):
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            await leadership.close()
    assert isinstance(kept, OutboxRow)
    assert await real_bus.stored(COUNTER_STREAM) == [kept.body.encode()]


def _relay_failures() -> float:
    return REGISTRY.get_sample_value("tollgate_relay_failures_total") or 0.0
