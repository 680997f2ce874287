"""`tollgate ledger reconcile`: every way in which Stripe and the ledger may disagree is listed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.ledger import spenders
from services.ledger.checkouts.reconciling import Reconciled, Reconciling
from services.ledger.commands import RefundPurchase
from services.ledger.stripe_gateway import StripeGateway
from tests.integration.ledger.driver import FINANCE
from tests.integration.ledger.shop import BUYER, Shop
from tests.integration.ledger.test_commands import ROOT
from tests.support.environment import Database
from tests.support.stripe_fake import API_KEY

Break = Callable[[Shop, str], Awaitable[object]]


async def reconciled(shop: Shop, *, follow: bool = False) -> Reconciled:
    gateway = StripeGateway(API_KEY, url=shop.fake.url)
    now = shop.clock.now()
    try:
        async with shop.ledger.running.pool.acquire() as connection:
            reconciling = Reconciling(connection, gateway)
            found = await reconciling.reconcile(now - timedelta(days=9), now + timedelta(days=1))
            if follow:
                await reconciling.have_followed(found, correlation_id="c", at=now)
            return found
    finally:
        gateway.close()


def codes(found: Reconciled) -> list[str]:
    return [each.code for each in found.differences]


async def test_what_was_told_agrees(shop: Shop) -> None:
    await shop.opened()
    paid, refunded, won, lost = [await shop.bought(bonus=10) for _ in range(4)]
    await shop.refund(refunded, 300)
    await shop.refund(refunded)
    shop.fake.close_dispute(await shop.dispute(won), "win")
    shop.fake.close_dispute(await shop.dispute(lost, 400), "lose")
    await shop.dispute(paid)
    bounced, expired = await shop.opened(), await shop.opened()
    await shop.act(bounced, "pay_later")
    await shop.act(bounced, "bounce")
    await shop.act(expired, "expire")
    await shop.hear()
    found = await reconciled(shop)
    assert (found.differences, found.set_aside, found.ok) == ([], [], True)
    assert (found.sessions, found.foreign) == (7, 0)


async def paid_unheard(shop: Shop, checkout_id: str) -> None:
    await shop.act(checkout_id, "pay")


async def expired_unheard(shop: Shop, checkout_id: str) -> None:
    await shop.act(checkout_id, "expire")


async def tampered(shop: Shop, checkout_id: str) -> None:
    await shop.act(checkout_id, "pay")
    await shop.act(checkout_id, "tamper", amount_total=999)


async def not_ours_any_more(shop: Shop, checkout_id: str) -> None:
    await shop.act(checkout_id, "pay")
    await shop.act(checkout_id, "tamper", metadata={})


async def never_asked_for(shop: Shop, checkout_id: str) -> None:
    await shop.ledger.running.pool.execute(
        "delete from checkouts where checkout_id = $1", checkout_id
    )


async def another_session(shop: Shop, checkout_id: str) -> None:
    await shop.ledger.running.pool.execute(
        "update checkouts set session_id = 'cs_test_none' where checkout_id = $1", checkout_id
    )


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (paid_unheard, ["NOT_BOOKED"]),
        (expired_unheard, ["STATUS_DIFFERS"]),
        (tampered, ["AMOUNT_MISMATCH"]),
        (not_ours_any_more, ["SESSION_MISMATCH"]),
        (never_asked_for, ["UNKNOWN_CHECKOUT"]),
    ],
)
async def test_an_open_checkout_that_differs_is_listed(
    shop: Shop, break_it: Break, expected: list[str]
) -> None:
    await shop.bought()
    await break_it(shop, await shop.opened())
    found = await reconciled(shop)
    assert (codes(found), found.ok) == (expected, False)


async def refunded_unheard(shop: Shop, checkout_id: str) -> None:
    await shop.refund(checkout_id, 100)


async def disputed_unheard(shop: Shop, checkout_id: str) -> None:
    await shop.dispute(checkout_id)


async def lost_unheard(shop: Shop, checkout_id: str) -> None:
    dispute_id = await shop.dispute(checkout_id)
    await shop.hear()
    shop.fake.close_dispute(dispute_id, "lose")


async def refund_came_back(shop: Shop, checkout_id: str) -> None:
    refund_id = await shop.refund(checkout_id, 100)
    await shop.hear()
    shop.fake.fail_refund(refund_id)


async def refunded_by_hand(shop: Shop, checkout_id: str) -> None:
    by_hand = RefundPurchase(
        user_id=BUYER,
        lot_id=checkout_id,
        refund_id="by-hand",
        amount_minor=100,
        currency="USD",
        reason="booked and not made",
        refunded_by=FINANCE,
        spending=None,
    )
    await spenders.change(shop.ledger.running, by_hand, actor=FINANCE, correlation_id="c")


async def unpaid_again(shop: Shop, checkout_id: str) -> None:
    await shop.act(checkout_id, "tamper", payment_status="unpaid")


async def another_lot(shop: Shop, checkout_id: str) -> None:
    await shop.ledger.running.pool.execute(
        "update lots set price_minor = 1 where lot_id = $1", checkout_id
    )


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (refunded_unheard, ["REFUND_NOT_BOOKED"]),
        (refund_came_back, ["REFUND_NOT_AT_STRIPE"]),
        (refunded_by_hand, ["REFUND_NOT_AT_STRIPE"]),
        (disputed_unheard, ["DISPUTE_NOT_BOOKED"]),
        (lost_unheard, ["DISPUTE_DIFFERS"]),
        (unpaid_again, ["NOT_PAID"]),
        (another_lot, ["LOT_DIFFERS"]),
        (another_session, ["SESSION_GONE", "SESSION_MISMATCH"]),
    ],
)
async def test_a_purchase_that_differs_is_listed(
    shop: Shop, break_it: Break, expected: list[str]
) -> None:
    await shop.bought()
    checkout_id = await shop.bought()
    shop.clock.advance(timedelta(minutes=20))
    await break_it(shop, checkout_id)
    found = await reconciled(shop)
    assert sorted(codes(found)) == expected
    assert {each.checkout_id for each in found.differences} == {checkout_id}


async def test_what_differs_is_followed_on_demand(shop: Shop) -> None:
    unheard, refunded = await shop.opened(), await shop.bought()
    await shop.act(unheard, "pay")
    await shop.refund(refunded, 500)
    assert not (await reconciled(shop, follow=True)).ok
    await shop.until_idle()
    assert (await reconciled(shop)).ok
    assert await shop.purchased() == 150


async def test_what_was_set_aside_is_listed_whenever_it_came(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await tampered(shop, checkout_id)
    await shop.hear(copies=2)
    shop.clock.advance(timedelta(days=100))
    found = await reconciled(shop)
    assert codes(found) == []
    [aside] = found.set_aside
    assert (aside.code, aside.checkout_id) == ("AMOUNT_MISMATCH", checkout_id)
    assert not found.ok


async def test_sessions_over_many_pages_are_compared(shop: Shop) -> None:
    create = shop.sdk.v1.checkout.sessions.create
    template: Any = {
        "mode": "payment",
        "success_url": "http://127.0.0.1:1/",
        "line_items": [
            {
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 100,
                    "product_data": {"name": "something else"},
                },
                "quantity": 1,
            }
        ],
    }
    for _ in range(205):
        await asyncio.to_thread(create, template)
    await paid_unheard(shop, await shop.opened())
    found = await reconciled(shop)
    assert (found.sessions, found.foreign, codes(found)) == (1, 205, ["NOT_BOOKED"])


async def test_an_operator_learns_by_exit_status_and_json(shop: Shop, database: Database) -> None:
    def operator(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TOLLGATE_POSTGRES_DSN": database.dsn,
            "TOLLGATE_STRIPE_API_KEY": API_KEY,
            "TOLLGATE_STRIPE_API_URL": shop.fake.url,
            "TOLLGATE_PUBLIC_URL": "http://127.0.0.1:1",
        }
        start = (shop.clock.now() - timedelta(days=1)).isoformat()
        return subprocess.run(
            [sys.executable, "-m", "tollgate", "ledger", "reconcile", "--since", start, *words],
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    checkout_id = await shop.bought()
    agreeing = await asyncio.to_thread(operator)
    assert (agreeing.returncode, agreeing.stderr) == (0, "")
    assert "0 differences, 0 set aside" in agreeing.stdout

    nothing = await asyncio.to_thread(operator, "--accept", "re_1", "--note", "no")
    assert nothing.returncode == 2
    assert "NOTHING_DIFFERS" in nothing.stderr
    refund_id = await shop.refund(checkout_id, 100)
    differing = await asyncio.to_thread(operator, "--json")
    assert differing.returncode == 1
    told = json.loads(differing.stdout)
    [difference] = told["differences"]
    assert (told["ok"], difference["code"]) == (False, "REFUND_NOT_BOOKED")
    assert (difference["object_id"], difference["checkout_id"]) == (refund_id, checkout_id)

    without_reason = await asyncio.to_thread(operator, "--accept", refund_id)
    assert without_reason.returncode == 2
    accepting = await asyncio.to_thread(operator, "--accept", refund_id, "--note", "seen to")
    assert (accepting.returncode, accepting.stderr) == (0, "")
    agreeing = await asyncio.to_thread(operator)
    assert "0 differences, 0 set aside, 1 accepted" in agreeing.stdout
    assert agreeing.returncode == 0

    wrong = await asyncio.to_thread(operator, TOLLGATE_STRIPE_API_KEY="sk_test_of-nobody")
    assert wrong.returncode == 2
    assert "does not accept the API key" in wrong.stderr
    assert "sk_test_of-nobody" not in wrong.stderr
    off = await asyncio.to_thread(operator, TOLLGATE_STRIPE_API_KEY="")
    assert off.returncode == 2
    assert "STRIPE_NOT_CONFIGURED" in off.stderr
