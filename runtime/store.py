"""Streams of facts: what a stream is, what is recorded, and what a store must offer.

A store has one way to change: a transaction that locks inbox cursors and stream heads, and writes
everything that a batch of messages brings about at once. There are two: Postgres
(`runtime.postgres_store`) and its twin in memory (`runtime.memory_store`); one behaviour suite
runs against both.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

import asyncpg
import msgspec

from contracts.events import Event

S = TypeVar("S")
F = TypeVar("F")

GENESIS_HASH: Final = bytes(32)
"""What the first fact of a stream names as the hash before it."""


@dataclass(frozen=True, slots=True)
class Recorded(Generic[F]):
    """A fact with its place: the stream's name, its version in it, and why it came to be."""

    stream: str
    version: int
    at: datetime
    fact: F
    id: str
    correlation_id: str
    causation_id: str | None
    actor: str


@dataclass(frozen=True)
class StreamKind(Generic[S, F]):
    """All that the runtime must know of a kind of stream; streams of it are `<name>-<id>`.

    `facts` is the tagged union of what is stored, `state` the msgspec type it folds to. `publish`
    is the only translation of a stored fact into messages; each takes the next published sequence.
    `restore` makes the values of a fact from the name and the data of the message that it was
    published as, for a database that was restored from a backup; with `fact` it names the fact.
    Without one they are the data's of the same names, and the fact has the message's.
    """

    name: str
    facts: Any
    state: type[S]
    initial: Callable[[str], S]
    evolve: Callable[[S, F], S]
    publish: Callable[[Recorded[F]], Sequence[Event]]
    restore: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact as stored: canonical JSON in `body`, chained by `hash`."""

    stream: str
    version: int
    id: str
    at: datetime
    body: str
    actor: str
    correlation_id: str
    causation_id: str | None
    previous_hash: bytes
    hash: bytes


@dataclass(slots=True)
class Head:
    """Where a stream stands. `sequence` counts what was published, `state` is the folded state."""

    name: str
    version: int = 0
    sequence: int = 0
    last_at: datetime | None = None
    last_hash: bytes = GENESIS_HASH
    state: bytes | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message to publish; `position` is the store's, 0 until it is stored."""

    id: str
    subject: str
    stream: str
    sequence: int
    body: str
    position: int = 0


WaitingReason = Literal["predecessor", "failed", "undecodable"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message set aside. With neither `due_at` nor `parked_at` it waits for its predecessor."""

    id: str
    stream: str
    sequence: int
    subject: str
    body: bytes
    reason: WaitingReason
    detail: str
    attempts: int
    first_at: datetime
    due_at: datetime | None
    parked_at: datetime | None = None


@dataclass(slots=True)
class Changes:
    """Everything that one transaction writes."""

    heads: list[Head] = field(default_factory=list)
    facts: list[FactRow] = field(default_factory=list)
    outbox: list[OutboxRow] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    documents: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    set_aside: list[Waiting] = field(default_factory=list)
    settled: list[tuple[str, int]] = field(default_factory=list)


class Transaction(Protocol):
    """What can be done between begin and commit; to leave it by an exception undoes all of it."""

    @property
    def connection(self) -> asyncpg.Connection | None:
        """The Postgres connection, for SQL projections; the twin has none."""
        ...

    async def lock(
        self, cursors: Collection[str], heads: Collection[str]
    ) -> tuple[dict[str, int], dict[str, Head]]:
        """Return how far each stream was applied (0 if never), and each own stream's head.

        New heads are at version 0. All are locked until the end, the cursors first.
        """
        ...

    async def read(
        self, cursors: Collection[str], keys: Collection[tuple[str, str]]
    ) -> tuple[dict[str, int], dict[tuple[str, str], bytes]]:
        """Return how far each stream was applied, without locking, and what documents there are.

        They are as of now, not as of when a lock was asked for that had to be waited for.
        """
        ...

    async def lock_heads(self, streams: Collection[str]) -> dict[str, Head]:
        """Return each stream's head, new ones at version 0, locked until the end."""
        ...

    async def documents(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Return those documents of (collection, key) that exist."""
        ...

    async def write(self, changes: Changes) -> None:
        """Write it all; waiting messages whose predecessor is now applied become due."""
        ...


class Store(Protocol):
    """Where a service's facts, cursors and outgoing messages are."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin a transaction; it commits when the block ends without an exception."""
        ...

    async def due(self, now: datetime, limit: int) -> list[Waiting]:
        """Return waiting messages that are due and not parked, by stream and sequence."""
        ...

    async def pending(
        self,
        limit: int,
        published: Sequence[int] = (),
        *,
        connection: asyncpg.Connection | None = None,
    ) -> list[OutboxRow]:
        """Return messages that are not yet marked as published, in the order of their writing.

        Those at the positions `published` are marked so by the way. It may be done on a connection
        that the caller has.
        """
        ...

    async def mark_published(self, positions: Sequence[int]) -> None:
        """Take these messages off what is pending."""
        ...

    async def read(self, stream: str, after_version: int = 0) -> list[FactRow]:
        """Return a stream's facts above a version, in order."""
        ...


class WrongVersionError(Exception):
    """Somebody else appended to the stream since its head was read."""


def chain_hash(row_without_hash: tuple[Any, ...], previous_hash: bytes) -> bytes:
    """Return SHA-256(previous hash ‖ canonical bytes) for the values of `canonical_values`."""
    return sha256(previous_hash + _canonical.encode(row_without_hash)).digest()


def canonical_values(
    *,
    stream: str,
    version: int,
    id: str,  # noqa: A002 - the field's name
    at: datetime,
    body: str,
    actor: str,
    correlation_id: str,
    causation_id: str | None,
) -> tuple[Any, ...]:
    """Return what the hash covers, in this order, as a JSON array without white space.

    `at` is whole microseconds since 1970-01-01T00:00:00Z; `body` is the stored text, as a string.
    """
    return (stream, version, id, _microseconds(at), body, actor, correlation_id, causation_id)


_canonical = msgspec.json.Encoder()
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _microseconds(at: datetime) -> int:
    delta = at - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def changed_documents(changes: Changes) -> tuple[Mapping[tuple[str, str], bytes], list[Any]]:
    """Return the documents to keep, and the keys of those to delete."""
    kept = {key: body for key, body in changes.documents.items() if body is not None}
    return kept, [key for key, body in changes.documents.items() if body is None]
