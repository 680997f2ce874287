"""A ledger that sells credits through the fake of Stripe, and a buyer who pays there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import stripe

from contracts.gateway import v1 as gateway
from contracts.types import Credits
from runtime.clock import ManualClock
from runtime.ids import new_id
from runtime.process import assemble
from services.ledger.checkouts.sweeping import Sweep
from services.ledger.main import build
from services.ledger.stripe_gateway import StripeGateway
from services.wiring import WIRING
from tests.integration.ledger.driver import WAIT_SECONDS_MAX, Ledger, settings_for
from tests.support.environment import Database
from tests.support.stripe_fake import API_KEY, StripeFake

BUYER: Final = "user-1"
POLL_SECONDS: Final = 0.02
STEP: Final = timedelta(seconds=1)
"""How far the clock moves at each look, so that what is tried again later is."""


@dataclass
class Shop:
    """The ledger, the fake, and the clock that both go by."""

    ledger: Ledger
    fake: StripeFake
    clock: ManualClock
    told: int = 0

    @property
    def sdk(self) -> stripe.StripeClient:
        """Stripe as its SDK has it, to look at."""
        return stripe.StripeClient(API_KEY, base_addresses={"api": self.fake.url})

    async def ask(self, *, credits_wanted: int = 100, **more: Any) -> str:
        """Ask for a checkout; return its id."""
        checkout_id = new_id()
        now = self.clock.now()
        values: dict[str, Any] = {
            "request_id": checkout_id,
            "requested_by": BUYER,
            "requested_at": now,
            "expires_at": now + timedelta(minutes=5),
            "checkout_id": checkout_id,
            "user_id": BUYER,
            "credits": Credits(credits_wanted),
            "bonus": Credits(0),
            "price_minor": 1000,
            "currency": "USD",
            "success_path": "/paid",
            "cancel_path": "/not-paid",
        }
        request = gateway.CheckoutRequested(**(values | more))
        await self.ledger.tell((f"request-{checkout_id}", request))
        return checkout_id

    async def opened(self, **more: Any) -> str:
        """Ask for a checkout and wait until it is open; return its id."""
        checkout_id = await self.ask(**more)
        await self.until_status(checkout_id, "OPEN")
        return checkout_id

    async def bought(self, **more: Any) -> str:
        """Buy credits and wait until they are booked; return the checkout's id."""
        checkout_id = await self.opened(**more)
        await self.act(checkout_id, "pay")
        await self.hear()
        await self.until_status(checkout_id, "PAID")
        return checkout_id

    async def act(self, checkout_id: str, act: str, **body: Any) -> None:
        """Do something to the checkout's session, as its buyer, their bank or an accident does."""
        session_id = await self.session_of(checkout_id)
        await asyncio.to_thread(self.fake.session, session_id, act, **body)

    async def charge(self, checkout_id: str) -> str:
        """Return the charge that a checkout was paid by."""
        row = (await self.checkout(checkout_id))["payment_id"]
        intent = await asyncio.to_thread(self.sdk.v1.payment_intents.retrieve, row)
        assert isinstance(intent.latest_charge, str)
        return intent.latest_charge

    async def refund(self, checkout_id: str, amount: int | None = None) -> str:
        """Have Stripe give a payment back, wholly or so much of it; return the refund."""
        charge = await self.charge(checkout_id)
        found = await asyncio.to_thread(self.fake.charge, charge, "refund", amount)
        return str(found["id"])

    async def dispute(self, checkout_id: str, amount: int | None = None) -> str:
        """Have a payment disputed; return the dispute."""
        charge = await self.charge(checkout_id)
        found = await asyncio.to_thread(self.fake.charge, charge, "dispute", amount)
        return str(found["id"])

    async def events(self) -> list[stripe.Event]:
        """Return all that Stripe would tell, the first first."""
        listed = await asyncio.to_thread(self.sdk.v1.events.list, {"limit": 100})
        return list(reversed(listed.data))

    async def hear(self, *, copies: int = 1, reverse: bool = False) -> None:
        """Have the webhooks that came since the last time told, and wait until all is done."""
        events = (await self.events())[self.told :]
        self.told += len(events)
        for event in reversed(events) if reverse else events:
            for _ in range(copies):
                await self.tell_event(event)
        await self.until_idle()

    async def sweep(self, since: datetime) -> int:
        """Look for what webhooks have not told since then; return how much that was, once done."""
        settings: Any = self.ledger.running.settings
        stripe = StripeGateway(API_KEY, url=settings.stripe_api_url)
        try:
            sweep = Sweep(self.ledger.running, stripe, 60)
            found = await sweep.sweep_once(since, self.clock.now())
        finally:
            stripe.close()
        await self.until_idle()
        return found

    async def tell_event(self, event: stripe.Event) -> None:
        """Have one webhook told: as the gateway does, but that it takes each only once."""
        request_id = f"evt_{new_id()}"
        now = self.clock.now()
        about = event.data.object
        told = gateway.StripeEventReceived(
            request_id=request_id,
            requested_by="stripe",
            requested_at=now,
            expires_at=now + timedelta(days=1),
            event_id=event.id,
            event_type=event.type,
            object_id=about["id"],
            object_type=about["object"],
        )
        await self.ledger.tell((f"request-{request_id}", told))

    async def checkout(self, checkout_id: str) -> dict[str, Any]:
        """Return the row of a checkout."""
        [row] = await self.ledger.fetch(
            "select * from checkouts where checkout_id = $1", checkout_id
        )
        return row

    async def session_of(self, checkout_id: str) -> str:
        """Return the session of a checkout."""
        return str((await self.checkout(checkout_id))["session_id"])

    async def status(self, checkout_id: str) -> str:
        """Return how a checkout stands."""
        return str((await self.checkout(checkout_id))["status"])

    async def until_status(self, checkout_id: str, status: str) -> None:
        """Wait until a checkout stands so, moving the clock."""
        await self.until(
            f"select from checkouts where checkout_id = '{checkout_id}' and status = '{status}'"  # noqa: S608 - ours
        )

    async def until_idle(self) -> None:
        """Wait until nothing is left to do with Stripe, moving the clock."""
        await self.until("select where not exists (select from stripe_jobs)")

    async def until(self, query: str) -> None:
        """Wait until a query returns something, moving the clock."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await self.ledger.running.pool.fetch(query):
                self.clock.advance(STEP)
                await asyncio.sleep(POLL_SECONDS)

    async def problems(self) -> list[str]:
        """Return the codes of what needs a person."""
        rows = await self.ledger.fetch("select code from stripe_problems order by code")
        return [row["code"] for row in rows]

    async def purchased(self, user_id: str = BUYER) -> int:
        """Return what a user has bought and has left."""
        return (await self.ledger.balance(user_id))[1]


@asynccontextmanager
async def open_shop(
    database: Database, fake: StripeFake, clock: ManualClock, **settings: Any
) -> AsyncIterator[Shop]:
    """Give a ledger with its settings and a buyer, whose work with Stripe is done."""
    ours: dict[str, Any] = {
        "stripe_api_key": API_KEY,
        "stripe_api_url": fake.url,
        "stripe_sweep_seconds": 0.0,
        "public_url": "http://127.0.0.1:1",
    }
    configured = settings_for(database, **(ours | settings))
    service = build(configured)
    [work] = [task for task in service.tasks if task.__name__ == "stripe"]
    async with assemble(service, configured, WIRING, clock=clock) as running:
        ledger = Ledger(running)
        await ledger.set()
        await ledger.register(BUYER)
        working = asyncio.create_task(work(running))
        try:
            yield Shop(ledger, fake, clock)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
