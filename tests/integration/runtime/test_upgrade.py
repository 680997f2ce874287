"""Two releases of a service side by side, one version of a message apart, forth and back.

Release 1 knows `add_requested` in version 1, release 2 in versions 1 and 2. Both are on one
database and one bus, as in a rolling upgrade.
"""

from collections.abc import AsyncIterator
from typing import Annotated, ClassVar, Final

import asyncpg
import pytest_asyncio
from pydantic import Field

from contracts.decoding import Registry
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.upcasters import Upcaster
from runtime.ids import new_id
from runtime.parked import retry_readable
from runtime.postgres_store import PostgresStore
from runtime.store import OutboxRow
from tests.integration.runtime.conftest import CounterDatabase, NatsBusUnderTest
from tests.support.counter import AddRequested, CounterAdded
from tests.support.runtime_bench import NOON, Bench, ask


class AddRequestedBecause(Event):
    """A number should be added, for a reason: version 2."""

    service: ClassVar[str] = "asker"
    kind: ClassVar[str] = "asking"
    fact: ClassVar[str] = "add_requested"
    contract_version: ClassVar[int] = 2

    counter: str
    amount: Annotated[int, Field(ge=-1_000)]
    because: str
    explode: bool = False


def up(old: AddRequested) -> AddRequestedBecause:
    return AddRequestedBecause(
        counter=old.counter, amount=old.amount, because="", explode=old.explode
    )


RELEASE_1: Final = Registry([AddRequested, CounterAdded])
RELEASE_2: Final = Registry(
    [AddRequested, AddRequestedBecause, CounterAdded],
    [Upcaster(AddRequested, AddRequestedBecause, up)],
)


def ask_because(amount: int, *, stream: str, sequence: int) -> OutboxRow:
    """Return a request of version 2, as a sender of release 2 sends it."""
    event = AddRequestedBecause(counter="a", amount=amount, because="it is time")
    envelope = Envelope[AddRequestedBecause](
        id=new_id(),
        source="/tollgate/asker",
        type=event.type_name(),
        subject=stream,
        time=NOON,
        dataschema=event.schema_id(),
        partitionkey=stream,
        sequence=sequence,
        correlationid=new_id(),
        data=event,
    )
    return OutboxRow(
        envelope.id, event.bus_subject(), stream, sequence, envelope.to_bytes().decode()
    )


@pytest_asyncio.fixture
async def pool(real_database: CounterDatabase) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(real_database.dsn, min_size=1, max_size=10) as opened:
        yield opened


@pytest_asyncio.fixture
async def before(pool: asyncpg.Pool, real_bus: NatsBusUnderTest) -> Bench:
    return Bench(PostgresStore(pool), real_bus, decode=RELEASE_1.decode)


@pytest_asyncio.fixture
async def after(before: Bench) -> Bench:
    return Bench(before.store, before.bus, before.clock, decode=RELEASE_2.decode)


async def unread(pool: asyncpg.Pool) -> list[tuple[str, int, str]]:
    rows = await pool.fetch("select stream, sequence, reason from inbox_waiting order by 1, 2")
    return [tuple(row) for row in rows]


async def look_again(bench: Bench, pool: asyncpg.Pool) -> int:
    """Do what a running process does now and then, and handle what comes of it."""
    async with pool.acquire() as connection:
        again = await retry_readable(connection, bench.consumption.readable)
    await bench.process_due()
    return again


async def test_both_releases_do_what_was_asked_in_the_version_that_both_know(
    before: Bench, after: Bench
) -> None:
    """The first half of an upgrade: everybody learns to read, nobody sends yet."""
    for bench, other in ((before, after), (after, before)):
        await bench.bus.publish_batch([ask(amount=1), ask(amount=2)])
        await bench.consume()
        await other.consume()
    assert await after.total() == 6


async def test_what_only_the_newer_release_knows_waits_for_it_and_others_go_on(
    before: Bench, after: Bench, pool: asyncpg.Pool
) -> None:
    await before.bus.publish_batch(
        [
            ask(amount=1, stream="asking-s", sequence=1),
            ask_because(amount=2, stream="asking-s", sequence=2),
            ask(amount=4, stream="asking-s", sequence=3),
            ask(amount=8),
        ]
    )
    await before.consume()
    before.wait(5)
    await before.consume()
    await before.processor.drain()
    assert await before.total() == 9
    assert ("asking-s", 2, "undecodable") in await unread(pool)
    assert await look_again(before, pool) == 0

    assert await look_again(after, pool) == 1
    await after.process_due()

    assert await after.total() == 15
    assert await unread(pool) == []


async def test_a_release_rolled_back_and_forth_loses_and_doubles_nothing(
    before: Bench, after: Bench, pool: asyncpg.Pool
) -> None:
    await after.bus.publish_batch([ask_because(amount=1, stream="asking-s", sequence=1)])
    await after.consume(crash_before_ack=True)
    await after.bus.publish_batch([ask_because(amount=2, stream="asking-s", sequence=2)])

    await before.consume()
    assert await before.total() == 1
    # Handled before by the newer release, as its place in its stream says: nobody waits for it.
    assert await unread(pool) == [
        ("asking-s", 1, "undecodable"),
        ("asking-s", 2, "undecodable"),
    ]

    await look_again(after, pool)
    assert await after.total() == 3
    assert await unread(pool) == []
