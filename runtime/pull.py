"""Messages of a durable consumer, as they come, in order, for as long as it takes.

One request asks for many messages and stays with the server until it is used up or its time is
over; each message is handed over the moment it comes. The server's heartbeats tell that the request
still stands. Where they stay away, or the connection was lost meanwhile, it is asked again, so that
nothing waits for a request that a server has forgotten.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from runtime.metrics import CONSUMER_FAILURES

BATCH: Final = 500
EXPIRES_SECONDS: Final = 30.0
HEARTBEAT_SECONDS: Final = 1.0
SILENCE_SECONDS_MAX: Final = 2.5
LOOK_SECONDS: Final = 0.25
BACKOFF_SECONDS_MAX: Final = 10.0

HEARTBEAT: Final = "100"
USED_UP: Final = frozenset({"404", "408"})
"""No more messages, or no more time: ask again at once."""


class Pull:
    """Pulls from one consumer; `take` gets each message, and the next one when it returns."""

    def __init__(
        self,
        client: Client,
        *,
        stream: str,
        durable: str,
        take: Callable[[Msg], Awaitable[None]],
        beat: Callable[[], None],
    ) -> None:
        self._client = client
        self._stream = stream
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._take = take
        self._beat = beat
        self._request = _Request("")
        self._taking = False
        self._arrived = 0

    async def run(self) -> None:
        """Pull until cancelled; while the consumer or the server is away, without haste.

        What `take` raises ends it.
        """
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(f"{inbox}.*", cb=self._receive)
        try:
            await self._ask_again_and_again(inbox)
        finally:
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def _ask_again_and_again(self, inbox: str) -> None:
        failures = 0
        for number in count(1):
            self._beat()
            try:
                refused = await self._pull_once(f"{inbox}.{number}")
            except NatsError as error:
                refused = repr(error)
            if refused is None:
                failures = 0
                continue
            failures += 1
            CONSUMER_FAILURES.labels(stream=self._stream).inc()
            log = structlog.get_logger()
            log.warning("bus.pull_failed", stream=self._stream, reason=refused)
            jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            await asyncio.sleep(min(BACKOFF_SECONDS_MAX, 0.1 * 2**failures) * jitter)

    async def _pull_once(self, reply: str) -> str | None:
        """Ask once and take all that comes of it; return why the server refused, if it did.

        What an earlier request still brings is taken too; only its end is not this one's. While
        `take` has no room for more, nothing is silent but us.
        """
        request = self._request = _Request(reply)
        await self._client.publish(self._subject, _request(), reply=reply)
        reconnects = self._client.stats["reconnects"]
        arrived, silent_seconds = self._arrived, 0.0
        while True:
            await asyncio.wait({request.ended}, timeout=LOOK_SECONDS)
            if request.ended.done():
                return request.ended.result()
            self._beat()
            if self._taking:
                continue
            silent_seconds = 0.0 if self._arrived != arrived else silent_seconds + LOOK_SECONDS
            arrived = self._arrived
            lost = self._client.stats["reconnects"] != reconnects
            if lost or silent_seconds > SILENCE_SECONDS_MAX:
                return None if self._client.is_connected else "not connected"

    async def _receive(self, message: Msg) -> None:
        """Take a message, or what the server says of the request; called one at a time."""
        self._arrived += 1
        request = self._request
        status = (message.headers or {}).get("Status")
        if status is None:
            self._taking = True
            try:
                await self._take(message)
            except Exception as error:  # noqa: BLE001 - whatever it is, `run` raises it
                request.fail(error)
            finally:
                self._taking = False
            request.missing -= 1
            if request.missing <= 0:
                request.end(None)
        elif message.subject == request.reply and status != HEARTBEAT:
            description = (message.headers or {}).get("Description", "")
            request.end(None if status in USED_UP else f"{status} {description}")


class _Request:
    """One request for many messages: how many are missing, and how it ended."""

    def __init__(self, reply: str) -> None:
        self.reply = reply
        self.missing = BATCH
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def end(self, refused: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(refused)

    def fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)


def _request() -> bytes:
    nanoseconds = 1_000_000_000
    return json.dumps(
        {
            "batch": BATCH,
            "expires": int(EXPIRES_SECONDS * nanoseconds),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * nanoseconds),
        }
    ).encode()
