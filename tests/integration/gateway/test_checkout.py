"""Buying credits, as the gateway has it: what it asks of the ledger, and whom it believes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import stripe

from contracts.gateway.v1 import CheckoutCheckRequested, CheckoutRequested, StripeEventReceived
from contracts.ledger import v1 as ledger
from runtime.clock import ManualClock
from tests.integration.gateway.api import Api, Person, running_api
from tests.support.environment import Database

SECRET = "whsec_for-tests-only"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSION = "cs_test_" + "a" * 58
BUNDLE = {"credits": 500, "bonus": 50, "price": {"amount_minor": 4000, "currency": "USD"}}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest_asyncio.fixture
async def api(
    database_for: Callable[[str], Awaitable[Database]], clock: ManualClock
) -> AsyncIterator[Api]:
    database = await database_for("gateway")
    async with running_api(database, clock=clock, stripe_webhook_secret=SECRET) as running:
        yield running


async def asks_to_buy(
    api: Api, person: Person, credits_wanted: int, after: int = 0
) -> tuple[CheckoutRequested, "asyncio.Task[Any]"]:
    buying = asyncio.create_task(
        person.asks("POST", "/api/credits/checkout", {"credits": credits_wanted})
    )
    return (await api.asked(CheckoutRequested, after=after)).data, buying


async def opens(api: Api, asked: CheckoutRequested) -> None:
    event = ledger.CheckoutOpened(
        checkout_id=asked.checkout_id,
        user_id=asked.user_id,
        credits=asked.credits,
        bonus=asked.bonus,
        price_minor=asked.price_minor,
        currency=asked.currency,
        session_id=SESSION,
        url="https://checkout.stripe.com/c/pay/1",
        session_expires_at=NOON + timedelta(hours=24),
    )
    await api.tells(f"checkout-{asked.checkout_id}", event, correlation_id=asked.request_id)


async def open_checkout(api: Api, person: Person) -> str:
    asked, buying = await asks_to_buy(api, person, 10)
    await opens(api, asked)
    assert (await buying).status_code == 201
    return asked.checkout_id


async def status(person: Person, checkout_id: str) -> str:
    found: str = (await person.gets(f"/api/credits/checkout/{checkout_id}"))["status"]
    return found


async def test_a_checkout_is_answered_with_a_page_to_pay_on(api: Api) -> None:
    buyer = await api.person()
    asked, buying = await asks_to_buy(api, buyer, 10)
    assert (asked.user_id, asked.requested_by) == (buyer.id, buyer.id)
    assert (asked.credits, asked.bonus, asked.price_minor, asked.currency) == (10, 0, 1000, "USD")
    await opens(api, asked)
    answer = await buying
    assert answer.status_code == 201
    shown = answer.json()
    assert shown == {
        "checkout_id": asked.checkout_id,
        "status": "OPEN",
        "credits": 10,
        "bonus": 0,
        "price": {"amount_minor": 1000, "currency": "USD"},
        "url": "https://checkout.stripe.com/c/pay/1",
        "expires_at": "2026-03-02T12:00:00Z",
    }
    assert await buyer.gets(f"/api/credits/checkout/{asked.checkout_id}") == shown


async def test_a_bundle_of_exactly_so_many_credits_sets_price_and_bonus(api: Api) -> None:
    admin = await api.person("admin")
    changed = await admin.asks("PATCH", "/api/settings", {"credit_bundles": [BUNDLE]})
    assert changed.status_code == 200, changed.text
    asked, buying = await asks_to_buy(api, await api.person(), 500)
    assert (asked.credits, asked.bonus, asked.price_minor) == (500, 50, 4000)
    buying.cancel()


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ledger.CheckoutPaid, "PAID"),
        (ledger.CheckoutExpired, "EXPIRED"),
        (ledger.CheckoutFailed, "FAILED"),
    ],
)
async def test_a_checkout_ends_as_the_ledger_says(api: Api, event: Any, expected: str) -> None:
    buyer = await api.person()
    checkout_id = await open_checkout(api, buyer)
    more = {"PAID": {"payment_id": "pi_1"}, "FAILED": {"code": "PAYMENT_FAILED", "detail": "no"}}
    ended = event(checkout_id=checkout_id, user_id=buyer.id, **more.get(expected, {}))
    await api.tells(f"checkout-{checkout_id}", ended)
    shown = await buyer.gets(f"/api/credits/checkout/{checkout_id}")
    assert (shown["status"], shown["url"]) == (expected, None)


async def test_nobody_sees_anothers_checkout(api: Api) -> None:
    checkout_id = await open_checkout(api, await api.person())
    for other in (await api.person(), await api.person("admin")):
        path = f"/api/credits/checkout/{checkout_id}"
        await other.is_refused("GET", path, status=404, code="NOT_FOUND")


async def test_to_look_has_stripe_asked_ever_more_seldom(api: Api, clock: ManualClock) -> None:
    buyer = await api.person()
    checkout_id = await open_checkout(api, buyer)
    assert await status(buyer, checkout_id) == "OPEN"
    sql = "select count(*) from outbox where subject = $1"
    counts = []
    for step in (0, 2, 0, 2, 4, 1, 7):
        clock.advance(timedelta(seconds=step))
        await status(buyer, checkout_id)
        counts.append(await api.running.pool.fetchval(sql, CheckoutCheckRequested.bus_subject()))
    assert counts == [0, 1, 1, 2, 3, 3, 4]
    assert (await api.asked(CheckoutCheckRequested)).data.checkout_id == checkout_id


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (0, "INVALID_INPUT"),
        (-5, "INVALID_INPUT"),
        (1.5, "INVALID_INPUT"),
        ("10", "INVALID_INPUT"),
        (True, "INVALID_INPUT"),
        (2**63, "INVALID_INPUT"),
        (None, "INVALID_INPUT"),
        (1_000_000, "PURCHASE_TOO_LARGE"),
    ],
)
async def test_what_cannot_be_bought_is_refused(api: Api, wanted: Any, code: str) -> None:
    buyer = await api.person()
    await buyer.is_refused(
        "POST", "/api/credits/checkout", {"credits": wanted}, status=422, code=code
    )
    asked = await api.running.pool.fetchval(
        "select count(*) from outbox where subject = $1", CheckoutRequested.bus_subject()
    )
    assert asked == 0


async def test_nothing_is_sold_while_credits_are_switched_off(api: Api) -> None:
    admin = await api.person("admin")
    await admin.asks("PATCH", "/api/settings", {"credits_enabled": False})
    await admin.is_refused(
        "POST", "/api/credits/checkout", {"credits": 10}, status=409, code="CREDITS_DISABLED"
    )


async def test_the_ledgers_refusal_is_the_answer(api: Api) -> None:
    buyer = await api.person()
    asked, buying = await asks_to_buy(api, buyer, 10)
    refused = ledger.RequestRefused(
        request_id=asked.request_id,
        code="STRIPE_NOT_CONFIGURED",
        detail="no key is set",
        details={},
    )
    await api.tells(f"refusal-{asked.request_id}", refused, correlation_id=asked.request_id)
    answer = await buying
    assert (answer.status_code, answer.json()["code"]) == (503, "STRIPE_NOT_CONFIGURED")


def event_body(event_id: str = "evt_1", **changes: Any) -> bytes:
    event: dict[str, Any] = {
        "id": event_id,
        "object": "event",
        "type": "checkout.session.completed",
        "created": 1,
        "data": {"object": {"id": SESSION, "object": "checkout.session", "amount_total": 1}},
        **changes,
    }
    return json.dumps(event).encode()


async def hooks(
    api: Api, body: bytes, *, at: datetime = NOON, secret: str = SECRET, header: str | None = None
) -> httpx2.Response:
    made = stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, timestamp=int(at.timestamp())
    )
    headers = {"Stripe-Signature": header or str(made), "Content-Type": "application/json"}
    return await api.client().post("/api/hooks/stripe", content=body, headers=headers)


async def events_taken(api: Api) -> int:
    sql = "select count(*) from outbox where subject = $1"
    return int(await api.running.pool.fetchval(sql, StripeEventReceived.bus_subject()))


async def test_an_event_of_stripes_is_handed_on_once_as_ids_only(api: Api) -> None:
    for _ in range(3):
        answer = await hooks(api, event_body())
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert await events_taken(api) == 1
    told = await api.asked(StripeEventReceived)
    assert told.data.model_dump(include={"event_id", "event_type", "object_id", "object_type"}) == {
        "event_id": "evt_1",
        "event_type": "checkout.session.completed",
        "object_id": SESSION,
        "object_type": "checkout.session",
    }
    assert b"amount" not in told.to_bytes()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "whsec_another"}, "BAD_SIGNATURE"),
        ({"header": "t=1,v1=00"}, "BAD_SIGNATURE"),
        ({"at": NOON - timedelta(seconds=301)}, "SIGNATURE_TOO_OLD"),
        ({"at": NOON + timedelta(seconds=301)}, "SIGNATURE_TOO_OLD"),
    ],
)
async def test_a_webhook_that_is_not_stripes_changes_nothing(
    api: Api, changes: Any, code: str
) -> None:
    answer = await hooks(api, event_body(), **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await events_taken(api) == 0


async def test_a_replay_of_an_old_webhook_is_refused(api: Api, clock: ManualClock) -> None:
    assert (await hooks(api, event_body())).status_code == 200
    clock.advance(timedelta(minutes=6))
    assert (await hooks(api, event_body())).json()["code"] == "SIGNATURE_TOO_OLD"


@pytest.mark.parametrize(
    ("body", "status_code"),
    [
        (event_body(type="customer.created"), 200),
        (event_body(type="balance.available", data={"object": {"object": "balance"}}), 200),
        (event_body(data={"object": {"object": "checkout.session"}}), 400),
        (event_body(data={"object": {"id": "no id", "object": "charge"}}), 400),
        (event_body(id="e" * 65), 400),
        (b"[]", 400),
        (b"not json", 400),
    ],
)
async def test_what_is_of_no_use_is_not_kept(api: Api, body: bytes, status_code: int) -> None:
    assert (await hooks(api, body)).status_code == status_code
    assert await events_taken(api) == 0


async def test_without_a_secret_no_webhook_is_believed(
    database_for: Callable[[str], Awaitable[Database]], clock: ManualClock
) -> None:
    async with running_api(await database_for("gateway"), clock=clock) as api:
        answer = await hooks(api, event_body())
        assert (answer.status_code, answer.json()["code"]) == (503, "STRIPE_NOT_CONFIGURED")
