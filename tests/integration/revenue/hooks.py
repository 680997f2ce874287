"""A revenue service whose payees have webhooks, which send what they are told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from contracts.events import Event
from contracts.gateway import v1 as gateway
from runtime.clock import Clock, ManualClock
from runtime.ids import new_id
from runtime.process import Running, assemble
from runtime.sealing import DataKey, generate_sealing_key, seal
from services.revenue.main import build
from services.revenue.settings import RevenueSettings
from services.revenue.webhooks.addresses import ThreadLookup
from services.revenue.webhooks.sender import Sender
from services.wiring import WIRING
from tests.integration.revenue.conftest import Revenue
from tests.integration.revenue.settlements import Wallet, hold, purchased, settled
from tests.support.environment import Database

PRIVATE, PUBLIC = generate_sealing_key()
MASTER: Final = "A" * 43
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
STEP_POLLS: Final = 50
PATIENCE_SECONDS: Final = 30.0
ACCRUED: Final = "revenue.share_accrued"
REVERSED: Final = "revenue.share_reversed"


@dataclass
class Hooks:
    """Revenue, what asks it for webhooks, and what sends them."""

    revenue: Revenue
    clock: ManualClock
    wallets: dict[str, Wallet] = field(default_factory=dict)
    deployments: int = 0

    @property
    def running(self) -> Running:
        """Return the running service."""
        return self.revenue.running

    async def asks(self, request: Callable[..., Event], owner: str = "pia", **what: Any) -> str:
        """Put a request of an owner's; return its id."""
        request_id = new_id()
        at = self.clock.now()
        event = request(
            request_id=request_id,
            requested_by=owner,
            requested_at=at,
            expires_at=at + timedelta(minutes=10),
            **what,
        )
        await self.revenue.take(Wallet(request_id, kind="request").says(event, at=at))
        return request_id

    async def registers(
        self,
        url: str,
        *,
        owner: str = "pia",
        events: tuple[str, ...] = (ACCRUED,),
        secret: str = SECRET,
    ) -> str:
        """Register an endpoint; return its id."""
        webhook_id = new_id()
        await self.asks(
            gateway.WebhookRegistrationRequested,
            owner,
            webhook_id=webhook_id,
            url=url,
            event_types=events,
            description=None,
            sealed_secret=seal(secret.encode(), PUBLIC),
        )
        return webhook_id

    async def earns(self, *, partner: str = "pia", lines: int = 1) -> None:
        """Have a partner earn lines, each of a deployment of its own."""
        wallet = self.wallets.setdefault("ursula", Wallet())
        deliveries = []
        for _ in range(lines):
            self.deployments += 1
            record = hold(purchased(0, 20), deployment=f"d{self.deployments}", partner=partner)
            deliveries.append(wallet.says(settled(record)))
        await self.revenue.take(*deliveries)

    async def told(self, fact: str) -> list[dict[str, Any]]:
        """Return what revenue has published of webhooks, of one kind."""
        return [
            message["data"]
            for message in await self.revenue.published()
            if message["type"] == f"tollgate.revenue.{fact}.v1"
        ]

    async def until(self, fact: str, count: int = 1) -> list[dict[str, Any]]:
        """Return what was published once there is so much of it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.told(fact)
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.02)

    async def until_later(self, fact: str, step: timedelta) -> list[dict[str, Any]]:
        """Return what was published once there is some of it, while time goes on by steps.

        The sender may read the clock, which stands still by itself, just after a step: so that what
        is due then needs another.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.clock.advance(step)
                for _ in range(STEP_POLLS):
                    if found := await self.told(fact):
                        return found
                    await asyncio.sleep(0.02)

    @asynccontextmanager
    async def sending(self, lookup: Any = None, **options: Any) -> AsyncIterator[Sender]:
        """Send what is due while the block runs."""
        found = lookup or ThreadLookup()
        sender = Sender(self.running, DataKey.from_text(MASTER), found, **options)
        task = asyncio.create_task(sender.run())
        try:
            yield sender
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def settings_for(database: Database, **changes: Any) -> RevenueSettings:
    """Return the settings of a revenue that may send to this machine."""
    values: dict[str, Any] = {
        "postgres_dsn": SecretStr(database.dsn),
        "nats_user": "revenue",
        "nats_password": SecretStr("none"),
        "master_key": SecretStr(MASTER),
        "sealing_key": SecretStr(PRIVATE),
        "allow_private_webhooks": True,
    }
    return RevenueSettings(**(values | changes))


@asynccontextmanager
async def running_hooks(
    database: Database, *, clock: ManualClock | None = None, **changes: Any
) -> AsyncIterator[Hooks]:
    """Give a revenue service, without a bus, whose clock is the test's."""
    settings = settings_for(database, **changes)
    here = clock or ManualClock(NOW)
    told: Clock = here
    async with assemble(build(settings), settings, WIRING, clock=told) as running:
        yield Hooks(Revenue(running, database.dsn, database.admin_dsn), here)
