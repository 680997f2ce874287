"""The bus as a service uses it: publish with an acknowledgement, pull in order, see it is well.

FastStream holds the connection and the service's life on it. Facts are pulled by a loop of our own
(`runtime.pull`), because its batch subscriber waits for a full batch or a time-out, and its other
one handles messages in any order; see docs/adr/0003.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn

import structlog
from faststream.nats import NatsBroker
from faststream.security import SASLPlaintext
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from contracts.subjects import stream_of_subject
from runtime.bus_topology import inbox_prefix
from runtime.ids import new_id
from runtime.metrics import CONSUMER_PENDING
from runtime.pull import Pull
from runtime.store import OutboxRow

PUBLISH_TIMEOUT_SECONDS: Final = 5.0
CONSUMER_CHECK_SECONDS: Final = 10.0
FEW: Final = 8
"""For a batch the server makes a store of its own, whose files it writes through to the disk and
removes again: two messages took 16 ms so and 3 ms one by one, 64 took 8 ms and 96 ms.
"""
ALREADY_IN_BATCH_OR_STREAM: Final = 10201
CONTENT_TYPE: Final = "application/cloudevents+json"


REFUSED: Final = "authorization violation"
"""What NATS says to a user that it does not know, or whose password is another."""


class BusError(Exception):
    """The bus did not take a message, or does not have what it should."""


class Bus:
    """One service's connection to NATS."""

    def __init__(self, *, service: str, url: str, user: str, password: str) -> None:
        self.service: Final = service
        self.broker: Final = NatsBroker(
            url,
            name=f"tollgate-{service}",
            security=SASLPlaintext(username=user, password=password, use_ssl=False),
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            inbox_prefix=inbox_prefix(service),
            disconnected_cb=self._disconnected,
            closed_cb=self._closed,
            error_cb=self._failed,
            graceful_timeout=20.0,
            pending_size=16 * 1024**2,
            logger=None,
        )
        self._client: Client | None = None
        self._closing = False
        self._ended = asyncio.Event()

    async def connect(self) -> None:
        """Connect; waits for as long as the server is away."""
        self._client = await self.broker.connect()
        self._ended.clear()

    async def close(self) -> None:
        """Send what is buffered and disconnect."""
        self._closing = True
        await self.broker.stop()

    async def ended(self) -> NoReturn:
        """Raise `BusError` once the server does not let us in any more, or the client gave up.

        The client does not come back from either by itself. A process that is started anew waits
        until it is let in.
        """
        await self._ended.wait()
        raise BusError("the bus does not let us in any more")

    @property
    def client(self) -> Client:
        """The NATS client; only once connected."""
        if self._client is None:
            raise BusError("not connected")
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream on that connection."""
        return self.client.jetstream(timeout=PUBLISH_TIMEOUT_SECONDS)

    @property
    def connected(self) -> bool:
        """Whether the server answers at present, as far as the client knows."""
        return self._client is not None and self._client.is_connected

    async def publish(self, row: OutboxRow) -> None:
        """Publish one message and wait until it is stored; a repeated id is stored once."""
        await self.jetstream.publish(
            row.subject,
            row.body.encode(),
            stream=stream_of_subject(row.subject),
            headers=_headers(row),
        )

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
        """Publish messages of one JetStream stream, in their order, and wait until all are stored.

        Many go as one (ADR-50), all or none. Where one of them is stored already the server refuses
        the whole; then they are published one by one, and those that are there count as published.
        """
        if len(rows) <= FEW:
            await self._publish_each(rows)
            return
        try:
            await self._publish_atomically(rows)
        except APIError as error:
            if error.err_code != ALREADY_IN_BATCH_OR_STREAM:
                raise
            for row in rows:
                await self.publish(row)

    async def _publish_each(self, rows: Sequence[OutboxRow]) -> None:
        """Publish a few, one right after the other; what fails is told when all have ended."""
        if len(rows) == 1:
            await self.publish(rows[0])
            return
        ended = await asyncio.gather(*map(self.publish, rows), return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _publish_atomically(self, rows: Sequence[OutboxRow]) -> None:
        batch_id = new_id()
        for number, row in enumerate(rows[:-1], start=1):
            headers = _headers(row) | {
                "Nats-Batch-Id": batch_id,
                "Nats-Batch-Sequence": str(number),
            }
            await self.client.publish(row.subject, row.body.encode(), headers=headers)
        last = rows[-1]
        headers = _headers(last) | {
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(len(rows)),
            "Nats-Batch-Commit": "1",
        }
        reply = await self.client.request(
            last.subject, last.body.encode(), timeout=PUBLISH_TIMEOUT_SECONDS, headers=headers
        )
        answer: dict[str, Any] = json.loads(reply.data)
        if "error" in answer:
            raise APIError.from_error(answer["error"])
        if answer.get("batch") != batch_id or answer.get("count") != len(rows):
            raise BusError(f"the bus acknowledged another batch: {answer!r}")

    async def consume(
        self,
        stream: str,
        take: Callable[[Msg], Awaitable[None]],
        *,
        beat: Callable[[], None],
    ) -> None:
        """Hand over the messages of our durable consumer, in the order of the stream, for ever.

        The consumer is only bound to, never made.
        """
        await Pull(self.client, stream=stream, durable=self.service, take=take, beat=beat).run()

    async def missing_consumers(self, streams: Sequence[str]) -> list[str]:
        """Return those of our consumers that the server does not have; note how much waits."""
        missing = []
        for stream in streams:
            try:
                found = await self.jetstream.consumer_info(stream, self.service)
            except NotFoundError:
                missing.append(f"{stream}/{self.service}")
                CONSUMER_PENDING.labels(stream=stream).set(float("nan"))
            else:
                waits = (found.num_pending or 0) + (found.num_ack_pending or 0)
                CONSUMER_PENDING.labels(stream=stream).set(waits)
        return missing

    async def _closed(self) -> None:
        if not self._closing:
            structlog.get_logger().error("bus.ended")
            self._ended.set()

    async def _failed(self, error: Exception) -> None:
        structlog.get_logger().warning("bus.error", error=repr(error))
        if REFUSED in repr(error).lower():
            self._ended.set()

    async def _disconnected(self) -> None:
        """Keep the services from all coming back in the same moment; who closes need not wait."""
        if self._closing:
            return
        structlog.get_logger().warning("bus.disconnected")
        await asyncio.sleep(random.uniform(0, 0.5))  # noqa: S311 - no secret


def _headers(row: OutboxRow) -> dict[str, str]:
    return {"Nats-Msg-Id": row.id, "content-type": CONTENT_TYPE}
