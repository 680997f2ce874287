"""A ledger service on a real database, told things as the bus would tell it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.deployer import v1 as deployer
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.gateway import v1 as gateway
from contracts.types import BasisPoints, Credits
from runtime.ids import new_id
from runtime.inbox import Delivery
from runtime.process import Running
from runtime.work import Outcome
from services.ledger import spenders
from services.ledger.commands import CloseDispute, OpenDispute, RefundPurchase
from services.ledger.settings import LedgerSettings
from tests.support.environment import Database

START: Final = datetime(2026, 3, 1, 9, tzinfo=UTC)
FINANCE: Final = "finance-1"
WAIT_SECONDS_MAX: Final = 30


def settings_for(database: Database, **more: Any) -> LedgerSettings:
    """Return settings for a ledger that is not connected to a bus."""
    return LedgerSettings.model_validate(
        {
            "postgres_dsn": database.dsn,
            "nats_user": "ledger",
            "nats_password": "unused",
            "postgres_pool_max": 4,
            **more,
        }
    )


@dataclass
class Ledger:
    """A running ledger, and how far each stream of others has been told."""

    running: Running
    told: Counter[str] = field(default_factory=Counter)

    async def tell(self, *messages: tuple[str, Event]) -> None:
        """Hand in messages, each as (stream, event), and wait until all are handled."""
        await self.hand_in([self.envelope(stream, event) for stream, event in messages])

    def envelope(self, stream: str, event: Event) -> Envelope[Any]:
        """Return an event as the next message of its stream."""
        self.told[stream] += 1
        return Envelope[Any].model_construct(
            id=new_id(),
            source=f"/tollgate/{event.service}",
            type=event.type_name(),
            subject=stream,
            time=self.running.clock.now(),
            dataschema=event.schema_id(),
            partitionkey=stream,
            sequence=self.told[stream],
            correlationid=stream.partition("-")[2],
            data=event,
        )

    async def hand_in(self, envelopes: Sequence[Envelope[Any]]) -> None:
        """Hand in envelopes as they are, and wait until all are handled or set aside."""
        settled = [asyncio.Event() for _ in envelopes]
        for envelope, done in zip(envelopes, settled, strict=True):
            await self.running.processor.submit(_delivery(envelope, done, self.running))
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await asyncio.gather(*(done.wait() for done in settled))

    async def register(self, user_id: str, referred_by: str | None = None) -> None:
        """Tell that a user registered."""
        await self.tell(
            (
                f"user-{user_id}",
                gateway.UserRegistered(
                    user_id=user_id,
                    roles=("user",),
                    referred_by=referred_by,
                    registered_at=self.running.clock.now(),
                ),
            )
        )

    async def set(self, **changes: Any) -> None:
        """Tell that the settings changed; what is not named is as in `settings_changed`."""
        version = self.told["settings-current"] + 1
        await self.tell(
            ("settings-current", settings_changed(version, self.running.clock.now(), **changes))
        )

    async def award(self, user_id: str, credits_given: int, **more: Any) -> str:
        """Ask for an award; return the request's id."""
        return await self._request(
            gateway.AwardRequested,
            user_id=user_id,
            credits=Credits(credits_given),
            **{
                "award_kind": "award.goodwill",
                "reason": "for the outage",
                "credits_expire_at": None,
                **more,
            },
        )

    async def purchase(
        self, user_id: str, credits_bought: int, price_minor: int, **more: Any
    ) -> str:
        """Ask for a purchase to be recorded; return the request's id."""
        return await self._request(
            gateway.PurchaseRequested,
            user_id=user_id,
            credits=Credits(credits_bought),
            price_minor=price_minor,
            **{"currency": "USD", "reference": "INV-1", **more},
        )

    async def adjust(self, user_id: str, credits_taken: int, **more: Any) -> str:
        """Ask for credits to be taken away; return the request's id."""
        return await self._request(
            gateway.AdjustmentRequested,
            user_id=user_id,
            credits=Credits(credits_taken),
            **{"reason": "booked twice", **more},
        )

    async def refund(self, deployment_id: str, user_id: str, **more: Any) -> str:
        """Ask for a deployment to be refunded; return the request's id."""
        return await self._request(
            gateway.SettlementRefundRequested,
            deployment_id=deployment_id,
            user_id=user_id,
            **{"credits": None, "reason": "it was down", **more},
        )

    async def change(self, command: RefundPurchase | OpenDispute | CloseDispute) -> Outcome:
        """Refund or dispute a purchase, as Stripe tells of it."""
        return await spenders.change(self.running, command, actor="stripe", correlation_id=new_id())

    async def hold(self, deployment_id: str, user_id: str, list_price: int, **more: Any) -> None:
        """Ask for a hold of one deployment."""
        await self.tell(
            (f"deployment-{deployment_id}", self.asking(deployment_id, user_id, list_price, **more))
        )

    def asking(
        self, deployment_id: str, user_id: str, list_price: int, **more: Any
    ) -> deployer.HoldRequested:
        """Return the message that asks for a hold."""
        now = self.running.clock.now()
        values: dict[str, Any] = {
            "deployment_id": deployment_id,
            "user_id": user_id,
            "hold_id": f"hold-of-{deployment_id}",
            "build_id": f"build-of-{deployment_id}",
            "module_id": "module-1",
            "module_name": "gke-cluster",
            "module_version": 1,
            "partner_id": None,
            "project": None,
            "list_price": Credits(list_price),
            "premium": False,
            "requested_at": now,
            "expires_at": now + timedelta(seconds=60),
        }
        return deployer.HoldRequested(**(values | more))

    async def succeed(self, deployment_id: str, user_id: str) -> None:
        """Tell that a deployment's CREATE build succeeded."""
        await self.tell((f"deployment-{deployment_id}", succeeded(deployment_id, user_id)))

    async def fail(self, deployment_id: str, user_id: str) -> None:
        """Tell that a deployment's CREATE build failed."""
        await self.tell((f"deployment-{deployment_id}", failed(deployment_id, user_id)))

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Return rows of the ledger's database."""
        return [dict(row) for row in await self.running.pool.fetch(query, *arguments)]

    async def balance(self, user_id: str) -> tuple[int, int, int, int]:
        """Return the live projection's awarded, purchased, awarded held and purchased held."""
        row = await self.running.pool.fetchrow("select * from balances where user_id = $1", user_id)
        assert row is not None
        return (
            row["awarded"],
            row["purchased"],
            row["awarded_held"],
            row["purchased_held"],
        )

    async def published(self, stream: str) -> list[str]:
        """Return the facts published in a stream, in order."""
        rows = await self.fetch(
            "select subject from outbox where stream = $1 order by sequence", stream
        )
        return [row["subject"].split(".")[3] for row in rows]

    async def refusal(self, request_id: str) -> str | None:
        """Return the code by which a request was refused, if it was."""
        body = await self.running.pool.fetchval(
            "select body from outbox where stream = $1", f"refusal-{request_id}"
        )
        if body is None:
            return None
        start = body.index('"code":"') + 8
        return str(body[start : body.index('"', start)])

    async def waiting(self) -> list[dict[str, Any]]:
        """Return the messages that were set aside."""
        return await self.fetch("select * from inbox_waiting")

    async def until(self, query: str) -> None:
        """Wait until a query returns something, within a bound."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await self.fetch(query):
                await asyncio.sleep(0.02)

    async def _request(self, type_: Any, **values: Any) -> str:
        request_id = new_id()
        now = self.running.clock.now()
        base = {
            "request_id": request_id,
            "requested_by": FINANCE,
            "requested_at": now,
            "expires_at": now + timedelta(seconds=60),
        }
        await self.tell((f"request-{request_id}", type_(**(base | values))))
        return request_id


def _delivery(envelope: Envelope[Any], done: asyncio.Event, running: Running) -> Delivery:
    async def settle() -> None:
        done.set()

    return Delivery(
        envelope=envelope,
        subject=envelope.data.bus_subject(),
        body=envelope.to_bytes(),
        first_at=running.clock.now(),
        settle=settle,
    )


def settings_changed(version: int, at: datetime, **changes: Any) -> gateway.SettingsChanged:
    """Return settings with shares of 30 % and 10 %, and no award for anything."""
    values: dict[str, Any] = {
        "settings_version": version,
        "credits_enabled": True,
        "credits_per_unit": 1,
        "credit_bundles": (),
        "currency": "USD",
        "signup_award": Credits(0),
        "referral_award": Credits(0),
        "award_expiry_days": None,
        "shares": (shares(3000, 1000, START - timedelta(days=365)),),
        "retention_days": None,
        "project_costs_enabled": False,
        "self_registration": True,
        "platform_repository_url": None,
        "platform_repository_branch": None,
        "changed_by": "admin-1",
        "changed_at": at,
    }
    return gateway.SettingsChanged(**(values | changes))


def shares(partner: BasisPoints, agent: BasisPoints, since: datetime) -> gateway.Shares:
    """Return shares in force from an instant on."""
    return gateway.Shares(
        effective_from=since, partner_basis_points=partner, agent_basis_points=agent
    )


def succeeded(deployment_id: str, user_id: str, **more: Any) -> deployer.DeploymentSucceeded:
    """Return that a deployment's CREATE build succeeded."""
    values: dict[str, Any] = {
        "deployment_id": deployment_id,
        "user_id": user_id,
        "build_id": f"build-of-{deployment_id}",
        "action": "CREATE",
        "hold_id": f"hold-of-{deployment_id}",
        "outputs": "e30.AA.AA.AA.AA",
    }
    return deployer.DeploymentSucceeded(**(values | more))


def failed(deployment_id: str, user_id: str, **more: Any) -> deployer.DeploymentFailed:
    """Return that a deployment's CREATE build failed."""
    error = deployer.BuildError(code="TERRAFORM_FAILED", message="no", platform_fault=False)
    values: dict[str, Any] = {
        "deployment_id": deployment_id,
        "user_id": user_id,
        "build_id": f"build-of-{deployment_id}",
        "action": "CREATE",
        "hold_id": f"hold-of-{deployment_id}",
        "error": error,
        "owns_resources": False,
    }
    return deployer.DeploymentFailed(**(values | more))
