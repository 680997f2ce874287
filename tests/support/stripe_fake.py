"""The fake of Stripe for tests: served on a thread of its own, so that the SDK may block."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from devkit.stripe_fake.server import Options, serving
from runtime.clock import Clock, system_clock

API_KEY: Final = "sk_test_for-tests-only"
WEBHOOK_SECRET: Final = "whsec_for-tests-only"
START_SECONDS_MAX: Final = 10
ASK_SECONDS_MAX: Final = 10


@dataclass(frozen=True)
class StripeFake:
    """A running fake, and its strings."""

    url: str
    api_key: str = field(default=API_KEY, repr=False)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the fake as people and tests do; return its JSON."""
        request = Request(  # noqa: S310 - an address of our own
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=ASK_SECONDS_MAX) as answer:  # noqa: S310 - the same
                return json.loads(answer.read())
        except HTTPError as error:
            raise AssertionError(f"{error.code} {error.read().decode()}") from error

    def behave(self, **changes: Any) -> None:
        """Misbehave from now on."""
        self.ask("PATCH", "/control/behaviour", changes)

    def session(self, session_id: str, act: str, **body: Any) -> Any:
        """Do something to a session: `pay`, `pay_later`, `arrive`, …"""
        return self.ask("POST", f"/control/sessions/{session_id}/{act}", body)

    def charge(self, charge_id: str, act: str, amount: int | None = None) -> Any:
        """`refund` or `dispute` a charge."""
        body = {} if amount is None else {"amount": amount}
        return self.ask("POST", f"/control/charges/{charge_id}/{act}", body)

    def fail_refund(self, refund_id: str) -> Any:
        """Have a refund that was made come back."""
        return self.ask("POST", f"/control/refunds/{refund_id}/fail", {})

    def close_dispute(self, dispute_id: str, act: str) -> Any:
        """`win` or `lose` a dispute."""
        return self.ask("POST", f"/control/disputes/{dispute_id}/{act}", {})

    def send_webhooks_to(self, url: str | None) -> None:
        """Send webhooks there from now on."""
        self.ask("PUT", "/control/webhook", {"url": url})

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the deliveries of webhooks, the newest first."""
        found: list[dict[str, Any]] = self.ask("GET", "/control")["deliveries"]
        return found


@contextmanager
def running_stripe_fake(
    file: Path, *, port: int = 0, clock: Clock = system_clock
) -> Iterator[StripeFake]:
    """Run a fake on this file for a while."""
    started = threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        held["stop"], held["loop"] = asyncio.Event(), asyncio.get_running_loop()
        options = Options(port, file, API_KEY, WEBHOOK_SECRET, webhook_url=None, clock=clock)
        async with serving(options) as url:
            held["url"] = url
            started.set()
            await held["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="stripe fake")
    thread.start()
    try:
        assert started.wait(START_SECONDS_MAX), "the fake of Stripe did not start"
        yield StripeFake(held["url"])
    finally:
        if "stop" in held:
            held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(START_SECONDS_MAX)
