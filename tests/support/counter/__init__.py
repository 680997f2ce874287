"""A service small enough to see through: counters that are added to, and how often.

It is what the runtime's own tests run: real handlers, real facts, real messages, no business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, assert_never

import asyncpg
import msgspec
from pydantic import Field

from contracts.envelope import Envelope
from contracts.events import Event, RequestRefused
from runtime.bus_topology import Topology
from runtime.process import Service, Wiring
from runtime.projector import Change
from runtime.refusal import Refusal
from runtime.store import Recorded, StreamKind
from runtime.work import Command, Message, Needs, Work

PACKAGE: Final = "tests.support.counter"
LIMIT: Final = 1_000


class Added(msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", tag="counter_added"):
    """A number was added."""

    amount: int


class Noted(msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", tag="noted"):
    """Something was noted that nobody is told."""

    text: str


Fact = Added | Noted


class Total(msgspec.Struct, frozen=True):
    """What a counter stands at."""

    value: int = 0


class CounterAdded(Event):
    """A number was added to a counter, which now stands at `total`."""

    service: ClassVar[str] = "counter"
    kind: ClassVar[str] = "counter"
    fact: ClassVar[str] = "counter_added"

    amount: int
    explode: bool = False


class AddRequested(Event):
    """A number should be added."""

    service: ClassVar[str] = "asker"
    kind: ClassVar[str] = "asking"
    fact: ClassVar[str] = "add_requested"

    counter: str
    amount: Annotated[int, Field(ge=-LIMIT)]
    explode: bool = False


class CounterRefused(RequestRefused):
    """The counter does not do it."""

    service: ClassVar[str] = "counter"


@dataclass(frozen=True, kw_only=True)
class Add(Command):
    """Add to a counter, from inside."""

    counter: str
    amount: int
    explode_after: bool = False


def decide(amount: int, state: Total) -> list[Fact]:
    """Return what adding brings; a counter never goes below zero."""
    if state.value + amount < 0:
        raise Refusal("BELOW_ZERO", "a counter never goes below zero", available=state.value)
    return [Added(amount=amount)]


def evolve(state: Total, fact: Fact) -> Total:
    """Return the counter after the fact."""
    match fact:
        case Added(amount=amount):
            return Total(state.value + amount)
        case Noted():
            return state
        case _:
            assert_never(fact)


def publish(record: Recorded[Fact]) -> Sequence[Event]:
    """Return what others are told of the fact."""
    return [CounterAdded(amount=record.fact.amount)] if isinstance(record.fact, Added) else []


class CounterHandlers:
    """Adds what is asked for; keeps, as a document, how often each counter was asked for."""

    def needs(self, message: Message) -> Needs:
        """Return the counter's own stream and document."""
        name = _counter(message)
        return Needs(streams=(f"counter-{name}",), documents=(("asked", name),))

    def handle(self, message: Message, work: Work) -> None:
        """Add, or refuse."""
        name = _counter(message)
        stream = f"counter-{name}"
        asked = work.document("asked", name, Total) or Total()
        if isinstance(message, Add):
            work.append(stream, decide(message.amount, work.state(stream)))
            if message.explode_after:
                raise ArithmeticError("exploded after appending")
        elif isinstance(message, Envelope):
            if message.data.explode:
                raise ArithmeticError("exploded")
            try:
                work.append(stream, decide(message.data.amount, work.state(stream)))
            except Refusal as refusal:
                work.refuse(refusal.code, refusal.detail, errors=(), **refusal.fields)
        work.put("asked", name, Total(asked.value + 1))


def _counter(message: Message) -> str:
    if isinstance(message, Envelope):
        return str(message.data.counter)
    assert isinstance(message, Add)
    return message.counter


class Totals:
    """Each counter's total, as a read model."""

    name = "totals"
    tables = ("totals",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Add up the facts of the batch."""
        added = [c for c in changes if isinstance(c, Recorded) and isinstance(c.fact, Added)]
        await connection.executemany(
            """insert into totals (counter, total) values ($1, $2)
               on conflict (counter) do update set total = totals.total + excluded.total""",
            [(record.stream, record.fact.amount) for record in added],
        )


COUNTER: Final = StreamKind("counter", Fact, Total, lambda _: Total(), evolve, publish)

TOPOLOGY: Final = Topology(
    services=("counter", "asker"),
    publishes={"counter": frozenset({"counter", "refusal"}), "asker": frozenset({"asking"})},
    follows={"counter": frozenset({("asker", "asking")}), "asker": frozenset()},
    requests={"counter": (), "asker": ()},
)


_ENVELOPES: Final[dict[str, Any]] = {
    CounterAdded.type_name(): Envelope[CounterAdded],
    AddRequested.type_name(): Envelope[AddRequested],
    CounterRefused.type_name(): Envelope[CounterRefused],
}


def decode(type_name: str, body: bytes) -> Envelope[Any]:
    """Return the envelope of one of this service's messages."""
    if type_name not in _ENVELOPES:
        raise ValueError(f"unknown type {type_name}")
    model: Any = _ENVELOPES[type_name]
    envelope: Envelope[Any] = model.model_validate_json(body)
    return envelope


def type_of_subject(subject: str) -> str:
    """Return the type a subject carries."""
    root, service, _kind, fact, version = subject.split(".")
    return f"{root}.{service}.{fact}.{version}"


WIRING: Final = Wiring(TOPOLOGY, decode, type_of_subject)


def build() -> Service:
    """Return the service, composed."""
    return Service(
        name="counter",
        kinds=(COUNTER,),
        handlers=CounterHandlers(),
        projections=(Totals(),),
        refused=CounterRefused,
        package=PACKAGE,
    )
