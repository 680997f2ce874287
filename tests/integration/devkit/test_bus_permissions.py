"""What a service's user on the bus can and cannot do, asked of the real server."""

import asyncio
import json
from typing import Any, Final

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig

from contracts.registry import FOLLOWS, SERVICES
from contracts.subjects import facts_stream
from devkit.nats import LOG_WRITERS
from runtime.bus_permissions import permissions
from runtime.bus_topology import consumers, streams
from services.wiring import TOPOLOGY
from tests.support.environment import RunningNats

STREAMS: Final = {str(stream.name): stream for stream in streams(TOPOLOGY)}
CONSUMERS: Final = consumers(TOPOLOGY)


class Errors:
    """What the server refused on a connection, in its own words, as it says it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._news = asyncio.Event()

    async def note(self, error: Exception) -> None:
        self.texts.append(str(error).lower())
        self._news.set()

    async def number(self, count: int) -> None:
        """Wait until there are as many."""
        while len(self.texts) < count:
            self._news.clear()
            await self._news.wait()

    async def include_request(self, client: Client, subject: str, body: bytes = b"{}") -> bool:
        """Ask, and return whether the server refused to be asked; an allowed one is answered."""
        before = len(self.texts)
        answered = asyncio.create_task(client.request(subject, body, timeout=5))
        refused = asyncio.create_task(self.number(before + 1))
        await asyncio.wait({answered, refused}, return_when=asyncio.FIRST_COMPLETED)
        for task in (answered, refused):
            task.cancel()
        await asyncio.gather(answered, refused, return_exceptions=True)
        return any(f'for publish to "{subject.lower()}"' in text for text in self.texts[before:])


def a_subject_of(service: str) -> str:
    subjects = STREAMS[facts_stream(service)].subjects
    assert subjects
    return subjects[0].replace(">", "x.v1")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_publishes_its_own_facts(bus: RunningNats, service: str) -> None:
    async with bus.connected(service) as client:
        stored = await client.jetstream().publish(
            a_subject_of(service), b"{}", stream=facts_stream(service)
        )

    assert stored.seq == 1


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_publish_for_another(bus: RunningNats, service: str) -> None:
    others = set(SERVICES) - {service}
    errors = Errors()
    async with bus.connected(service, error_cb=errors.note) as client:
        for other in others:
            assert await errors.include_request(client, a_subject_of(other))

    async with bus.connected() as admin:
        for other in others:
            info = await admin.jetstream().stream_info(facts_stream(other))
            assert info.state.messages == 0


async def test_only_the_deployer_writes_logs_of_builds(bus: RunningNats) -> None:
    for service in SERVICES:
        errors = Errors()
        async with bus.connected(service, error_cb=errors.note) as client:
            refused = await errors.include_request(client, "tollgate.logs.v1.b")
        assert refused is (service not in LOG_WRITERS)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_through_its_own_consumers_and_acknowledges(
    bus: RunningNats, service: str
) -> None:
    own = [(stream, config) for stream, config in CONSUMERS if config.durable_name == service]
    async with bus.connected() as admin, bus.connected(service) as client:
        for stream, config in own:
            subject = (config.filter_subjects or [""])[0].replace(">", "x.v1")
            await admin.jetstream().publish(subject, b"{}", stream=stream)
            subscription = await client.jetstream().pull_subscribe_bind(service, stream=stream)

            [message] = await subscription.fetch(1, timeout=5)
            await message.ack_sync()

            info = await client.jetstream().consumer_info(stream, service)
            assert info.num_ack_pending == 0


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_read_through_anothers_consumer(
    bus: RunningNats, service: str
) -> None:
    stream, config = next(
        (stream, config) for stream, config in CONSUMERS if config.durable_name != service
    )
    errors = Errors()
    async with bus.connected(service, error_cb=errors.note) as client:
        api = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{config.durable_name}"
        assert await errors.include_request(client, api, b"1")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_make_change_or_delete_streams_and_consumers(
    bus: RunningNats, service: str
) -> None:
    stream = facts_stream(service)
    consumer = json.dumps({"config": ConsumerConfig(durable_name="mine").as_dict()}).encode()
    new_stream = json.dumps(StreamConfig(name="MINE", subjects=["mine.>"]).as_dict()).encode()
    errors = Errors()
    async with bus.connected(service, error_cb=errors.note) as client:
        for subject, body in (
            ("$JS.API.STREAM.CREATE.MINE", new_stream),
            (f"$JS.API.STREAM.UPDATE.{stream}", new_stream),
            (f"$JS.API.STREAM.PURGE.{stream}", b""),
            (f"$JS.API.STREAM.DELETE.{stream}", b""),
            (f"$JS.API.STREAM.MSG.DELETE.{stream}", b'{"seq":1}'),
            (f"$JS.API.CONSUMER.CREATE.{stream}.mine", consumer),
            (f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.mine", consumer),
            ("$JS.API.CONSUMER.DELETE.TOLLGATE_LEDGER.revenue", b""),
        ):
            assert await errors.include_request(client, subject, body), subject

    async with bus.connected() as admin:
        names = {info.config.name for info in await admin.jetstream().streams_info()}
    assert names == set(STREAMS)


async def test_a_service_hears_neither_facts_nor_others_replies_by_listening(
    bus: RunningNats,
) -> None:
    subjects = ("tollgate.>", "_INBOX_ledger.>", "_INBOX.>", ">")
    heard: list[Any] = []
    errors = Errors()

    async def note(message: Any) -> None:
        heard.append(message)

    async with bus.connected("revenue", error_cb=errors.note) as client:
        for subject in subjects:
            await client.subscribe(subject, cb=note)
        async with asyncio.timeout(5):
            await errors.number(len(subjects))
        async with bus.connected("ledger") as ledger:
            await ledger.jetstream().publish(
                a_subject_of("ledger"), b"{}", stream="TOLLGATE_LEDGER"
            )
        await client.flush()

    assert heard == []
    assert all("permissions violation for subscription" in text for text in errors.texts)


async def test_a_wrong_password_is_refused(bus: RunningNats) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bus.server.port)
    async with asyncio.timeout(5):
        await reader.readline()
        writer.write(b'CONNECT {"user":"ledger","pass":"wrong","verbose":true}\r\nPING\r\n')
        answer = await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert b"Authorization Violation" in answer


def test_rights_on_the_api_name_each_stream_and_consumer() -> None:
    for rights in permissions(TOPOLOGY, log_writers=LOG_WRITERS).values():
        for subject in rights["publish"]["allow"]:
            assert not (subject.startswith("$JS.API") and ("*" in subject or ">" in subject))


def test_every_service_that_follows_anything_has_a_consumer() -> None:
    named = {config.durable_name for _, config in CONSUMERS}
    assert named >= {service for service, followed in FOLLOWS.items() if followed}


def test_the_configuration_with_the_passwords_is_ours_alone(nats_server: RunningNats) -> None:
    configuration = nats_server.server.home / "nats.conf"
    assert configuration.stat().st_mode & 0o777 == 0o600
