"""A database from a backup older than the bus: it is said, and what can be is brought back."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest_asyncio

from runtime.postgres_store import PostgresStore
from runtime.restored import Importing, Restoring, lacks_of_bus
from tests.integration.runtime.conftest import CounterDatabase, NatsBusUnderTest, Servers
from tests.support import counter
from tests.support.counter import Add
from tests.support.environment import PASSWORD
from tests.support.runtime_bench import COUNTER_STREAM, Bench, ask

SERVICE = "counter"


@asynccontextmanager
async def working(database: CounterDatabase, bus: NatsBusUnderTest) -> AsyncIterator[Bench]:
    """Give the counter on a database, for a while."""
    async with asyncpg.create_pool(database.dsn, min_size=1, max_size=10) as pool:
        yield Bench(PostgresStore(pool), bus)


@pytest_asyncio.fixture
async def backup(
    servers: Servers, real_database: CounterDatabase, real_bus: NatsBusUnderTest
) -> AsyncIterator[CounterDatabase]:
    """Give a backup of the database, after which the service went on: three more facts of three."""
    async with working(real_database, real_bus) as bench:
        await add(bench, 1)
        await real_bus.publish_batch([ask(amount=2, stream="asking-s", sequence=1)])
        await bench.consume()
        await bench.relay.relay_once()
    server, name = servers.postgres.server, f"test_counter_{secrets.token_hex(6)}"
    original = real_database.dsn.rpartition("/")[2].partition("?")[0]
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"create database {name} template {original} owner tollgate_counter_owner")
    await admin.execute(f"grant connect on database {name} to tollgate_counter")
    async with working(real_database, real_bus) as bench:
        await add(bench, 4)
        await real_bus.publish_batch(
            [
                ask(amount=8, stream="asking-s", sequence=2),
                ask(amount=-100, stream="asking-s", sequence=3),
            ]
        )
        await bench.consume()
        await bench.relay.relay_once()
    yield CounterDatabase(server.dsn(name, "tollgate_counter", PASSWORD), server.dsn(name))
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def add(bench: Bench, amount: int) -> None:
    adding = asyncio.ensure_future(
        bench.processor.execute(Add(actor="tester", counter="a", amount=amount))
    )
    await asyncio.sleep(0)
    await bench.processor.drain()
    await adding


async def imported(
    database: CounterDatabase, bus: NatsBusUnderTest, **how: Any
) -> tuple[Any, list[Any]]:
    """Return what an import says, and all facts afterwards."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        importing = Importing(
            SERVICE,
            (counter.COUNTER,),
            (counter.Totals(),),
            accept_loss=how.pop("accept_loss", False),
            restoring=Restoring(),
        )
        found = await importing.run(connection, bus.bus.client, **how)
        return found, await facts(database)
    finally:
        await connection.close()


async def facts(database: CounterDatabase) -> list[Any]:
    connection = await asyncpg.connect(database.dsn)
    try:
        rows = await connection.fetch(
            """select stream, version, id, at, body, actor, correlation_id, causation_id, hash
               from facts order by stream, version"""
        )
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


async def lacks(database: CounterDatabase, bus: NatsBusUnderTest) -> str | None:
    connection = await asyncpg.connect(database.dsn)
    try:
        return await lacks_of_bus(bus.bus.jetstream, connection, SERVICE)
    finally:
        await connection.close()


async def test_a_database_older_than_the_bus_is_found_and_the_one_beside_it_is_not(
    real_database: CounterDatabase, backup: CounterDatabase, real_bus: NatsBusUnderTest
) -> None:
    assert await lacks(real_database, real_bus) is None
    told = await lacks(backup, real_bus)
    assert told is not None
    assert "older than the bus" in told


async def test_what_is_proven_by_its_hash_is_brought_back_to_the_last_byte(
    real_database: CounterDatabase, backup: CounterDatabase, real_bus: NatsBusUnderTest
) -> None:
    only_told, before = await imported(backup, real_bus, check=True)
    found, after = await imported(backup, real_bus)

    assert only_told == found
    assert (found.messages, found.facts, found.lost) == (3, 2, ())
    assert len(before) == 2
    assert after == await facts(real_database)
    assert await lacks(backup, real_bus) is None
    assert (await imported(backup, real_bus))[0].messages == 0


async def test_afterwards_the_service_goes_on_where_others_are(
    backup: CounterDatabase, real_bus: NatsBusUnderTest
) -> None:
    """What came after the backup comes again, and changes nothing that was brought back."""
    await imported(backup, real_bus)
    before = len(await real_bus.stored(COUNTER_STREAM))
    async with working(backup, real_bus) as bench:
        await add(bench, 16)
        await bench.relay.relay_once()
        assert await bench.total() == 31
    assert len(await real_bus.stored(COUNTER_STREAM)) == before + 1
    connection = await asyncpg.connect(backup.dsn)
    numbers = await connection.fetch("select sequence from outbox where stream = 'counter-a'")
    total = await connection.fetchval("select total from totals where counter = 'counter-a'")
    await connection.close()
    assert sorted(row["sequence"] for row in numbers) == [1, 2, 3, 4, 5]
    assert total == 31


async def test_what_cannot_be_proven_is_told_and_nothing_is_invented(
    backup: CounterDatabase, real_bus: NatsBusUnderTest
) -> None:
    """The backup's last hash is another: no fact of the stream can follow it."""
    admin = await asyncpg.connect(backup.admin_dsn)
    await admin.execute("update streams set last_hash = sha256('x') where name = 'counter-a'")
    await admin.close()

    found, after = await imported(backup, real_bus)
    assert (found.messages, found.facts) == (1, 0)
    assert [(lost.stream, lost.sequence) for lost in found.lost] == [
        ("counter-a", 3),
        ("counter-a", 4),
    ]
    assert "hash" in found.lost[0].reason
    assert len(after) == 2

    accepted, after = await imported(backup, real_bus, accept_loss=True)
    assert (accepted.messages, accepted.facts, len(accepted.lost)) == (2, 0, 2)
    assert len(after) == 2
    assert await lacks(backup, real_bus) is None
