"""What a handler may do with one message: read what it asked for, append facts, publish, refuse.

Handlers are synchronous and do no I/O. They say beforehand what a message needs; the processor
loads all of a batch's needs at once, runs the handlers in order, and writes once. Later messages
of a batch see what earlier ones did.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import asyncpg
import msgspec

from contracts.envelope import Envelope, Wire, format_seen
from contracts.events import Event, Problem, RequestRefused, check_sendable
from runtime.ids import new_id
from runtime.spans import current_links, current_traceparent
from runtime.store import (
    Changes,
    FactRow,
    Head,
    OutboxRow,
    Recorded,
    StreamKind,
    canonical_values,
    chain_hash,
)

T = TypeVar("T", bound=msgspec.Struct)
DocumentKey = tuple[str, str]
Write = Callable[[asyncpg.Connection], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A service's own command, from a person's request or a timer, not from the bus.

    `correlation_id` ties together all that it causes; `seen` names streams of others, and how
    far, that whoever acts on the published messages must have applied. It belongs to the trace that
    it was made in, and links those that it joins.
    """

    actor: str
    correlation_id: str = field(default_factory=new_id)
    seen: Mapping[str, int] = field(default_factory=dict)
    traceparent: str | None = field(default_factory=current_traceparent)
    links: tuple[str, ...] = field(default_factory=current_links)


Message = Envelope[Any] | Command


@dataclass(frozen=True)
class Needs:
    """The own streams to lock and the documents to load before a message can be handled."""

    streams: tuple[str, ...] = ()
    documents: tuple[DocumentKey, ...] = ()


class Handlers(Protocol):
    """What a service does with a message."""

    def needs(self, message: Message) -> Needs:
        """Return what must be locked and loaded, from the message alone."""
        ...

    def handle(self, message: Message, work: "Work") -> None:
        """Do it, without I/O."""
        ...


class Sent(NamedTuple):
    """An event that goes out, and what it belongs to."""

    data: Event
    correlationid: str


@dataclass(frozen=True)
class Outcome:
    """What one message brought about."""

    records: tuple[Recorded[Any], ...]
    published: tuple[Sent, ...]


class UndeclaredNeedError(LookupError):
    """A handler uses a stream or a document that its `needs` did not name."""


class Work:
    """One batch in one transaction; `begin` and `end` bracket each message of it."""

    def __init__(
        self,
        *,
        service: str,
        kinds: Sequence[StreamKind[Any, Any]],
        refused: type[RequestRefused] | None,
        now: datetime,
        heads: Mapping[str, Head],
        documents: Mapping[DocumentKey, bytes],
        declared_documents: frozenset[DocumentKey],
    ) -> None:
        self.now: Final = now
        self.changes: Final = Changes()
        self._source = f"/tollgate/{service}"
        self._kinds = {kind.name: kind for kind in kinds}
        self._refused = refused
        self._heads = heads
        self._states: dict[str, Any] = {}
        self._documents = documents
        self._declared_documents = declared_documents
        self._values: dict[DocumentKey, msgspec.Struct | None] = {}
        self._touched: dict[str, Head] = {}
        self._message: Message | None = None
        self._traceparent: str | None = None
        self._records: list[Recorded[Any]] = []
        self._published: list[Sent] = []
        self.writes: Final[list[Write]] = []
        self.effects: Final[list[Callable[[], None]]] = []
        self.observed: Final[list[Recorded[Any] | Envelope[Any]]] = []

    # What handlers call.

    def state(self, stream: str) -> Any:
        """Return the stream's state, with all that this batch appended so far."""
        if stream not in self._states:
            head = self._head(stream)
            kind = self._kind(stream)
            self._states[stream] = (
                kind.initial(stream)
                if head.state is None
                else msgspec.msgpack.decode(head.state, type=kind.state)
            )
        return self._states[stream]

    def at(self, stream: str) -> datetime:
        """Return the instant for new facts of the stream: time never runs backwards in it."""
        last_at = self._head(stream).last_at
        return self.now if last_at is None else max(self.now, last_at)

    def append(self, stream: str, facts: Sequence[Any], *, actor: str | None = None) -> None:
        """Append facts to a stream: evolve its state, chain them, publish what they publish."""
        kind = self._kind(stream)
        head = self._head(stream)
        state = self.state(stream)
        at = self.at(stream)
        for fact in facts:
            record = self._record(head, fact, at=at, actor=actor or self._actor())
            state = kind.evolve(state, fact)
            self._records.append(record)
            self.observed.append(record)
            for event in kind.publish(record):
                self._send(head, event, at=at, causation_id=record.id, fact=record)
        self._states[stream] = state
        self._touched[stream] = head

    def document(self, collection: str, key: str, type_: type[T]) -> T | None:
        """Return what this service keeps of another's facts, or nothing."""
        place = (collection, key)
        if place not in self._values:
            if place not in self._declared_documents:
                raise UndeclaredNeedError(f"document {collection}/{key} was not declared")
            body = self._documents.get(place)
            self._values[place] = None if body is None else msgspec.msgpack.decode(body, type=type_)
        value = self._values[place]
        if value is not None and not isinstance(value, type_):
            raise TypeError(f"document {collection}/{key} is a {type(value).__name__}")
        return value

    def put(self, collection: str, key: str, value: msgspec.Struct) -> None:
        """Keep a document; it replaces the one of that key."""
        self._values[collection, key] = value
        self.changes.documents[collection, key] = msgspec.msgpack.encode(value)

    def delete(self, collection: str, key: str) -> None:
        """Forget a document."""
        self._values[collection, key] = None
        self.changes.documents[collection, key] = None

    def refuse(
        self,
        code: str,
        detail: str,
        *,
        errors: tuple[Problem, ...] = (),
        **details: str | int | None,
    ) -> None:
        """Answer the request in hand with this service's refusal; nothing else must be appended."""
        if self._refused is None or not isinstance(self._message, Envelope):
            raise TypeError("only a request from the bus can be refused with a message")
        request_id = self._message.correlationid
        event = self._refused(
            request_id=request_id, code=code, detail=detail, errors=errors, details=details
        )
        self.publish(f"refusal-{request_id}", event)

    def publish(self, stream: str, event: Event) -> None:
        """Publish a message that no stored fact stands behind, as the only one of a new stream."""
        self._send(Head(stream), event, at=self.now, causation_id=self._causation_id())

    def alongside(self, write: Write) -> None:
        """Write this in the same transaction: rows that may change and be erased, so no facts.

        What it raises fails the message; a `Refusal` reaches the caller of a command as its own.
        """
        self.writes.append(write)

    def effect(self, effect: Callable[[], None]) -> None:
        """Call this after the commit: to wake somebody, never to change something."""
        self.effects.append(effect)

    # What the processor calls.

    def begin(self, message: Message, traceparent: str | None) -> None:
        """Take a message in hand."""
        self._message = message
        self._traceparent = traceparent
        self._records = []
        self._published = []
        if isinstance(message, Envelope):
            self.observed.append(message)

    def end(self) -> Outcome:
        """Put the message down, and tell what it brought about."""
        self._message = None
        return Outcome(records=tuple(self._records), published=tuple(self._published))

    @property
    def untouched(self) -> bool:
        """Whether the message in hand has brought nothing about yet."""
        return not self._records and not self._published

    def finish(self) -> Changes:
        """Return all changes of the batch, with each touched stream's new head."""
        for stream, head in self._touched.items():
            head.state = msgspec.msgpack.encode(self._states[stream])
        self.changes.heads = list(self._touched.values())
        return self.changes

    # Helpers.

    def _kind(self, stream: str) -> StreamKind[Any, Any]:
        return self._kinds[stream.partition("-")[0]]

    def _head(self, stream: str) -> Head:
        head = self._heads.get(stream)
        if head is None:
            raise UndeclaredNeedError(f"stream {stream} was not declared")
        return head

    def _actor(self) -> str:
        if isinstance(self._message, Command):
            return self._message.actor
        return "nobody" if self._message is None else self._message.source

    def _correlation_id(self) -> str:
        if isinstance(self._message, Command):
            return self._message.correlation_id
        return new_id() if self._message is None else self._message.correlationid

    def _causation_id(self) -> str | None:
        return self._message.id if isinstance(self._message, Envelope) else None

    def _seen(self) -> str:
        message = self._message
        if isinstance(message, Command):
            return format_seen(dict(message.seen))
        return "" if message is None else f"{message.subject}={message.sequence}"

    def _record(self, head: Head, fact: Any, *, at: datetime, actor: str) -> Recorded[Any]:
        record: Recorded[Any] = Recorded(
            stream=head.name,
            version=head.version + 1,
            at=at,
            fact=fact,
            id=new_id(),
            correlation_id=self._correlation_id(),
            causation_id=self._causation_id(),
            actor=actor,
        )
        row = fact_row(record, head.last_hash)
        self.changes.facts.append(row)
        head.version, head.last_at, head.last_hash = record.version, at, row.hash
        return record

    def _send(
        self,
        head: Head,
        event: Event,
        *,
        at: datetime,
        causation_id: str | None,
        fact: Recorded[Any] | None = None,
    ) -> None:
        check_sendable(event, head.name)
        head.sequence += 1
        wire = Wire(
            id=new_id(),
            source=self._source,
            type=event.type_name(),
            subject=head.name,
            time=at,
            dataschema=event.schema_id(),
            partitionkey=head.name,
            sequence=head.sequence,
            correlationid=self._correlation_id(),
            causationid=causation_id,
            seen=self._seen(),
            traceparent=self._traceparent,
            factversion=msgspec.UNSET if fact is None else fact.version,
            facthash=msgspec.UNSET if fact is None else head.last_hash.hex(),
            factactor=msgspec.UNSET if fact is None else fact.actor,
            factcause=msgspec.UNSET if fact is None else fact.causation_id or msgspec.UNSET,
            data=msgspec.Raw(event.model_dump_json().encode()),
        )
        self._published.append(Sent(event, wire.correlationid))
        self.changes.outbox.append(
            OutboxRow(
                id=wire.id,
                subject=event.bus_subject(),
                stream=head.name,
                sequence=head.sequence,
                body=wire.to_bytes().decode(),
            )
        )


def fact_row(record: Recorded[Any], previous_hash: bytes) -> FactRow:
    """Return the row that stores a record, with its hash: see `runtime.store.chain_hash`."""
    body = msgspec.json.encode(record.fact, order="sorted").decode()
    values = canonical_values(
        stream=record.stream,
        version=record.version,
        id=record.id,
        at=record.at,
        body=body,
        actor=record.actor,
        correlation_id=record.correlation_id,
        causation_id=record.causation_id,
    )
    return FactRow(
        stream=record.stream,
        version=record.version,
        id=record.id,
        at=record.at,
        body=body,
        actor=record.actor,
        correlation_id=record.correlation_id,
        causation_id=record.causation_id,
        previous_hash=previous_hash,
        hash=chain_hash(values, previous_hash),
    )
