"""What is processed together, and what it came to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final

from contracts.events import Event
from runtime.inbox import Delivery
from runtime.metrics import BATCH_SIZE, DECISION_SECONDS, DECISIONS, MESSAGES
from runtime.refusal import Refusal
from runtime.work import Command, Message, Outcome

ACCEPTED: Final = "accepted"


@dataclass(eq=False)
class Local:
    """A command from inside, and who waits for its outcome."""

    command: Command
    done: asyncio.Future[Outcome]


Item = Delivery | Local


def message_of(item: Item) -> Message:
    """Return the message, or the command."""
    return item.envelope if isinstance(item, Delivery) else item.command


def correlation_of(item: Item) -> str:
    """Return the id of what was asked for in the beginning, however far back that was."""
    if isinstance(item, Delivery):
        return item.envelope.correlationid
    return item.command.correlation_id


def never(_: Message) -> bool:
    """No message may wait for others."""
    return False


@dataclass
class Batch:
    """What a batch came to, told to the waiting only after the commit."""

    outcomes: list[tuple[Local, Outcome | Refusal]] = field(default_factory=list)
    settled: list[Delivery] = field(default_factory=list)
    early: list[Delivery] = field(default_factory=list)
    effects: list[Callable[[], None]] = field(default_factory=list)
    wrote_outbox: bool = False
    moved: bool = False
    _decisions: dict[tuple[str, str], int] = field(default_factory=dict)
    _oldest: dict[str, datetime] = field(default_factory=dict)

    def decided(self, message: Message, outcome: Outcome | Refusal) -> None:
        """Note what a message led to; what it only made known to us is no decision."""
        if isinstance(message, Command):
            kind = type(message).__name__
        elif isinstance(outcome, Refusal) or outcome.published or outcome.records:
            kind, sent_at = message.type, message.time
            oldest = self._oldest.get(kind)
            if oldest is None or sent_at < oldest:
                self._oldest[kind] = sent_at
        else:
            return
        decided = (kind, _word(outcome))
        self._decisions[decided] = self._decisions.get(decided, 0) + 1

    def count(self, size: int, now: datetime) -> None:
        """Add it to the metrics, once it is committed."""
        BATCH_SIZE.observe(size)
        MESSAGES.labels(outcome="handled").inc(len(self.settled))
        for (kind, word), number in self._decisions.items():
            DECISIONS.labels(message=fact_name(kind), outcome=word).inc(number)
        for kind, sent_at in self._oldest.items():
            seconds = max(0.0, (now - sent_at).total_seconds())
            DECISION_SECONDS.labels(message=fact_name(kind)).observe(seconds)


@cache
def fact_name(event_type: str) -> str:
    """Return `hold_requested` for `tollgate.deployer.hold_requested.v1`; a command's own name."""
    return event_type.split(".")[2] if "." in event_type else event_type


def _word(outcome: Outcome | Refusal) -> str:
    if isinstance(outcome, Refusal):
        return outcome.code
    for sent in outcome.published:
        if _refuses(type(sent.data)):
            return str(getattr(sent.data, "code", "refused"))
    return ACCEPTED


@cache
def _refuses(kind: type[Event]) -> bool:
    return fact_name(kind.type_name()).endswith("_refused")
