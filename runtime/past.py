"""What a service's projections were ever fed: its own facts, and the messages that it applied.

The facts are in its database, the messages of others on the bus, which keeps facts for good. They
come in the order of their instants, and within each stream in the stream's own.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Any, Final

import asyncpg
import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.envelope import Envelope
from runtime.bus_topology import Topology
from runtime.connection import Connection
from runtime.projector import Change
from runtime.store import Recorded, StreamKind

READ_MAX: Final = 500
"""Messages of one fetch, and rows of one round trip."""
READ_SECONDS_MAX: Final = 10.0
READER_INACTIVE_SECONDS: Final = 600.0

Decode = Callable[[str, bytes], Envelope[Any]]


class BusLacksError(Exception):
    """The bus does not hold all that the service has applied; the message says what is missing."""


class Facts:
    """A service's own facts; `read` goes on after what an earlier one gave.

    Keeps a number for each stream in memory.
    """

    def __init__(self, kinds: tuple[StreamKind[Any, Any], ...]) -> None:
        self._decoders = {kind.name: msgspec.json.Decoder(kind.facts) for kind in kinds}
        self._read: dict[str, int] = {}

    async def read(self, connection: Connection) -> AsyncIterator[Recorded[Any]]:
        """Yield the facts that the connection's transaction sees, but for those given before."""
        heads = await connection.fetch("select name, version from public.streams")
        behind = [row for row in heads if row["version"] > self._read.get(row["name"], 0)]
        rows = connection.cursor(
            """select f.stream, f.version, f.at, f.body, f.id, f.correlation_id, f.causation_id,
                      f.actor
               from public.facts f
               join unnest($1::text[], $2::bigint[]) as read (stream, version)
                 on f.stream = read.stream and f.version > read.version
               order by f.position""",
            [row["name"] for row in behind],
            [self._read.get(row["name"], 0) for row in behind],
            prefetch=READ_MAX,
        )
        early: defaultdict[str, dict[int, asyncpg.Record]] = defaultdict(dict)
        async for row in rows:
            early[row["stream"]][row["version"]] = row
            for found in _in_turn(early[row["stream"]], self._read, row["stream"]):
                yield self._record(found)

    def _record(self, row: asyncpg.Record) -> Recorded[Any]:
        values = dict(row)
        decoder = self._decoders[row["stream"].partition("-")[0]]
        return Recorded(fact=decoder.decode(values.pop("body")), **values)


class Applied:
    """The messages of one JetStream stream that a service has applied; `read` goes on likewise."""

    def __init__(
        self,
        subscription: JetStreamContext.PullSubscription,
        jetstream: JetStreamContext,
        stream: str,
        decode: Callable[[Msg], Envelope[Any]],
    ) -> None:
        self._subscription = subscription
        self._jetstream = jetstream
        self._stream = stream
        self._decode = decode
        self._reached = 0
        self._early: defaultdict[str, dict[int, Envelope[Any]]] = defaultdict(dict)
        self.read_to: dict[str, int] = {}

    async def read(self, cursors: Mapping[str, int]) -> AsyncIterator[Envelope[Any]]:
        """Yield what the cursors say was applied, but for what was given before.

        What is on the bus and not applied yet is kept for the next time: the service's lag.
        """
        for stream in [name for name, waiting in self._early.items() if waiting]:
            for envelope in self._due(stream, cursors):
                yield envelope
        async for envelope in self._on_bus():
            stream = envelope.subject
            if envelope.sequence > self.read_to.get(stream, 0):
                self._early[stream][envelope.sequence] = envelope
            for due in self._due(stream, cursors):
                yield due

    def _due(self, stream: str, cursors: Mapping[str, int]) -> Iterator[Envelope[Any]]:
        applied = cursors.get(stream, 0)
        yield from _in_turn(self._early[stream], self.read_to, stream, last=applied)

    async def _on_bus(self) -> AsyncIterator[Envelope[Any]]:
        last = (await self._jetstream.stream_info(self._stream)).state.last_seq
        while self._reached < last:
            try:
                messages = await self._subscription.fetch(READ_MAX, timeout=READ_SECONDS_MAX)
            except NatsTimeoutError:
                # The last of the stream are of subjects that the service does not follow.
                info = await self._subscription.consumer_info()
                if info.num_pending:
                    raise
                return
            for message in messages:
                self._reached = message.metadata.sequence.stream
                yield self._decode(message)
                if message.metadata.num_pending == 0:
                    return


def _in_turn(
    early: dict[int, Any], reached: dict[str, int], stream: str, *, last: int | None = None
) -> Iterator[Any]:
    """Take and yield what comes next in a stream, as far as it is there, up to `last`."""
    following = reached.get(stream, 0) + 1
    while following in early and (last is None or following <= last):
        reached[stream] = following
        yield early.pop(following)
        following += 1


class Past:
    """All of it, merged; each `read` goes on after what an earlier one gave."""

    def __init__(self, facts: Facts, applied: list[Applied], followed: frozenset[str]) -> None:
        self._facts = facts
        self._applied = applied
        self._followed = followed

    async def read(self, connection: Connection) -> AsyncIterator[Change]:
        """Yield every change that the connection's transaction sees as made.

        The transaction must be repeatable, so that facts and cursors are of one moment. Raises
        `BusLacksError` once all is given where something is missing on the bus.
        """
        cursors = await self._cursors(connection)
        sources: list[AsyncIterator[Change]] = [self._facts.read(connection)]
        sources += [each.read(cursors) for each in self._applied]
        async for change in _merged(sources):
            yield change
        read_to: dict[str, int] = {}
        for each in self._applied:
            read_to |= each.read_to
        missing = [name for name, applied in cursors.items() if read_to.get(name, 0) < applied]
        if missing:
            raise BusLacksError(
                f"the bus lacks messages of {len(missing)} streams that were applied, such as "
                f"{missing[0]}: `tollgate bus rebuild` brings them back"
            )

    async def _cursors(self, connection: Connection) -> dict[str, int]:
        rows = await connection.fetch("select stream, sequence from public.inbox_cursors")
        return {
            row["stream"]: row["sequence"]
            for row in rows
            if row["stream"].partition("-")[0] in self._followed
        }


async def past_of(
    service: str,
    kinds: tuple[StreamKind[Any, Any], ...],
    client: Client,
    topology: Topology,
    decode: Callable[[Msg], Envelope[Any]],
) -> Past:
    """Return a service's past; `client` is the bus's administrator's, whose readers end with it."""
    jetstream = client.jetstream()
    applied = []
    followed = topology.followed_kinds(service)
    for stream, subjects in topology.sources(service).items():
        facts = [each for each in subjects if each.split(".")[2] in followed]
        if not facts:
            continue
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            filter_subjects=facts,
            mem_storage=True,
            inactive_threshold=READER_INACTIVE_SECONDS,
        )
        made = await jetstream.add_consumer(stream, config)
        subscription = await jetstream.pull_subscribe_bind(made.name, stream)
        applied.append(Applied(subscription, jetstream, stream, decode))
    return Past(Facts(kinds), applied, followed)


async def _merged(sources: list[AsyncIterator[Change]]) -> AsyncIterator[Change]:
    """Yield what all sources give, the earliest first."""
    waiting: list[tuple[Any, int, Change]] = []

    async def next_of(number: int) -> None:
        change = await anext(sources[number], None)
        if change is not None:
            at = change.time if isinstance(change, Envelope) else change.at
            heappush(waiting, (at, number, change))

    for number in range(len(sources)):
        await next_of(number)
    while waiting:
        _, number, change = heappop(waiting)
        yield change
        await next_of(number)
