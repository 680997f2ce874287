"""The bus's twin in memory: stores, forgets duplicates for a while, delivers until acknowledged.

It may be told to misbehave as a real one does: deliver twice, late, out of order, or lose all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from contracts.subjects import stream_of_subject
from runtime.store import OutboxRow

REPEATED: Final = 0.2
"""The part of messages that come twice, with faults."""


@dataclass(frozen=True)
class Place:
    """A message's number on the bus, as JetStream's metadata names it."""

    stream: int


@dataclass(frozen=True)
class Metadata:
    """Where on the bus a message stands."""

    stream: str
    sequence: Place


@dataclass(eq=False)
class MemoryMessage:
    """A message as a consumer gets it; `ack` is final."""

    subject: str
    data: bytes
    number: int
    consumer: "MemoryConsumer"

    @property
    def metadata(self) -> Metadata:
        """Where on the bus the message stands."""
        return Metadata(self.consumer.stream, Place(self.number + 1))

    async def ack(self) -> None:
        """Say that it need not come again."""
        self.consumer.pending.discard(self.number)


@dataclass
class MemoryBus:
    """JetStream streams by name, each a list of messages that is only added to."""

    streams: dict[str, list[OutboxRow]] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
        """Store messages of one stream; an id that is there already is stored once."""
        for row in rows:
            if row.id not in self._ids:
                self._ids.add(row.id)
                self.streams.setdefault(stream_of_subject(row.subject), []).append(row)

    def lose_everything(self) -> None:
        """Forget all streams, as a cluster does that lost its disks."""
        self.streams.clear()
        self._ids.clear()


@dataclass
class MemoryConsumer:
    """A durable consumer of one stream: hands out what is new, and again what was not acknowledged.

    With `faults`, a seeded source of randomness, it repeats and reorders as JetStream may.
    """

    bus: MemoryBus
    stream: str
    faults: Random | None = None
    position: int = 0
    pending: set[int] = field(default_factory=set)

    async def fetch(self, limit: int) -> list[MemoryMessage]:
        """Return up to `limit` messages: first those that were never handed out."""
        stored = self.bus.streams.get(self.stream, [])
        fresh = list(range(self.position, min(len(stored), self.position + limit)))
        self.position += len(fresh)
        self.pending.update(fresh)
        numbers = fresh or sorted(self.pending)[:limit]
        if self.faults is not None:
            numbers = numbers + [n for n in numbers if self.faults.random() < REPEATED]
            self.faults.shuffle(numbers)
        return [
            MemoryMessage(stored[n].subject, stored[n].body.encode(), n, self)
            for n in numbers
            if n < len(stored)
        ]

    def reset(self) -> None:
        """Begin at the first message again, as a consumer made anew does."""
        self.position = 0
        self.pending.clear()
