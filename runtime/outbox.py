"""The relay: what is in the outbox gets onto the bus, in order, at least once.

One replica of a service relays at a time, chosen by a session lock of the database. It sends
first and marks afterwards: a crash in between sends again, with the same message id, and whoever
receives knows the message by its stream and number.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, Protocol

import asyncpg
import msgspec
import structlog

from contracts.subjects import stream_of_subject
from runtime.leadership import lead
from runtime.metrics import PUBLISHED, RELAY_FAILURES
from runtime.postgres_store import BY_KEY
from runtime.spans import Spans
from runtime.store import OutboxRow, Store

RELAY_BATCH_MAX: Final = 500
RELAY_BATCH_BYTES_MAX: Final = 4 * 1024**2
IDLE_POLL_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 0.5
RELAY_LOCK: Final = "tollgate.relay"


class Publisher(Protocol):
    """What puts messages of one JetStream stream onto the bus, in their order, durably."""

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
        """Return once they are stored; raise when that is not certain."""
        ...


class Relay:
    """Moves messages from the outbox to the bus."""

    def __init__(self, store: Store, publisher: Publisher, spans: Spans) -> None:
        self._store = store
        self._publisher = publisher
        self._spans = spans
        self._wake = asyncio.Event()
        self._sent: list[int] = []
        self.beat: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Say that there is something to send."""
        self._wake.set()

    async def relay_once(self) -> int:
        """Send one round of what is pending; return how many messages that were."""
        sent = await self._send()
        await self._store.mark_published(self._sent)
        self._sent = []
        return sent

    async def _send(self, connection: asyncpg.Connection | None = None) -> int:
        """Send one round, and mark what the one before has sent."""
        rows = await self._store.pending(RELAY_BATCH_MAX, self._sent, connection=connection)
        self._sent = []
        for batch in batches(rows):
            with self._spans.publishing(batch):
                await self._publisher.publish_batch(batch)
            self._sent += [row.position for row in batch]
            PUBLISHED.inc(len(batch))
        return len(rows)

    async def run(self, leadership: asyncpg.Connection) -> None:
        """Relay until the connection that holds the leadership is lost, by that connection.

        What was sent is marked by the next round, a tenth of a second later at most. What was sent
        last in an earlier leadership, and not marked, may be wanted again by a rebuilt bus.
        """
        self._sent = []
        while not leadership.is_closed():
            self.beat()
            self._wake.clear()
            try:
                sent = await self._send(leadership)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows are still there
                RELAY_FAILURES.inc()
                told = str(error) or repr(error)
                structlog.get_logger().warning("relay.failed", error=told)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if sent < RELAY_BATCH_MAX:
                await self._until_woken()

    async def _until_woken(self) -> None:
        try:
            async with asyncio.timeout(IDLE_POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return


def batches(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    """Return the rows in their order, cut where the JetStream stream changes or a batch is full."""
    found: list[list[OutboxRow]] = []
    for _, group in groupby(rows, key=lambda row: stream_of_subject(row.subject)):
        batch: list[OutboxRow] = []
        size = 0
        for row in group:
            if batch and size + len(row.body) > RELAY_BATCH_BYTES_MAX:
                found.append(batch)
                batch, size = [], 0
            batch.append(row)
            size += len(row.body)
        found.append(batch)
    return found


async def last_traceparent(database: asyncpg.Pool, stream: str) -> str | None:
    """Return the trace of what was last published of a stream.

    With it whoever takes up the work again much later, a runner or a timer, goes on in the trace of
    the request that began it.
    """
    body = await database.fetchval(
        "select body from outbox where stream = $1 order by sequence desc limit 1", stream
    )
    return None if body is None else traceparent_of(body)


async def traceparents(
    database: asyncpg.Pool, stream: str, sequences: Sequence[int]
) -> list[str | None]:
    """Return the traces of some messages of a stream, to be linked by what comes of them later."""
    rows = await database.fetch(
        "select body from outbox where stream = $1 and sequence = any ($2::bigint[])",
        stream,
        list(sequences),
    )
    return [traceparent_of(row["body"]) for row in rows]


def traceparent_of(body: str) -> str | None:
    """Return the trace that a message in the outbox is of."""
    return msgspec.json.decode(body, type=_Traceable).traceparent


class _Traceable(msgspec.Struct):
    """The little that is read of a message here."""

    traceparent: str | None = None


async def relay_as_leader(relay: Relay, dsn: str) -> None:
    """Relay whenever this process holds the lock; for ever."""
    await lead(
        dsn, lock=RELAY_LOCK, beat=relay.beat, run=relay.run, settings={**BY_KEY, "jit": "off"}
    )
