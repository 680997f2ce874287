"""The one way to change state: many messages, one transaction.

Messages from the bus and commands from inside wait in one queue. The loop takes what is there, up
to a bound, locks and loads what all of it needs, runs the handlers in order, and writes and
commits once. A batch that fails is undone and halved, so that one bad message costs only itself:
it is tried again later, and parked when that does not help.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import asyncpg
import structlog

from contracts.events import RequestRefused
from runtime.batch import Batch, Item, Local, correlation_of, message_of, never
from runtime.clock import Clock
from runtime.database_health import DatabaseHealth
from runtime.floor import not_before_floor
from runtime.inbox import PATIENCE, Delivery, HeldBack, Turn, seen_by, set_aside, streams_of, turn
from runtime.metrics import BATCH_SECONDS, MESSAGES
from runtime.projector import Projection
from runtime.refusal import Refusal
from runtime.spans import Spans, within
from runtime.store import Changes, Store, StreamKind, Transaction, Waiting
from runtime.work import Command, DocumentKey, Handlers, Message, Needs, Outcome, Work

BATCH_MAX: Final = 500
QUEUE_MAX: Final = 4_000
IDLE_POLL_SECONDS: Final = 0.25
HELD_BACK_POLL_SECONDS: Final = 0.01
UNHURRIED_SECONDS_MAX: Final = 0.03
OUTAGE_RETRY_SECONDS: Final = 0.25

OUTAGES: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
"""What says nothing of the message: the database is away, and the batch waits for it."""

COLLISIONS: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""What says nothing of the message either: another replica was in the way, at once again."""


class UnavailableError(Exception):
    """A command could not be carried out in time, because the database is away."""


class Processor:
    """Runs a service's handlers over batches of messages."""

    def __init__(
        self,
        *,
        service: str,
        store: Store,
        clock: Clock,
        kinds: Sequence[StreamKind[Any, Any]],
        handlers: Handlers,
        projections: Sequence[Projection],
        refused: type[RequestRefused] | None,
        followed_kinds: frozenset[str],
        spans: Spans,
        wake_relay: Callable[[], None],
        decode_waiting: Callable[[Waiting], Delivery],
        floor: DocumentKey | None = None,
        unhurried: Callable[[Message], bool] = never,
    ) -> None:
        self._service = service
        self._store = store
        self._clock = clock
        self._kinds = kinds
        self._handlers = handlers
        self._projections = projections
        self._refused = refused
        self._followed_kinds = followed_kinds
        self._spans = spans
        self._wake_relay = wake_relay
        self._decode_waiting = decode_waiting
        self._floor = floor
        self._unhurried = unhurried
        self._nudge: asyncio.TimerHandle | None = None
        self._queue: deque[Item] = deque()
        self._held_back = HeldBack()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting_poll_at = 0.0
        self._committing = False
        self.beat: Callable[[], None] = lambda: None
        self.database: Final = DatabaseHealth()

    async def submit(self, delivery: Delivery) -> None:
        """Queue a message from the bus; waits while the queue is full."""
        await self._room.wait()
        self._put(delivery)

    async def execute(self, command: Command, *, timeout_seconds: float = 10.0) -> Outcome:
        """Return what the command brought about, once it is committed.

        Raises the `Refusal` of the rule that forbids it, having changed nothing, and
        `UnavailableError` where the outcome is not known in time.
        """
        local = Local(command, asyncio.get_running_loop().create_future())
        self._put(local)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await asyncio.shield(local.done)
        except TimeoutError as error:
            local.done.cancel()
            raise UnavailableError(f"no outcome within {timeout_seconds} s") from error

    async def run(self) -> None:
        """Process batches until cancelled."""
        while True:
            self.beat()
            await self._until_something()
            batch = self._take()
            batch += await self._take_due()
            if batch:
                await self._process(batch)

    async def drain(self) -> None:
        """Process what is queued, and no more; the loop must not be running."""
        while batch := self._take():
            await self._process(batch)
            if not self._queue:
                return

    async def process_due(self) -> None:
        """Process what was set aside and is due now, and no more; likewise."""
        while batch := await self._due():
            await self._process(batch)

    def _put(self, item: Item) -> None:
        self._queue.append(item)
        if len(self._queue) >= QUEUE_MAX:
            self._room.clear()
        if len(self._queue) >= BATCH_MAX or not self._unhurried(message_of(item)):
            self._wake.set()
        elif self._nudge is None:
            loop = asyncio.get_running_loop()
            self._nudge = loop.call_later(UNHURRIED_SECONDS_MAX, self._wake.set)

    async def _until_something(self) -> None:
        """Wait for what is not to wait; the rest goes along with it, or after its own while."""
        if self._wake.is_set():
            await asyncio.sleep(0)
        else:
            wait = HELD_BACK_POLL_SECONDS if self._held_back.deliveries else IDLE_POLL_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
        self._wake.clear()

    def _take(self) -> list[Item]:
        items: list[Item] = list(self._held_back.take())
        while self._queue and len(items) < BATCH_MAX:
            items.append(self._queue.popleft())
        if len(self._queue) < QUEUE_MAX:
            self._room.set()
        if self._queue:
            self._wake.set()
        elif self._nudge is not None:
            self._nudge.cancel()
            self._nudge = None
        return items

    async def _take_due(self) -> list[Item]:
        """Return messages set aside whose time has come; asked for a few times a second."""
        now = asyncio.get_running_loop().time()
        if now < self._waiting_poll_at:
            return []
        self._waiting_poll_at = now + IDLE_POLL_SECONDS
        try:
            return await self._due()
        except OUTAGES as error:
            structlog.get_logger().warning("inbox.unreachable", error=repr(error))
            return []

    async def _due(self) -> list[Item]:
        due = await self._store.due(self._clock.now(), BATCH_MAX)
        return [delivery for waiting in due if (delivery := await self._readable(waiting))]

    async def _readable(self, waiting: Waiting) -> Delivery | None:
        """Return the message, or park it again where this release cannot read it either."""
        try:
            return self._decode_waiting(waiting)
        except ValueError as error:
            now = self._clock.now()
            row = replace(
                waiting, reason="undecodable", detail=repr(error), due_at=None, parked_at=now
            )
            await self._set_aside([row])
            return None

    async def _process(self, items: list[Item]) -> None:
        """Process a batch to its end, however often the database goes away."""
        while items:
            # A database that is away for long is no stuck loop: a new process would wait as well.
            self.beat()
            try:
                with self._spans.batch(map(message_of, items)), BATCH_SECONDS.time():
                    batch = await self._transact(items)
            except COLLISIONS as error:
                structlog.get_logger().info("batch.collided", error=repr(error))
            except OUTAGES as error:
                self.database.failed(error)
                items = self._worth_another_try(items)
                await asyncio.sleep(OUTAGE_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is the message's
                await self._bisect(items, error)
                return
            else:
                self.database.succeeded()
                await self._conclude(batch, len(items))
                return

    def _worth_another_try(self, items: list[Item]) -> list[Item]:
        """Return what may safely be processed again after an outage.

        A message may: its cursor tells whether the lost transaction was committed. A command may
        only where the commit was not reached; else its outcome is not known, and it says so.
        """
        if self._committing:
            for item in items:
                if isinstance(item, Local) and not item.done.done():
                    item.done.set_exception(UnavailableError("the database went away in a commit"))
        return [i for i in items if not (isinstance(i, Local) and i.done.done())]

    async def _bisect(self, items: list[Item], error: Exception) -> None:
        if len(items) == 1:
            with within(message_of(items[0]).traceparent):
                await self._fail(items[0], error)
            return
        middle = len(items) // 2
        await self._process(items[:middle])
        await self._process(items[middle:])

    async def _fail(self, item: Item, error: Exception) -> None:
        """A message failed by itself: tell its caller, or set it aside for later."""
        log = structlog.get_logger().bind(correlation_id=correlation_of(item))
        if isinstance(item, Local):
            if not isinstance(error, Refusal):
                log.error("command.failed", command=type(item.command).__name__, exc_info=error)
            if not item.done.done():
                item.done.set_exception(error)
            return
        row = set_aside(item, reason="failed", detail=repr(error), now=self._clock.now())
        log.error(
            "message.parked" if row.parked_at else "message.failed",
            type=item.envelope.type,
            stream=row.stream,
            sequence=row.sequence,
            attempts=row.attempts,
            exc_info=error,
        )
        MESSAGES.labels(outcome="parked" if row.parked_at else "failed").inc()
        await self._set_aside([row])
        await item.settle()

    async def _set_aside(self, rows: list[Waiting]) -> None:
        while True:
            self.beat()
            try:
                async with self._store.transaction() as transaction:
                    await transaction.write(Changes(set_aside=rows))
            except OUTAGES as error:
                self.database.failed(error)
                await asyncio.sleep(OUTAGE_RETRY_SECONDS)
            else:
                return

    def _followed(self, stream: str) -> bool:
        return stream.partition("-")[0] in self._followed_kinds

    async def _transact(self, items: list[Item]) -> Batch:
        now = self._clock.now()
        batch = Batch()
        self._committing = False
        async with self._store.transaction() as transaction:
            cursors, work = await self._load(transaction, items, now)
            for item in items:
                if isinstance(item, Delivery):
                    self._deliver(item, work, cursors, batch)
                elif not item.done.done():
                    self._carry_out(item, work, batch)
            changes = work.finish()
            if transaction.connection is not None:
                for write in work.writes:
                    await write(transaction.connection)
            if transaction.connection is not None and work.observed:
                for projection in self._projections:
                    await projection.apply(transaction.connection, work.observed)
            await transaction.write(changes)
            self._committing = True
        batch.effects = work.effects
        batch.wrote_outbox = bool(changes.outbox)
        batch.moved = bool(changes.cursors)
        return batch

    async def _load(
        self, transaction: Transaction, items: Sequence[Item], now: datetime
    ) -> tuple[dict[str, int], Work]:
        deliveries = [item for item in items if isinstance(item, Delivery)]
        own = streams_of(deliveries)
        needs: list[Needs] = [self._handlers.needs(message_of(item)) for item in items]
        declared = frozenset(key for need in needs for key in need.documents)
        wanted = declared if self._floor is None else declared | {self._floor}
        cursors, heads = await transaction.lock(own, {s for need in needs for s in need.streams})
        seen = seen_by(deliveries, self._followed) - own
        others, documents = await transaction.read(seen, wanted)
        work = Work(
            service=self._service,
            kinds=self._kinds,
            refused=self._refused,
            now=not_before_floor(now, self._floor, documents),
            heads=heads,
            documents=documents,
            declared_documents=declared,
        )
        return cursors | others, work

    def _deliver(
        self, delivery: Delivery, work: Work, cursors: dict[str, int], batch: Batch
    ) -> None:
        stream, sequence = delivery.place
        match turn(delivery, cursors, self._followed, work.now):
            case Turn.NOW:
                with self._spans.handling(delivery.envelope) as traceparent:
                    work.begin(delivery.envelope, traceparent)
                    self._handlers.handle(delivery.envelope, work)
                    batch.decided(delivery.envelope, work.end())
                cursors[stream] = work.changes.cursors[stream] = sequence
                batch.settled.append(delivery)
                if delivery.was_waiting:
                    work.changes.settled.append(delivery.place)
            case Turn.DONE_BEFORE:
                batch.settled.append(delivery)
                if delivery.was_waiting:
                    work.changes.settled.append(delivery.place)
            case Turn.TOO_EARLY if work.now - delivery.first_at >= PATIENCE:
                work.changes.set_aside.append(
                    set_aside(delivery, reason="predecessor", detail="", now=work.now)
                )
                batch.settled.append(delivery)
            case Turn.TOO_EARLY | Turn.SENDER_SAW_MORE:
                batch.early.append(delivery)

    def _carry_out(self, local: Local, work: Work, batch: Batch) -> None:
        with self._spans.handling(local.command) as traceparent:
            work.begin(local.command, traceparent)
            try:
                self._handlers.handle(local.command, work)
            except Refusal as refusal:
                if not work.untouched:
                    raise RuntimeError(
                        "a command was refused after it had changed something"
                    ) from refusal
                work.end()
                outcome: Outcome | Refusal = refusal
            else:
                outcome = work.end()
            batch.outcomes.append((local, outcome))
            batch.decided(local.command, outcome)

    async def _conclude(self, batch: Batch, size: int) -> None:
        """After the commit: answer, acknowledge, wake."""
        batch.count(size, self._clock.now())
        if batch.wrote_outbox:
            self._wake_relay()
        for local, outcome in batch.outcomes:
            if local.done.done():
                continue
            if isinstance(outcome, Refusal):
                local.done.set_exception(outcome)
            else:
                local.done.set_result(outcome)
        for effect in batch.effects:
            effect()
        for delivery in batch.early:
            self._held_back.add(delivery)
        if batch.moved and batch.early:
            self._wake.set()
        for delivery in batch.settled:
            await delivery.settle()
