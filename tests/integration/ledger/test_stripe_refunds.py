"""What Stripe gives back or takes back of a purchase, and what the wallet then has."""

from typing import Any

import pytest

from services.ledger import spenders
from services.ledger.commands import RefundPurchase
from tests.integration.ledger.driver import FINANCE
from tests.integration.ledger.shop import BUYER, Shop


async def test_a_part_refunded_takes_its_part_of_credits_and_bonus(shop: Shop) -> None:
    checkout_id = await shop.bought(credits_wanted=100, bonus=10, price_minor=1000)
    await shop.refund(checkout_id, 250)
    await shop.hear(copies=2)
    assert await shop.ledger.balance(BUYER) == (7, 75, 0, 0)
    await shop.refund(checkout_id, 250)
    await shop.hear()
    assert await shop.ledger.balance(BUYER) == (5, 50, 0, 0)


async def test_all_refunded_takes_all(shop: Shop) -> None:
    checkout_id = await shop.bought(bonus=10)
    await shop.refund(checkout_id)
    await shop.hear(reverse=True)
    assert await shop.ledger.balance(BUYER) == (0, 0, 0, 0)
    rows = await shop.ledger.fetch("select lot_id, amount_minor from purchase_refunds")
    assert rows == [{"lot_id": checkout_id, "amount_minor": 1000}]


async def test_a_refund_that_is_heard_of_before_the_payment_is_applied_after_it(
    shop: Shop,
) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    session = shop.sdk.v1.checkout.sessions.retrieve(await shop.session_of(checkout_id))
    charge = shop.sdk.v1.payment_intents.retrieve(str(session.payment_intent)).latest_charge
    shop.fake.charge(str(charge), "refund", 400)
    await shop.hear(reverse=True, copies=2)
    assert await shop.status(checkout_id) == "PAID"
    assert await shop.purchased() == 60


async def test_what_was_spent_and_is_refunded_is_owed(shop: Shop) -> None:
    checkout_id = await shop.bought(credits_wanted=100)
    await shop.ledger.hold("d-1", BUYER, 80)
    await shop.ledger.succeed("d-1", BUYER)
    await shop.refund(checkout_id)
    await shop.hear()
    assert await shop.purchased() == -80
    facts = await shop.ledger.published(f"wallet-{BUYER}")
    assert facts[-2:] == ["purchase_refunded", "settlement_reversed"]


async def test_a_dispute_freezes_and_when_it_is_won_thaws(shop: Shop) -> None:
    checkout_id = await shop.bought()
    dispute_id = await shop.dispute(checkout_id)
    await shop.hear(copies=2)
    await shop.ledger.hold("d-1", BUYER, 10)
    assert (await shop.ledger.published(f"wallet-{BUYER}"))[-2:] == [
        "dispute_opened",
        "hold_refused",
    ]
    shop.fake.close_dispute(dispute_id, "win")
    await shop.hear(copies=2)
    await shop.ledger.hold("d-2", BUYER, 10)
    assert await shop.ledger.balance(BUYER) == (0, 100, 0, 10)


async def test_a_dispute_that_is_lost_is_a_refund(shop: Shop) -> None:
    checkout_id = await shop.bought()
    dispute_id = await shop.dispute(checkout_id, 400)
    await shop.hear()
    shop.fake.close_dispute(dispute_id, "lose")
    await shop.hear(copies=2)
    assert await shop.ledger.balance(BUYER) == (0, 60, 0, 0)
    [row] = await shop.ledger.fetch("select dispute_id, outcome from purchase_disputes")
    assert row == {"dispute_id": dispute_id, "outcome": "LOST"}


@pytest.mark.parametrize("act", ["win", "lose"])
async def test_the_end_of_a_dispute_that_is_heard_of_first_is_enough(shop: Shop, act: str) -> None:
    checkout_id = await shop.bought()
    dispute_id = await shop.dispute(checkout_id)
    shop.fake.close_dispute(dispute_id, act)
    await shop.hear(reverse=True)
    assert await shop.purchased() == (100 if act == "win" else 0)


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_dispute_takes_what_a_refund_has_left(shop: Shop, reverse: Any) -> None:
    checkout_id = await shop.bought()
    await shop.refund(checkout_id, 400)
    shop.fake.close_dispute(await shop.dispute(checkout_id), "lose")
    await shop.hear(reverse=reverse)
    assert await shop.purchased() == 0
    assert await shop.problems() == []


async def test_a_refund_of_more_than_is_left_needs_a_person(shop: Shop) -> None:
    checkout_id = await shop.bought()
    by_hand = RefundPurchase(
        user_id=BUYER,
        lot_id=checkout_id,
        refund_id="by-hand",
        amount_minor=700,
        currency="USD",
        reason="booked before it was made",
        refunded_by=FINANCE,
        spending=None,
    )
    await spenders.change(shop.ledger.running, by_hand, actor=FINANCE, correlation_id="c")
    await shop.refund(checkout_id)
    await shop.hear()
    assert await shop.purchased() == 30
    assert await shop.problems() == ["CHANGE_REFUSED", "REFUND_NOT_MADE"]


async def test_a_refund_that_comes_back_needs_a_person(shop: Shop) -> None:
    checkout_id = await shop.bought()
    refund_id = await shop.refund(checkout_id, 400)
    await shop.hear()
    shop.fake.fail_refund(refund_id)
    await shop.hear(copies=2)
    assert await shop.purchased() == 60
    assert await shop.problems() == ["REFUND_NOT_MADE"]
