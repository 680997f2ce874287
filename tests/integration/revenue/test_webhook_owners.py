"""Who is no payee any more is told nothing; and what was queued long ago is forgotten."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from contracts.gateway import v1 as gateway
from contracts.webhook_rules import KEPT_FOR
from runtime.sealing import seal
from services.revenue.webhooks.retention import forget_old_deliveries
from tests.integration.revenue.hooks import ACCRUED, PUBLIC, SECRET, Hooks, running_hooks
from tests.integration.revenue.receivers import Receiver, answering, receiver
from tests.integration.revenue.settlements import Wallet
from tests.support.environment import Database


class Person:
    """A user's stream, in which their roles change."""

    def __init__(self, hooks: Hooks, user_id: str = "pia") -> None:
        self.hooks, self.user_id = hooks, user_id
        self.stream = Wallet(user_id, kind="user")

    async def has(self, *roles: Any) -> None:
        await self._says(
            gateway.UserRolesChanged(user_id=self.user_id, roles=roles, changed_by="ada")
        )

    async def is_deactivated(self) -> None:
        await self._says(gateway.UserDeactivated(user_id=self.user_id, changed_by="ada"))

    async def is_reactivated(self) -> None:
        await self._says(gateway.UserReactivated(user_id=self.user_id, changed_by="ada"))

    async def _says(self, event: gateway.UserEvent) -> None:
        await self.hooks.revenue.take(self.stream.says(event, at=self.hooks.clock.now()))


@pytest_asyncio.fixture
async def hooks(database_for: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Hooks]:
    async with running_hooks(await database_for("revenue")) as running:
        yield running


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


async def enable(hooks: Hooks, webhook_id: str, *, owner: str = "pia") -> list[dict[str, Any]]:
    """Ask for an endpoint to be enabled; return all refusals there were so far."""
    await hooks.asks(
        gateway.WebhookChangeRequested,
        owner,
        webhook_id=webhook_id,
        url=None,
        event_types=None,
        description=None,
        enabled=True,
    )
    return await hooks.told("request_refused")


async def test_who_loses_the_role_is_told_nothing_more_and_why(
    hooks: Hooks, here: Receiver
) -> None:
    pia = Person(hooks)
    first, second = [await hooks.registers(here.url) for _ in range(2)]
    other = await hooks.registers(here.url, owner="paul")
    await pia.has("user", "support")
    await hooks.earns()
    await hooks.earns(partner="paul")
    async with hooks.sending():
        [delivered] = await hooks.until("webhook_delivered")
    assert delivered["webhook_id"] == other
    disabled = await hooks.told("webhook_endpoint_disabled")
    assert {each["webhook_id"] for each in disabled} == {first, second}
    assert {(each["reason"], each["failing_since"]) for each in disabled} == {("role_lost", None)}


async def test_what_was_asked_for_meanwhile_is_refused_and_works_with_the_role_again(
    hooks: Hooks, here: Receiver
) -> None:
    pia = Person(hooks)
    webhook_id = await hooks.registers(here.url)
    await pia.has("user")
    await hooks.earns()
    [refused] = await enable(hooks, webhook_id)
    assert refused["code"] == "FORBIDDEN"
    await hooks.registers(here.url)
    assert [each["code"] for each in await hooks.told("request_refused")] == ["FORBIDDEN"] * 2

    await pia.has("user", "agent")
    assert len(await enable(hooks, webhook_id)) == 2
    async with hooks.sending():
        [delivered] = await hooks.until("webhook_delivered")
    assert (delivered["webhook_id"], delivered["event_sequence"]) == (webhook_id, 1)


async def test_a_role_is_worth_nothing_to_who_is_deactivated(hooks: Hooks, here: Receiver) -> None:
    pia = Person(hooks)
    webhook_id = await hooks.registers(here.url)
    await pia.is_deactivated()
    await pia.has("user", "partner")
    assert len(await enable(hooks, webhook_id)) == 1
    await pia.has("user")
    await pia.is_reactivated()
    assert len(await enable(hooks, webhook_id)) == 2
    await pia.has("user", "partner")
    assert len(await enable(hooks, webhook_id)) == 2
    [disabled] = await hooks.told("webhook_endpoint_disabled")
    assert disabled["reason"] == "deactivated"


async def test_who_has_no_webhooks_leaves_no_fact_by_losing_a_role(hooks: Hooks) -> None:
    await Person(hooks, "ulf").has("user")
    await Person(hooks, "uma").has("user", "partner")
    assert await hooks.running.pool.fetchval("select count(*) from facts") == 0
    kept = "select key from documents where collection = 'ended_payees'"
    assert [row["key"] for row in await hooks.running.pool.fetch(kept)] == ["ulf"]


async def test_who_lost_the_role_may_still_remove_and_rotate(hooks: Hooks, here: Receiver) -> None:
    webhook_id = await hooks.registers(here.url)
    await Person(hooks).has("user")
    secret = seal(SECRET.encode(), PUBLIC)
    await hooks.asks(gateway.WebhookRotationRequested, webhook_id=webhook_id, sealed_secret=secret)
    await hooks.asks(gateway.WebhookRemovalRequested, webhook_id=webhook_id)
    assert await hooks.told("request_refused") == []
    assert len(await hooks.told("webhook_removed")) == 1


@pytest.mark.parametrize("enabled", [True, False])
async def test_what_was_queued_long_ago_is_forgotten_but_what_an_endpoint_waits_for(
    hooks: Hooks, here: Receiver, enabled: bool
) -> None:
    await hooks.registers(here.url)
    await hooks.earns(lines=2)
    async with hooks.sending():
        await hooks.until("webhook_delivered", 2)
    here.respond = answering(500)
    await hooks.earns()
    async with hooks.sending():
        await hooks.until("webhook_attempt_failed")
    if not enabled:
        await Person(hooks).has("user")
    hooks.clock.advance(KEPT_FOR)
    assert await forget_old_deliveries(hooks.running, lambda: None) == 0
    hooks.clock.advance(timedelta(seconds=1))
    assert await forget_old_deliveries(hooks.running, lambda: None) == (2 if enabled else 3)
    left = await hooks.running.pool.fetch("select event_sequence from webhook_deliveries")
    assert [row["event_sequence"] for row in left] == ([3] if enabled else [])


async def test_a_gap_that_forgetting_left_is_seen_by_the_receiver(
    hooks: Hooks, here: Receiver
) -> None:
    webhook_id = await hooks.registers(here.url)
    pia = Person(hooks)
    await pia.has("user")
    await hooks.earns(lines=2)
    hooks.clock.advance(KEPT_FOR + timedelta(days=1))
    assert await forget_old_deliveries(hooks.running, lambda: None) == 2
    await pia.has("user", "partner")
    await enable(hooks, webhook_id)
    await hooks.earns()
    async with hooks.sending():
        await hooks.until("webhook_delivered")
    [only] = here.sent
    assert only.event["type"] == ACCRUED
    assert (only.event["sequence"], only.event["previous_sequence"]) == (3, 2)
