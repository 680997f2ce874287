"""The counter service on its twins and on the real Postgres and NATS: one suite runs on both."""

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from nats.js import JetStreamContext

from devkit.nats import ADMIN as NATS_ADMIN
from runtime.bus import Bus
from runtime.bus_migrate import migrate_bus
from runtime.databases import ensure_databases
from runtime.memory_bus import MemoryBus, MemoryConsumer
from runtime.memory_store import MemoryStore
from runtime.migrate import migrate
from runtime.postgres_store import PostgresStore
from runtime.store import OutboxRow
from tests.support import counter
from tests.support.containers import (
    ContainerNats,
    ContainerPostgres,
    nats_container,
    postgres_container,
)
from tests.support.environment import PASSWORD, RunningNats, RunningPostgres
from tests.support.runtime_bench import ASKER_STREAM, Bench


class MemoryBusUnderTest:
    """The twin, with the counter's consumer."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.consumer = MemoryConsumer(self.bus, ASKER_STREAM)

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
        await self.bus.publish_batch(rows)

    async def fetch(self, limit: int = 500) -> list[Any]:
        return await self.consumer.fetch(limit)

    async def redeliver(self, messages: list[Any]) -> None:
        """The twin hands out again what was not acknowledged, when nothing is new."""

    async def stored(self, stream: str) -> list[bytes]:
        return [row.body.encode() for row in self.bus.streams.get(stream, [])]

    async def lose_everything(self) -> None:
        self.bus.lose_everything()
        self.consumer.reset()


class NatsBusUnderTest:
    """The real thing, with the counter's consumer."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
        await self.bus.publish_batch(rows)

    async def fetch(self, limit: int = 500) -> list[Any]:
        subscription = await self.bus.jetstream.pull_subscribe_bind("counter", stream=ASKER_STREAM)
        found: list[Any] = []
        try:
            while len(found) < limit and await _more(subscription, len(found)):
                found += await subscription.fetch(limit, timeout=0.3)
        except TimeoutError:
            pass
        await subscription.unsubscribe()
        return found

    async def redeliver(self, messages: list[Any]) -> None:
        """Have the server send again what a crashed process left unacknowledged."""
        for message in messages:
            await message.nak()
        await self.bus.client.flush()

    async def stored(self, stream: str) -> list[bytes]:
        jetstream = self.bus.jetstream
        info = await jetstream.stream_info(stream)
        return [
            (await jetstream.get_msg(stream, number)).data or b""
            for number in range(info.state.first_seq, info.state.last_seq + 1)
        ]

    async def lose_everything(self) -> None:
        for info in await self.bus.jetstream.streams_info():
            await self.bus.jetstream.delete_stream(str(info.config.name))
        await migrate_bus(self.bus.client, counter.TOPOLOGY)


async def _more(subscription: JetStreamContext.PullSubscription, in_hand: int) -> bool:
    """Return whether the consumer has anything that we do not have in hand."""
    info = await subscription.consumer_info()
    return bool(info.num_pending) or info.num_ack_pending != in_hand


@dataclass(frozen=True)
class Servers:
    """A real Postgres and NATS."""

    postgres: RunningPostgres
    nats: RunningNats


@dataclass(frozen=True)
class Containers:
    """The same in containers."""

    postgres: ContainerPostgres
    nats: ContainerNats


@dataclass(frozen=True)
class CounterDatabase:
    """A counter service's database of one test."""

    dsn: str
    admin_dsn: str


@asynccontextmanager
async def counter_database(
    postgres: RunningPostgres | ContainerPostgres,
) -> AsyncIterator[CounterDatabase]:
    """Give a fresh, migrated database for the counter service."""
    server = postgres.server
    await ensure_databases(server.dsn(), {"counter": PASSWORD})
    await migrate(server.dsn("tollgate_counter"), "counter", package=counter.PACKAGE)
    name = f"test_counter_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(server.dsn())
    try:
        await admin.execute(
            f"create database {name} template tollgate_counter strategy file_copy"
            " owner tollgate_counter_owner"
        )
        await admin.execute(f"grant connect on database {name} to tollgate_counter")
        yield CounterDatabase(server.dsn(name, "tollgate_counter", PASSWORD), server.dsn(name))
        await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


@asynccontextmanager
async def counter_bus(nats: RunningNats | ContainerNats) -> AsyncIterator[NatsBusUnderTest]:
    """Give a NATS with the counter's streams; the counter service has no user of its own there."""
    bus = Bus(service="counter", url=nats.url, user=NATS_ADMIN, password=PASSWORD)
    await bus.connect()
    try:
        await migrate_bus(bus.client, counter.TOPOLOGY)
        yield NatsBusUnderTest(bus)
    finally:
        await bus.close()


@pytest.fixture
def servers(postgres_server: RunningPostgres, nats_server: RunningNats) -> Servers:
    """Give the real servers."""
    return Servers(postgres_server, nats_server)


@pytest.fixture(scope="session")
def contained_postgres() -> Iterator[ContainerPostgres]:
    """Run a Postgres in a container for the session."""
    with postgres_container(PASSWORD) as running:
        yield running


@pytest.fixture
def containers(contained_postgres: ContainerPostgres) -> Iterator[Containers]:
    """Give the servers in containers, the NATS a new one."""
    with nats_container(PASSWORD) as nats:
        yield Containers(contained_postgres, nats)


@pytest.fixture(params=["twins", "real", "containers"])
def backend(request: pytest.FixtureRequest) -> Servers | Containers | None:
    """Choose the twins in memory (none), then the real servers, embedded and in containers."""
    names = {"twins": None, "real": "servers", "containers": "containers"}
    name = names[request.param]
    found: Servers | Containers | None = None if name is None else request.getfixturevalue(name)
    return found


@pytest_asyncio.fixture
async def bench(backend: Servers | Containers | None) -> AsyncIterator[Bench]:
    """Give the counter service, driven by hand, on one kind of backend."""
    async with AsyncExitStack() as stack:
        if backend is None:
            yield Bench(MemoryStore(), MemoryBusUnderTest())
            return
        database = await stack.enter_async_context(counter_database(backend.postgres))
        pool = await stack.enter_async_context(
            asyncpg.create_pool(database.dsn, min_size=1, max_size=20)
        )
        bus = await stack.enter_async_context(counter_bus(backend.nats))
        yield Bench(PostgresStore(pool), bus)


@pytest_asyncio.fixture
async def real_database(servers: Servers) -> AsyncIterator[CounterDatabase]:
    """Give a counter service's database on the real Postgres."""
    async with counter_database(servers.postgres) as database:
        yield database


@pytest_asyncio.fixture
async def real_bus(servers: Servers) -> AsyncIterator[NatsBusUnderTest]:
    """Give the counter's streams on the real NATS."""
    async with counter_bus(servers.nats) as bus:
        yield bus
