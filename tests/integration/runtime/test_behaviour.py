"""What store, bus and processor promise together; each claim is put to the twins and the real."""

import asyncio
import random
from dataclasses import replace

import pytest

from contracts.envelope import Envelope
from runtime.inbox import RETRY_DELAYS
from runtime.refusal import Refusal
from runtime.store import Changes, FactRow, Head, OutboxRow, WrongVersionError
from tests.support.counter import Add, CounterAdded, decode, type_of_subject
from tests.support.runtime_bench import ASKER_STREAM, COUNTER_STREAM, NOON, Bench, ask


async def published(bench: Bench) -> list[Envelope[CounterAdded]]:
    """Return what is on the bus of the counter's."""
    return [
        decode("tollgate.counter.counter_added.v1", body)
        for body in await bench.bus.stored(COUNTER_STREAM)
    ]


async def execute(bench: Bench, *commands: Add) -> list[object]:
    """Carry out commands side by side; return outcomes and exceptions."""
    waiting = [asyncio.ensure_future(bench.processor.execute(c)) for c in commands]
    await asyncio.sleep(0)
    await bench.processor.drain()
    return await asyncio.gather(*waiting, return_exceptions=True)


def add(amount: int, name: str = "a", *, explode_after: bool = False) -> Add:
    return Add(actor="tester", counter=name, amount=amount, explode_after=explode_after)


async def test_concurrent_commands_on_one_stream_all_count_once(bench: Bench) -> None:
    await execute(bench, *(add(1) for _ in range(50)))
    rows = await bench.store.read("counter-a")
    assert [row.version for row in rows] == list(range(1, 51))
    assert await bench.total() == 50


async def test_two_replicas_on_one_store_never_lose_or_double(bench: Bench) -> None:
    other = Bench(bench.store, bench.bus, bench.clock)
    await asyncio.gather(
        execute(bench, *(add(1) for _ in range(40))), execute(other, *(add(1) for _ in range(40)))
    )
    rows = await bench.store.read("counter-a")
    assert [row.version for row in rows] == list(range(1, 81))


async def test_a_refused_command_changes_nothing_and_the_others_of_its_batch_count(
    bench: Bench,
) -> None:
    outcomes = await execute(bench, add(5), add(-50), add(2))
    assert isinstance(outcomes[1], Refusal)
    assert outcomes[1].code == "BELOW_ZERO"
    assert await bench.total() == 7


async def test_a_command_that_fails_after_appending_leaves_no_trace(bench: Bench) -> None:
    outcomes = await execute(bench, add(5), add(1, explode_after=True), add(2))
    assert isinstance(outcomes[1], ArithmeticError)
    assert await bench.total() == 7
    assert [row.version for row in await bench.store.read("counter-a")] == [1, 2]


async def test_each_fact_is_chained_to_the_one_before(bench: Bench) -> None:
    await execute(bench, add(1), add(2))
    await execute(bench, add(3))
    rows = await bench.store.read("counter-a")
    assert rows[0].previous_hash == bytes(32)
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]


async def test_time_never_runs_backwards_in_a_stream(bench: Bench) -> None:
    await execute(bench, add(1))
    earlier = Bench(bench.store, bench.bus)
    earlier.clock = type(bench.clock)(NOON.replace(year=2020))
    earlier.restart()
    await execute(earlier, add(1))
    rows = await bench.store.read("counter-a")
    assert rows[0].at <= rows[1].at


async def test_to_append_at_a_version_that_is_taken_is_refused(bench: Bench) -> None:
    await execute(bench, add(1))
    [row] = await bench.store.read("counter-a")
    with pytest.raises(WrongVersionError):
        async with bench.store.transaction() as transaction:
            await transaction.write(Changes(facts=[row], heads=[Head("counter-a", version=1)]))
    assert len(await bench.store.read("counter-a")) == 1


async def test_a_transaction_that_fails_writes_nothing(bench: Bench) -> None:
    row = FactRow("counter-x", 1, "i", NOON, "{}", "a", "c", None, bytes(32), bytes(32))
    with pytest.raises(ZeroDivisionError):
        async with bench.store.transaction() as transaction:
            await transaction.write(Changes(facts=[row], cursors={}, outbox=[ask()]))
            raise ZeroDivisionError
    assert await bench.store.read("counter-x") == []
    assert await bench.store.pending(10) == []


async def test_a_message_is_handled_once_although_the_process_dies_before_acknowledging(
    bench: Bench,
) -> None:
    await bench.bus.publish_batch([ask(amount=1), ask(amount=2)])
    assert await bench.consume(crash_before_ack=True) == 2
    assert await bench.total() == 3
    assert await bench.consume() == 2
    assert await bench.total() == 3
    assert await bench.consume() == 0


async def test_a_repeated_message_is_handled_once(bench: Bench) -> None:
    first = ask(amount=4)
    again = replace(first, id="another-id-on-the-bus")
    await bench.bus.publish_batch([first])
    await bench.bus.publish_batch([again])
    await bench.consume()
    assert await bench.total() == 4


async def test_messages_of_a_stream_are_handled_in_its_order_whatever_order_they_come_in(
    bench: Bench,
) -> None:
    rows = [ask(amount=n, stream="asking-s", sequence=n) for n in range(1, 8)]
    random.Random(1).shuffle(rows)
    await bench.bus.publish_batch(rows)
    for _ in range(8):
        await bench.consume()
    bodies = [row.body for row in await bench.store.read("counter-a")]
    assert [body.partition('"amount":')[2][0] for body in bodies] == list("1234567")


async def test_what_comes_early_waits_in_the_database_until_its_predecessor_comes(
    bench: Bench,
) -> None:
    early = ask(amount=10, stream="asking-s", sequence=2)
    await bench.bus.publish_batch([early])
    await bench.consume()
    bench.wait(3)
    await bench.consume()
    bench.restart()
    assert await bench.total() == 0
    await bench.bus.publish_batch([ask(amount=1, stream="asking-s", sequence=1)])
    await bench.consume()
    await bench.process_due()
    assert await bench.total() == 11


async def test_a_message_waits_for_what_its_sender_had_seen(bench: Bench) -> None:
    await bench.bus.publish_batch([ask(amount=1, seen="asking-other=1")])
    await bench.consume()
    assert await bench.total() == 0
    await bench.bus.publish_batch([ask(amount=10, stream="asking-other", sequence=1)])
    await bench.consume()
    await bench.consume()
    assert await bench.total() == 11


async def test_a_message_does_not_wait_for_ever_for_what_its_sender_had_seen(bench: Bench) -> None:
    await bench.bus.publish_batch([ask(amount=1, seen="asking-never=1")])
    await bench.consume()
    bench.wait(2.1)
    await bench.consume()
    assert await bench.total() == 1


async def test_one_bad_message_costs_only_itself(bench: Bench) -> None:
    rows = [ask(amount=1) for _ in range(20)]
    rows[7] = ask(amount=1, explode=True)
    await bench.bus.publish_batch(rows)
    await bench.consume()
    assert await bench.total() == 19
    waiting = await bench.store.due(bench.clock.now().replace(year=2030), 10)
    assert [(w.reason, w.attempts) for w in waiting] == [("failed", 1)]


async def test_a_message_that_keeps_failing_is_parked_and_its_stream_waits_behind_it(
    bench: Bench,
) -> None:
    bad = ask(amount=1, stream="asking-s", sequence=1, explode=True)
    behind = ask(amount=5, stream="asking-s", sequence=2)
    other = ask(amount=7, stream="asking-t", sequence=1)
    await bench.bus.publish_batch([bad, behind, other])
    await bench.consume()
    for _ in range(len(RETRY_DELAYS) + 1):
        bench.wait(31)
        await bench.consume()
        await bench.process_due()
    assert await bench.total() == 7
    assert await bench.store.due(bench.clock.now().replace(year=2030), 10) == []


async def test_what_nobody_can_read_is_parked_and_costs_only_itself(bench: Bench) -> None:
    good = ask(amount=3)
    broken = replace(ask(), body="not json")
    misfit = replace(ask(), body=ask().body.replace('"amount":1', '"amount":"1"'))
    await bench.bus.publish_batch([broken])
    await bench.bus.publish_batch([misfit])
    await bench.bus.publish_batch([good])
    assert await bench.consume() == 3
    assert await bench.total() == 3
    assert await bench.consume() == 0


async def test_what_is_published_is_numbered_without_a_gap(bench: Bench) -> None:
    await execute(bench, add(1), add(2))
    await execute(bench, add(3))
    await bench.relay.relay_once()
    assert [(e.subject, e.sequence) for e in await published(bench)] == [
        ("counter-a", 1),
        ("counter-a", 2),
        ("counter-a", 3),
    ]


async def test_a_relay_that_dies_between_publishing_and_marking_publishes_nothing_twice(
    bench: Bench,
) -> None:
    await execute(bench, *(add(1) for _ in range(5)))
    await bench.bus.publish_batch(await bench.store.pending(3))
    bench.restart()
    await bench.relay.relay_once()
    assert [e.sequence for e in await published(bench)] == [1, 2, 3, 4, 5]
    assert await bench.store.pending(10) == []


async def test_the_answer_carries_the_request_it_answers(bench: Bench) -> None:
    request = ask(amount=1)
    await bench.bus.publish_batch([request])
    await bench.consume()
    await bench.relay.relay_once()
    sent = decode(type_of_subject(request.subject), request.body.encode())
    [answer] = await published(bench)
    assert answer.correlationid == sent.correlationid
    assert answer.seen_streams() == {sent.subject: 1}


async def test_a_request_that_a_rule_forbids_is_answered_with_a_refusal(bench: Bench) -> None:
    await bench.bus.publish_batch([ask(amount=-1)])
    await bench.consume()
    [row] = await bench.store.pending(10)
    assert isinstance(row, OutboxRow)
    assert row.subject == "tollgate.counter.refusal.request_refused.v1"
    assert '"code":"BELOW_ZERO"' in row.body
    assert await bench.total() == 0


async def test_the_asker_stream_is_the_one_consumed(bench: Bench) -> None:
    await bench.bus.publish_batch([ask()])
    assert len(await bench.bus.stored(ASKER_STREAM)) == 1
