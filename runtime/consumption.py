"""From the bus into the processor: decode, or park what cannot be decoded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import asyncpg
import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts.envelope import Envelope
from contracts.subjects import facts_stream
from runtime.bus import CONSUMER_CHECK_SECONDS, Bus
from runtime.bus_topology import Topology, consumers, drift, streams
from runtime.clock import Clock
from runtime.inbox import Delivery, undecodable
from runtime.metrics import MESSAGES
from runtime.parked import retry_readable
from runtime.processor import OUTAGE_RETRY_SECONDS, OUTAGES, Processor
from runtime.store import Changes, Store, Waiting

Decode = Callable[[str, bytes], Envelope[Any]]

READABLE_CHECK_SECONDS: Final = 30.0


class BusMessage(Protocol):
    """A message as a bus hands it over: NATS', or the twin's."""

    @property
    def subject(self) -> str:
        """The NATS subject."""
        ...

    @property
    def data(self) -> bytes:
        """The message's bytes."""
        ...

    @property
    def metadata(self) -> Any:
        """Its `stream` and `sequence.stream`, the number it has there."""
        ...

    async def ack(self) -> None:
        """Say that it need not come again."""
        ...


class _Place(msgspec.Struct):
    """The little that is read of a message that does not fit its contract."""

    subject: str
    sequence: int


class Consumption:
    """Makes deliveries of what the bus, or the waiting room, holds."""

    def __init__(self, decode: Decode, type_of_subject: Callable[[str], str], clock: Clock) -> None:
        self._decode = decode
        self._type_of_subject = type_of_subject
        self._clock = clock

    def taker(self, processor: Processor, store: Store) -> Callable[[BusMessage], Awaitable[None]]:
        """Return what takes one message from the bus."""

        async def take(message: BusMessage) -> None:
            try:
                envelope = self._decode(self._type_of_subject(message.subject), message.data)
            except ValueError as error:
                await self._park(store, message, error)
                await message.ack()
                return
            await processor.submit(
                Delivery(
                    envelope=envelope,
                    subject=message.subject,
                    body=message.data,
                    first_at=self._clock.now(),
                    settle=message.ack,
                )
            )

        return take

    def from_waiting(self, waiting: Waiting) -> Delivery:
        """Return a message that was set aside, to be tried again; `ValueError` if unreadable."""
        return Delivery(
            envelope=self._decode(self._type_of_subject(waiting.subject), waiting.body),
            subject=waiting.subject,
            body=waiting.body,
            first_at=waiting.first_at,
            settle=_nothing,
            attempts=waiting.attempts,
            was_waiting=True,
        )

    def readable(self, subject: str, body: bytes) -> bool:
        """Whether this release knows the message."""
        try:
            self._decode(self._type_of_subject(subject), body)
        except ValueError:
            return False
        return True

    async def retry_readable(self, pool: asyncpg.Pool) -> None:
        """Look, at once and now and then, whether this release reads what was parked unread."""
        while True:
            try:
                async with pool.acquire() as connection:
                    count = await retry_readable(connection, self.readable)
            except OUTAGES as error:
                structlog.get_logger().warning("database.away", error=repr(error))
            else:
                if count:
                    structlog.get_logger().info("message.readable_again", count=count)
            await asyncio.sleep(READABLE_CHECK_SECONDS)

    async def watch_consumers(self, bus: Bus, streams: list[str], missing: list[str]) -> None:
        """Keep `missing` true: consumers that the server has lost are told by readiness."""
        while True:
            try:
                missing[:] = await bus.missing_consumers(streams)
            except (NatsError, TimeoutError) as error:
                structlog.get_logger().warning("bus.unreachable", error=repr(error))
            await asyncio.sleep(CONSUMER_CHECK_SECONDS)

    async def _park(self, store: Store, message: BusMessage, error: ValueError) -> None:
        """Keep a message that cannot be read where people find it; its stream waits behind it."""
        row = undecodable(
            subject=message.subject,
            body=message.data,
            place=_place(message),
            detail=repr(error),
            now=self._clock.now(),
        )
        MESSAGES.labels(outcome="parked").inc()
        structlog.get_logger().error(
            "message.parked", subject=message.subject, stream=row.stream, detail=row.detail[:300]
        )
        while True:
            try:
                async with store.transaction() as transaction:
                    await transaction.write(Changes(set_aside=[row]))
            except OUTAGES as outage:
                structlog.get_logger().warning("database.away", error=repr(outage))
                await asyncio.sleep(OUTAGE_RETRY_SECONDS)
            else:
                return


_STREAM_NAME_LENGTH_MAX: Final = 120


def _place(message: BusMessage) -> tuple[str, int]:
    """Return the stream and number the message says, or its place on the bus."""
    try:
        place = msgspec.json.decode(message.data, type=_Place)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        place = None
    if place is not None and place.sequence >= 1 and len(place.subject) <= _STREAM_NAME_LENGTH_MAX:
        return place.subject, place.sequence
    metadata = message.metadata
    return f"unreadable-{metadata.stream}", metadata.sequence.stream


async def _nothing() -> None:
    """What was set aside is settled by the transaction that handles it."""


async def check_bus(bus: Bus, topology: Topology) -> list[str]:
    """Return how our streams and consumers on the server differ from what this release knows.

    On how many servers a stream is, is not a service's business.
    """
    ours = {facts_stream(bus.service), *topology.sources(bus.service)}
    problems = []
    for wanted in streams(topology):
        if wanted.name not in ours:
            continue
        wanted.num_replicas = None
        try:
            found = (await bus.jetstream.stream_info(str(wanted.name))).config
        except NotFoundError:
            problems.append(f"stream {wanted.name} is missing")
            continue
        if set(wanted.subjects or ()) <= set(found.subjects or ()):
            # A newer release may have more to say; what we say has its place.
            wanted.subjects = None
        problems += [f"stream {wanted.name} {d}" for d in drift(wanted, found)]
    return [*problems, *await _check_consumers(bus, topology)]


async def _check_consumers(bus: Bus, topology: Topology) -> list[str]:
    problems = []
    for stream, wanted in consumers(topology):
        if wanted.durable_name != bus.service:
            continue
        try:
            found = (await bus.jetstream.consumer_info(stream, bus.service)).config
        except NotFoundError:
            problems.append(f"consumer {stream}/{bus.service} is missing")
            continue
        problems += [f"consumer {stream}/{bus.service} {d}" for d in drift(wanted, found)]
    return problems
