"""A counter service on a store and a bus of either kind, to be driven step by step and broken.

`Bench` hands messages from a bus's consumer to a processor, one round at a time, and can stop at
any point between commit, acknowledgement, publication and mark, as a crash does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from contracts.envelope import Envelope
from runtime.clock import ManualClock
from runtime.consumption import BusMessage, Consumption, Decode
from runtime.ids import new_id
from runtime.outbox import Relay
from runtime.processor import Processor
from runtime.spans import PassOn
from runtime.store import OutboxRow, Store
from tests.support import counter

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASKER_STREAM: Final = "TOLLGATE_ASKER"
COUNTER_STREAM: Final = "TOLLGATE_COUNTER"


class BusUnderTest(Protocol):
    """The little of a bus that the behaviours need."""

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None: ...

    async def fetch(self, limit: int = 500) -> list[Any]:
        """Return messages of the asker's stream, for the counter's durable consumer."""
        ...

    async def redeliver(self, messages: list[Any]) -> None:
        """Have what was not acknowledged come again."""
        ...

    async def stored(self, stream: str) -> list[bytes]:
        """Return all that a stream holds, in order."""
        ...

    async def lose_everything(self) -> None: ...


def ask(
    name: str = "a",
    amount: int = 1,
    *,
    stream: str | None = None,
    sequence: int = 1,
    seen: str = "",
    explode: bool = False,
) -> OutboxRow:
    """Return a request to add, as its sender's outbox holds it."""
    event = counter.AddRequested(counter=name, amount=amount, explode=explode)
    request_id = new_id()
    subject = stream or f"asking-{request_id}"
    envelope = Envelope[counter.AddRequested](
        id=new_id(),
        source="/tollgate/asker",
        type=event.type_name(),
        subject=subject,
        time=NOON,
        dataschema=event.schema_id(),
        partitionkey=subject,
        sequence=sequence,
        correlationid=request_id,
        seen=seen,
        data=event,
    )
    return OutboxRow(
        envelope.id, event.bus_subject(), subject, sequence, envelope.to_bytes().decode()
    )


@dataclass(frozen=True)
class Unacknowledged:
    """A message whose acknowledgement never leaves the process, because it crashes."""

    message: Any

    @property
    def subject(self) -> str:
        return str(self.message.subject)

    @property
    def data(self) -> bytes:
        return bytes(self.message.data)

    @property
    def metadata(self) -> Any:
        return self.message.metadata

    async def ack(self) -> None:
        """Do nothing: the process is gone."""


@dataclass
class Bench:
    """One counter service, driven by hand; `restart` makes a new process on the same store."""

    store: Store
    bus: BusUnderTest
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    decode: Decode = counter.decode
    processor: Processor = field(init=False)
    relay: Relay = field(init=False)
    woken: int = 0

    def __post_init__(self) -> None:
        """Start the first process."""
        self.restart()

    def restart(self) -> None:
        """A new process: all that was in memory is gone."""
        service = counter.build()
        self.relay = Relay(self.store, self.bus, PassOn())
        self.consumption = Consumption(self.decode, counter.type_of_subject, self.clock)
        self.processor = Processor(
            service=service.name,
            store=self.store,
            clock=self.clock,
            kinds=service.kinds,
            handlers=service.handlers,
            projections=service.projections,
            refused=service.refused,
            followed_kinds=frozenset({"asking"}),
            spans=PassOn(),
            wake_relay=self._wake,
            decode_waiting=self.consumption.from_waiting,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def consume(self, *, crash_before_ack: bool = False) -> int:
        """Take what the bus has and process it; a crash leaves it unacknowledged."""
        messages = await self.bus.fetch()
        for message in messages:
            received: BusMessage = Unacknowledged(message) if crash_before_ack else message
            await self.consumption.taker(self.processor, self.store)(received)
        await self.processor.drain()
        if crash_before_ack:
            await self.bus.redeliver(messages)
            self.restart()
        return len(messages)

    async def process_due(self) -> None:
        """Process what was set aside and is due."""
        await self.processor.process_due()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(seconds=seconds))

    async def total(self, name: str = "a") -> int:
        """Return what a counter stands at, by its facts alone."""
        rows = await self.store.read(f"counter-{name}")
        return sum(
            int(row.body.partition('"amount":')[2].partition(",")[0].rstrip("}")) for row in rows
        )
