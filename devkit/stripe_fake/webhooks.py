"""Telling events to the webhook's address: signed as Stripe signs, and again until it is taken."""

import asyncio
import hmac
import json
from hashlib import sha256
from typing import Any, Final

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from devkit.stripe_fake.store import Delivery, Store
from runtime.clock import Clock

ATTEMPTS_MAX: Final = 20
RETRY_SECONDS_MIN: Final = 1.0
RETRY_SECONDS_MAX: Final = 60.0
ANSWER_SECONDS_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 500
AT_ONCE: Final = 8
POLL_SECONDS: Final = 0.1
_GOOD: Final = range(200, 300)


def signature_header(secret: str, at: int, body: bytes) -> str:
    """Return `Stripe-Signature`: when, and HMAC-SHA256 of `<when>.<body>` under the secret."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    return f"t={at},v1={signed}"


class Webhooks:
    """Delivers what is due. Without an address nothing is sent, and nothing is lost."""

    def __init__(self, store: Store, clock: Clock, *, url: str | None, secret: str) -> None:
        self._store = store
        self._clock = clock
        self.url = url
        self._secret = secret

    async def run(self) -> None:
        """Deliver until cancelled: in order, at most 8 at a time."""
        timeout = ClientTimeout(total=ANSWER_SECONDS_MAX)
        async with ClientSession(timeout=timeout) as client:
            while True:
                now = self._clock.now().timestamp()
                due = self._store.due(now, AT_ONCE) if self.url is not None else []
                for delivery in due:
                    await self._attempt(client, delivery)
                if not due:
                    await asyncio.sleep(POLL_SECONDS)

    async def _attempt(self, client: ClientSession, delivery: Delivery) -> None:
        event = self._store.get(delivery.event_id)
        if event is None or self.url is None:
            return
        taken, answer = await self._post(client, self.url, event)
        attempts = delivery.attempts + 1
        now = self._clock.now().timestamp()
        pause = min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * 2 ** min(delivery.attempts, 10))
        status = "TAKEN" if taken else "GIVEN_UP" if attempts >= ATTEMPTS_MAX else "PENDING"
        self._store.attempted(delivery.number, status=status, due_at=now + pause, answer=answer)
        structlog.get_logger().info(
            "webhook.sent", type=event["type"], about=event["id"], status=status, answer=answer
        )

    async def _post(
        self, client: ClientSession, url: str, event: dict[str, Any]
    ) -> tuple[bool, str]:
        body = json.dumps(event).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature_header(
                self._secret, int(self._clock.now().timestamp()), body
            ),
        }
        try:
            async with client.post(url, data=body, headers=headers) as answer:
                said = (await answer.content.read(ANSWER_BYTES_MAX)).decode(errors="replace")
                return answer.status in _GOOD, f"{answer.status} {said}"
        except (ClientError, OSError, TimeoutError) as error:
            return False, repr(error)
