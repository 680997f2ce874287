"""JetStream lost, whole or in part: what the outboxes hold is there again, once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from runtime.bus_messages import READ_MAX
from runtime.bus_rebuild import send_again
from runtime.postgres_store import PostgresStore
from runtime.store import Changes, OutboxRow
from tests.integration.runtime.conftest import CounterDatabase, NatsBusUnderTest
from tests.support.counter import Add
from tests.support.runtime_bench import COUNTER_STREAM, Bench, ask

SERVICE = "counter"


@pytest_asyncio.fixture
async def pool(real_database: CounterDatabase) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(real_database.dsn, min_size=1, max_size=10) as opened:
        yield opened


@pytest_asyncio.fixture
async def bench(pool: asyncpg.Pool, real_bus: NatsBusUnderTest) -> Bench:
    return Bench(PostgresStore(pool), real_bus)


async def add(bench: Bench, count: int) -> None:
    """Add one, this often, and have it all sent."""
    waiting = [
        asyncio.ensure_future(bench.processor.execute(Add(actor="tester", counter="a", amount=1)))
        for _ in range(count)
    ]
    await asyncio.sleep(0)
    await bench.processor.drain()
    await asyncio.gather(*waiting)
    await send(bench)


async def send(bench: Bench) -> None:
    while await bench.relay.relay_once():
        pass


async def rebuild(bench: Bench, pool: asyncpg.Pool, *, check: bool = False) -> int:
    assert isinstance(bench.bus, NatsBusUnderTest)
    async with pool.acquire() as connection:
        return await send_again(bench.bus.bus.client, connection, SERVICE, check=check)


async def test_a_bus_that_was_lost_whole_has_all_facts_again_and_nobody_applies_one_twice(
    bench: Bench, pool: asyncpg.Pool
) -> None:
    await bench.bus.publish_batch([ask(amount=1, stream="asking-s", sequence=1)])
    await bench.consume()
    await add(bench, READ_MAX)
    before = await bench.bus.stored(COUNTER_STREAM)
    await bench.bus.lose_everything()

    assert await rebuild(bench, pool, check=True) == len(before)
    assert await bench.store.pending(1) == []
    assert await rebuild(bench, pool) == len(before)
    await send(bench)

    assert await bench.bus.stored(COUNTER_STREAM) == before
    assert await rebuild(bench, pool) == 0
    again = [ask(amount=n, stream="asking-s", sequence=n) for n in (1, 2)]
    await bench.bus.publish_batch(again)
    await bench.consume()
    assert await bench.total() == READ_MAX + 3


async def test_only_what_the_bus_lacks_is_sent_again(bench: Bench, pool: asyncpg.Pool) -> None:
    """As after a power failure that took the last seconds."""
    await add(bench, 5)
    rows = await pool.fetch("select * from outbox order by position")
    await bench.bus.lose_everything()
    await bench.bus.publish_batch(
        [OutboxRow(r["id"], r["subject"], r["stream"], r["sequence"], r["body"]) for r in rows[:3]]
    )
    assert await rebuild(bench, pool) == 2
    await send(bench)
    assert await bench.bus.stored(COUNTER_STREAM) == [row["body"].encode() for row in rows]


async def test_what_waits_to_be_sent_and_what_was_asked_are_left_to_themselves(
    bench: Bench, pool: asyncpg.Pool
) -> None:
    request = ask()
    asked = replace(request, subject="tollgate.counter.request.asked.v1")
    async with bench.store.transaction() as transaction:
        await transaction.write(Changes(outbox=[asked, request]))
    [_, waiting] = await bench.store.pending(2)
    await bench.store.mark_published([1])
    assert await rebuild(bench, pool) == 0
    assert await bench.store.pending(5) == [waiting]


async def test_two_rebuilds_at_once_are_one(bench: Bench, pool: asyncpg.Pool) -> None:
    await add(bench, 1)
    await bench.bus.lose_everything()
    async with pool.acquire() as other:
        await other.execute("select pg_advisory_lock(hashtext('tollgate.bus_rebuild'))")
        with pytest.raises(asyncpg.LockNotAvailableError, match="another rebuild"):
            await rebuild(bench, pool)
        await other.execute("select pg_advisory_unlock_all()")
    assert await rebuild(bench, pool) == 1
