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
from nats.aio.subscription import Subscription
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

    async def run(self) -> None:
        """Pull until cancelled; while the consumer or the server is away, without haste."""
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(f"{inbox}.*")
        failures = 0
        for number in count(1):
            self._beat()
            try:
                refused = await self._pull_once(subscription, f"{inbox}.{number}")
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

    async def _pull_once(self, subscription: Subscription, reply: str) -> str | None:
        """Ask once and take all that comes of it; return why the server refused, if it did.

        What an earlier request still brings is taken too; only its end is not this one's.
        """
        await self._client.publish(self._subject, _request(), reply=reply)
        reconnects = self._client.stats["reconnects"]
        missing, silent_seconds = BATCH, 0.0
        while missing > 0:
            try:
                message = await subscription.next_msg(timeout=LOOK_SECONDS)
            except TimeoutError:
                silent_seconds += LOOK_SECONDS
                lost = self._client.stats["reconnects"] != reconnects
                if lost or silent_seconds > SILENCE_SECONDS_MAX:
                    return None if self._client.is_connected else "not connected"
                continue
            silent_seconds = 0.0
            self._beat()
            status = (message.headers or {}).get("Status")
            if status is None:
                missing -= 1
                await self._take(message)
            elif message.subject != reply:
                continue
            elif status in USED_UP:
                return None
            elif status != HEARTBEAT:
                return f"{status} {(message.headers or {}).get('Description', '')}"
        return None


def _request() -> bytes:
    nanoseconds = 1_000_000_000
    return json.dumps(
        {
            "batch": BATCH,
            "expires": int(EXPIRES_SECONDS * nanoseconds),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * nanoseconds),
        }
    ).encode()
