"""Which message may be handled now: once, and in order within its stream.

Every message belongs to a stream and has a number in it. What was applied is skipped, what comes
next is handled, what comes early waits: first in memory, and when its predecessor stays away, in
the database, where the predecessor's commit wakes it. So no order on the bus is relied upon.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

from contracts.envelope import Envelope
from runtime.ids import new_id
from runtime.store import Waiting, WaitingReason

PATIENCE: Final = timedelta(seconds=2)
"""How long a message is held back in memory for what it says its sender had seen."""

RETRY_DELAYS: Final = tuple(timedelta(seconds=s) for s in (0.2, 1, 2, 5, 10, 20, 30))
"""After each failure the next delay; after the last of them the message is parked."""


@dataclass(eq=False)
class Delivery:
    """A message from the bus; `settle` tells the bus that it need not come again."""

    envelope: Envelope[Any]
    subject: str
    body: bytes
    first_at: datetime
    settle: Callable[[], Awaitable[None]]
    attempts: int = 0
    was_waiting: bool = False

    @property
    def place(self) -> tuple[str, int]:
        """Where the message stands: its stream and its number in it."""
        return self.envelope.subject, self.envelope.sequence


class Turn(Enum):
    """Whether it is a message's turn."""

    NOW = auto()
    DONE_BEFORE = auto()
    TOO_EARLY = auto()
    SENDER_SAW_MORE = auto()


def turn(
    delivery: Delivery,
    cursors: Mapping[str, int],
    followed: Callable[[str], bool],
    now: datetime,
) -> Turn:
    """Return whether it is the message's turn, where `cursors` says what was applied."""
    stream, sequence = delivery.place
    applied = cursors[stream]
    if sequence <= applied:
        return Turn.DONE_BEFORE
    if sequence > applied + 1:
        return Turn.TOO_EARLY
    if now - delivery.first_at < PATIENCE and any(
        cursors.get(other, 0) < seen
        for other, seen in delivery.envelope.seen_streams().items()
        if followed(other)
    ):
        return Turn.SENDER_SAW_MORE
    return Turn.NOW


def streams_of(deliveries: Collection[Delivery]) -> set[str]:
    """Return the streams that the messages belong to."""
    return {delivery.envelope.subject for delivery in deliveries}


def seen_by(deliveries: Collection[Delivery], followed: Callable[[str], bool]) -> set[str]:
    """Return the followed streams that the messages' senders had seen."""
    return {
        stream
        for delivery in deliveries
        for stream in delivery.envelope.seen_streams()
        if followed(stream)
    }


def set_aside(delivery: Delivery, *, reason: WaitingReason, detail: str, now: datetime) -> Waiting:
    """Return the row that keeps a message until its predecessor, its next try, or a person."""
    attempts = delivery.attempts + (1 if reason == "failed" else 0)
    parked = reason == "failed" and attempts > len(RETRY_DELAYS)
    due_at = now + RETRY_DELAYS[attempts - 1] if reason == "failed" and not parked else None
    stream, sequence = delivery.place
    return Waiting(
        id=new_id(),
        stream=stream,
        sequence=sequence,
        subject=delivery.subject,
        body=delivery.body,
        reason=reason,
        detail=detail[:2_000],
        attempts=attempts,
        first_at=delivery.first_at,
        due_at=due_at,
        parked_at=now if parked else None,
    )


def undecodable(
    *, subject: str, body: bytes, place: tuple[str, int], detail: str, now: datetime
) -> Waiting:
    """Return the row that parks a message nobody here can read."""
    return Waiting(
        id=new_id(),
        stream=place[0],
        sequence=place[1],
        subject=subject,
        body=body,
        reason="undecodable",
        detail=detail[:2_000],
        attempts=1,
        first_at=now,
        due_at=None,
        parked_at=now,
    )


@dataclass
class HeldBack:
    """Messages whose turn has not come, in memory, for a short while."""

    deliveries: list[Delivery] = field(default_factory=list)

    def add(self, delivery: Delivery) -> None:
        """Hold a message back until the next batch."""
        self.deliveries.append(delivery)

    def take(self) -> list[Delivery]:
        """Return all of them, by stream and number, and hold none back any more."""
        taken = sorted(self.deliveries, key=lambda delivery: delivery.place)
        self.deliveries = []
        return taken
