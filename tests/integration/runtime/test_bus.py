"""The hazards of JetStream and its client that would lose or double messages, each seen not to."""

import asyncio
import subprocess
from dataclasses import replace

import asyncpg
import pytest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NoStreamResponseError
from structlog.testing import capture_logs

from contracts.subjects import stream_of_subject
from devkit.nats import ADMIN as NATS_ADMIN
from devkit.program import start
from runtime.bus import FEW, Bus
from runtime.bus_migrate import migrate_bus
from runtime.consumption import check_bus
from runtime.outbox import Relay, relay_as_leader
from runtime.postgres_store import PostgresStore
from runtime.spans import PassOn
from runtime.store import Changes, OutboxRow
from tests.integration.runtime.conftest import CounterDatabase, NatsBusUnderTest, Servers
from tests.support import counter
from tests.support.environment import PASSWORD
from tests.support.runtime_bench import ASKER_STREAM, ask

BOUND_SECONDS = 20


async def test_migrating_the_bus_again_changes_nothing(real_bus: NatsBusUnderTest) -> None:
    assert await migrate_bus(real_bus.bus.client, counter.TOPOLOGY) == []


async def test_a_stream_and_a_consumer_that_differ_are_told_and_then_mended(
    real_bus: NatsBusUnderTest,
) -> None:
    client, jetstream = real_bus.bus.client, real_bus.bus.jetstream
    stream = (await jetstream.stream_info(ASKER_STREAM)).config
    await jetstream.update_stream(StreamConfig(**{**vars(stream), "duplicate_window": 5.0}))
    found = (await jetstream.consumer_info(ASKER_STREAM, "counter")).config
    await jetstream.add_consumer(ASKER_STREAM, ConsumerConfig(**{**vars(found), "ack_wait": 3.0}))
    told = await migrate_bus(client, counter.TOPOLOGY, check=True)
    assert len(told) == 2
    assert (await migrate_bus(client, counter.TOPOLOGY)) == told
    assert await migrate_bus(client, counter.TOPOLOGY, check=True) == []


async def test_a_service_tells_at_start_that_its_consumer_is_missing_or_another(
    real_bus: NatsBusUnderTest,
) -> None:
    assert await check_bus(real_bus.bus, counter.TOPOLOGY) == []
    jetstream = real_bus.bus.jetstream
    found = (await jetstream.consumer_info(ASKER_STREAM, "counter")).config
    await jetstream.add_consumer(ASKER_STREAM, ConsumerConfig(**{**vars(found), "ack_wait": 3.0}))
    [problem] = await check_bus(real_bus.bus, counter.TOPOLOGY)
    assert "ack_wait" in problem
    await jetstream.delete_consumer(ASKER_STREAM, "counter")
    assert await check_bus(real_bus.bus, counter.TOPOLOGY) == [
        f"consumer {ASKER_STREAM}/counter is missing"
    ]
    assert await real_bus.bus.missing_consumers([ASKER_STREAM]) == [f"{ASKER_STREAM}/counter"]


async def test_a_service_tells_at_start_that_a_stream_is_another_or_missing(
    real_bus: NatsBusUnderTest,
) -> None:
    jetstream = real_bus.bus.jetstream
    stream = (await jetstream.stream_info(ASKER_STREAM)).config
    await jetstream.update_stream(StreamConfig(**{**vars(stream), "max_msgs": 7}))
    await jetstream.update_stream(StreamConfig(**{**vars(stream), "max_msg_size": 1024}))
    [problem] = await check_bus(real_bus.bus, counter.TOPOLOGY)
    assert problem.startswith(f"stream {ASKER_STREAM} max_msg_size")
    await jetstream.delete_stream("TOLLGATE_COUNTER")
    assert "stream TOLLGATE_COUNTER is missing" in await check_bus(real_bus.bus, counter.TOPOLOGY)


async def test_a_consumer_that_is_gone_is_not_asked_for_in_haste(
    real_bus: NatsBusUnderTest,
) -> None:
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    async def never(_: object) -> None:
        raise AssertionError("there is nothing to take")

    consuming = asyncio.create_task(real_bus.bus.consume(ASKER_STREAM, never, beat=beat))
    try:
        await asyncio.sleep(0)
        await real_bus.bus.jetstream.delete_consumer(ASKER_STREAM, "counter")
        async with asyncio.timeout(BOUND_SECONDS):
            while beats < 3:
                await asyncio.sleep(0.1)
        before = beats
        await asyncio.sleep(1)
        assert beats - before < 10
    finally:
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)


async def test_who_waits_for_room_to_take_a_message_is_not_stuck(
    real_bus: NatsBusUnderTest,
) -> None:
    beats = 0
    taking = asyncio.Event()

    def beat() -> None:
        nonlocal beats
        beats += 1

    async def without_room(_: object) -> None:
        taking.set()
        await asyncio.Event().wait()

    await real_bus.bus.publish(ask())
    consuming = asyncio.create_task(real_bus.bus.consume(ASKER_STREAM, without_room, beat=beat))
    try:
        async with asyncio.timeout(BOUND_SECONDS):
            await taking.wait()
            before = beats
            while beats < before + 2:
                await asyncio.sleep(0.05)
    finally:
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)


async def test_what_no_stream_takes_is_an_error_and_not_a_silent_loss(
    real_bus: NatsBusUnderTest,
) -> None:
    with pytest.raises(NoStreamResponseError):
        await real_bus.bus.publish(replace(ask(), subject="tollgate.asker.nobody.thing.v1"))


@pytest.mark.parametrize("place", [0, 2])
async def test_of_a_few_that_one_of_fails_the_rest_is_stored_and_the_failure_told(
    real_bus: NatsBusUnderTest, place: int
) -> None:
    rows = [ask() for _ in range(3)]
    sent = list(rows)
    sent[place] = replace(rows[place], subject="tollgate.asker.nobody.thing.v1")
    with pytest.raises(NoStreamResponseError):
        await real_bus.bus.publish_batch(sent)
    await real_bus.bus.publish_batch(rows)
    stored = await real_bus.stored(ASKER_STREAM)
    assert sorted(stored) == sorted(row.body.encode() for row in rows)


@pytest.mark.parametrize("count", [FEW, FEW + 1])
async def test_a_batch_with_a_message_that_is_there_already_is_stored_once_and_whole(
    real_bus: NatsBusUnderTest, count: int
) -> None:
    rows = [ask() for _ in range(count)]
    await real_bus.bus.publish(rows[2])
    await real_bus.bus.publish_batch(rows)
    stored = await real_bus.stored(ASKER_STREAM)
    assert sorted(stored) == sorted(row.body.encode() for row in rows)


@pytest.mark.parametrize("count", [FEW, 100])
async def test_a_batch_keeps_its_order(real_bus: NatsBusUnderTest, count: int) -> None:
    rows = [ask() for _ in range(count)]
    await real_bus.bus.publish_batch(rows)
    assert await real_bus.stored(ASKER_STREAM) == [row.body.encode() for row in rows]


async def test_two_relays_of_one_outbox_publish_each_message_once(
    real_database: CounterDatabase, real_bus: NatsBusUnderTest
) -> None:
    async with asyncpg.create_pool(real_database.dsn, min_size=2) as pool:
        store = PostgresStore(pool)
        rows = [ask() for _ in range(50)]
        relays = [
            asyncio.create_task(relay_as_leader(relay, real_database.dsn))
            for relay in (Relay(store, real_bus.bus, PassOn()) for _ in range(2))
        ]
        try:
            for row in rows:
                async with store.transaction() as transaction:
                    await transaction.write(Changes(outbox=[row]))
            async with asyncio.timeout(BOUND_SECONDS):
                while await store.pending(1):
                    await asyncio.sleep(0.05)
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
    assert await real_bus.stored(ASKER_STREAM) == [row.body.encode() for row in rows]


async def test_the_connection_outlives_a_server_that_is_away_for_a_while(
    servers: Servers,
) -> None:
    bus = Bus(service="counter", url=servers.nats.url, user=NATS_ADMIN, password=PASSWORD)
    await bus.connect()
    try:
        await migrate_bus(bus.client, counter.TOPOLOGY)
        servers.nats.child.process.kill()
        servers.nats.child.process.wait()
        revived = _restart(servers)
        try:
            await _until_published(bus, ask())
        finally:
            await bus.close()
            revived.kill()
            revived.wait()
    finally:
        await bus.close()


async def test_a_bus_that_is_closed_was_not_lost(servers: Servers) -> None:
    bus = Bus(service="counter", url=servers.nats.url, user=NATS_ADMIN, password=PASSWORD)
    await bus.connect()
    with capture_logs() as said:
        await bus.close()
    assert said == []


async def test_consuming_goes_on_after_the_server_was_killed(servers: Servers) -> None:
    bus = Bus(service="counter", url=servers.nats.url, user=NATS_ADMIN, password=PASSWORD)
    await bus.connect()
    taken: list[bytes] = []

    async def take(message: Msg) -> None:
        taken.append(message.data)
        await message.ack()

    await migrate_bus(bus.client, counter.TOPOLOGY)
    consuming = asyncio.create_task(bus.consume(ASKER_STREAM, take, beat=lambda: None))
    before, after = ask(), ask()
    revived = None
    try:
        await bus.publish(before)
        servers.nats.child.process.kill()
        servers.nats.child.process.wait()
        revived = _restart(servers)
        await _until_published(bus, after)
        async with asyncio.timeout(BOUND_SECONDS):
            while {before.body.encode(), after.body.encode()} - set(taken):
                await asyncio.sleep(0.05)
    finally:
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)
        await bus.close()
        if revived is not None:
            revived.kill()
            revived.wait()


async def _until_published(bus: Bus, row: OutboxRow) -> None:
    """Publish again until it is acknowledged, as the relay does."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            try:
                await bus.publish(row)
            except NatsError:
                await asyncio.sleep(0.05)
            else:
                return


def _restart(servers: Servers) -> subprocess.Popen[bytes]:
    return start(servers.nats.server.program()).process


def test_requests_facts_and_logs_travel_on_streams_of_their_own() -> None:
    assert stream_of_subject("tollgate.gateway.request.award_requested.v1") == "TOLLGATE_REQUESTS"
    assert stream_of_subject("tollgate.gateway.user.user_registered.v1") == "TOLLGATE_GATEWAY"
    assert stream_of_subject("tollgate.logs.v1.some-build") == "TOLLGATE_LOGS"
