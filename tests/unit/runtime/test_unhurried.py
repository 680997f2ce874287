"""What nobody waits for goes along with others, and never stays behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from typing_extensions import override

from contracts.envelope import Envelope
from runtime.clock import ManualClock
from runtime.inbox import Delivery
from runtime.memory_store import MemoryStore
from runtime.processor import Processor
from runtime.spans import PassOn
from runtime.store import Transaction, Waiting
from runtime.work import Message
from tests.support import counter
from tests.support.runtime_bench import NOON, ask

BOUND_SECONDS = 30
ATTEMPTS = 20


class Counting(MemoryStore):
    """A store that counts the transactions that are begun."""

    transactions = 0

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.transactions += 1
        async with super().transaction() as begun:
            yield begun


def from_bus(message: Message) -> bool:
    return isinstance(message, Envelope)


def unreadable(waiting: Waiting) -> Delivery:
    raise ValueError(waiting)


def processor(store: MemoryStore) -> Processor:
    service = counter.build()
    return Processor(
        service=service.name,
        store=store,
        clock=ManualClock(NOON),
        kinds=service.kinds,
        handlers=service.handlers,
        projections=(),
        refused=service.refused,
        followed_kinds=frozenset({"asking"}),
        spans=PassOn(),
        wake_relay=lambda: None,
        decode_waiting=unreadable,
        unhurried=from_bus,
    )


def delivery(settled: asyncio.Event) -> Delivery:
    row = ask()

    async def settle() -> None:
        settled.set()

    body = row.body.encode()
    envelope = counter.decode(counter.type_of_subject(row.subject), body)
    return Delivery(envelope, row.subject, body, NOON, settle)


@contextmanager
def running(processor: Processor) -> Iterator[None]:
    task = asyncio.create_task(processor.run())
    try:
        yield
    finally:
        task.cancel()


async def test_what_nobody_waits_for_is_done_though_nothing_else_comes() -> None:
    store, settled = Counting(), asyncio.Event()
    counting = processor(store)
    with running(counting):
        await counting.submit(delivery(settled))
        async with asyncio.timeout(BOUND_SECONDS):
            await settled.wait()
    assert store.transactions == 1


async def test_it_goes_along_with_what_is_waited_for() -> None:
    # A machine that stands still for a moment may end its wait before.
    assert 1 in [await transactions_of_four() for _ in range(ATTEMPTS)]


async def transactions_of_four() -> int:
    """Return how many transactions three messages and then a command take, all of which is done."""
    store, settled = Counting(), [asyncio.Event() for _ in range(3)]
    counting = processor(store)
    with running(counting):
        for each in settled:
            await counting.submit(delivery(each))
            for _ in range(10):
                await asyncio.sleep(0)
        await counting.execute(counter.Add(actor="tester", counter="b", amount=1))
        assert [each.is_set() for each in settled] == [True] * 3
    return store.transactions
