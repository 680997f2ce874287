"""Credits bought through Stripe: booked once, whatever Stripe tells, how often and when."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.gateway import v1 as gateway
from contracts.types import Credits
from runtime.ids import new_id
from services.ledger.replay import replay, verify
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.shop import BUYER, Shop


async def test_credits_are_bought_with_their_bonus(shop: Shop) -> None:
    checkout_id = await shop.bought(credits_wanted=100, bonus=10, price_minor=900)
    assert await shop.ledger.balance(BUYER) == (10, 100, 0, 0)
    [lot] = await shop.ledger.fetch("select * from lots where lot_id = $1", checkout_id)
    assert (lot["credits"], lot["price_minor"], lot["currency"]) == (100, 900, "USD")
    assert lot["source"].startswith("stripe:pi_")
    stream = f"checkout-{checkout_id}"
    assert await shop.ledger.published(stream) == ["checkout_opened", "checkout_paid"]


async def test_stripe_is_told_our_ids_and_nothing_of_the_person(shop: Shop) -> None:
    checkout_id = await shop.opened()
    session = shop.sdk.v1.checkout.sessions.retrieve(await shop.session_of(checkout_id))
    assert session.metadata is not None
    assert session.metadata.to_dict() == {
        "tollgate_checkout_id": checkout_id,
        "tollgate_user_id": BUYER,
    }
    assert (session.amount_total, session.currency) == (1000, "usd")
    assert session.success_url == "http://127.0.0.1:1/paid"
    assert session.customer_email is None


@pytest.mark.parametrize("reverse", [False, True])
async def test_webhooks_told_thrice_and_in_any_order_book_once(shop: Shop, reverse: Any) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    await shop.hear(copies=3, reverse=reverse)
    assert await shop.status(checkout_id) == "PAID"
    assert await shop.purchased() == 100
    assert await shop.ledger.published(f"wallet-{BUYER}") == ["credits_purchased"]


async def test_a_webhook_that_comes_before_its_time_books_nothing(shop: Shop) -> None:
    checkout_id = await shop.opened()
    [other] = [await shop.bought()]
    session_id = await shop.session_of(checkout_id)
    early = (await shop.events())[0]
    early.data.object["id"] = session_id
    await shop.tell_event(early)
    await shop.until_idle()
    assert await shop.status(checkout_id) == "OPEN"
    assert await shop.purchased() == 100
    assert await shop.status(other) == "PAID"


async def test_a_lost_webhook_is_made_good_by_who_returns(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    request_id = f"check-{checkout_id}-1"
    now = shop.clock.now()
    check = gateway.CheckoutCheckRequested(
        request_id=request_id,
        requested_by=BUYER,
        requested_at=now,
        expires_at=now + timedelta(minutes=1),
        checkout_id=checkout_id,
    )
    await shop.ledger.tell((f"request-{request_id}", check))
    await shop.until_status(checkout_id, "PAID")
    assert await shop.purchased() == 100


async def test_a_payment_that_takes_days_is_booked_when_it_arrives(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay_later")
    await shop.hear()
    assert await shop.status(checkout_id) == "OPEN"
    shop.clock.advance(timedelta(days=3))
    await shop.act(checkout_id, "arrive")
    await shop.hear(copies=2)
    assert await shop.status(checkout_id) == "PAID"
    assert await shop.purchased() == 100


async def test_a_payment_that_bounces_fails_the_checkout(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay_later")
    await shop.act(checkout_id, "bounce")
    await shop.hear(reverse=True)
    assert await shop.status(checkout_id) == "FAILED"
    assert await shop.ledger.fetch("select from lots") == []


async def test_a_declined_card_leaves_the_checkout_open(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "decline")
    await shop.hear()
    assert await shop.status(checkout_id) == "OPEN"
    await shop.act(checkout_id, "pay")
    await shop.hear()
    assert await shop.status(checkout_id) == "PAID"


async def test_nobody_pays_and_the_checkout_expires(shop: Shop) -> None:
    checkout_id = await shop.opened()
    shop.clock.advance(timedelta(hours=24))
    await shop.events()
    await shop.hear()
    assert await shop.status(checkout_id) == "EXPIRED"


@pytest.mark.parametrize(
    ("tampered", "code"),
    [
        ({"amount_total": 999}, "AMOUNT_MISMATCH"),
        ({"amount_total": 1001}, "AMOUNT_MISMATCH"),
        ({"currency": "eur"}, "CURRENCY_MISMATCH"),
    ],
)
async def test_what_was_not_asked_for_is_not_booked_until_it_is(
    shop: Shop, tampered: Any, code: str
) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    await shop.act(checkout_id, "tamper", **tampered)
    await shop.hear(copies=2)
    assert await shop.problems() == [code]
    assert await shop.status(checkout_id) == "OPEN"
    assert await shop.ledger.fetch("select from lots") == []

    await shop.act(checkout_id, "tamper", amount_total=1000, currency="usd")
    shop.told = 0
    await shop.hear()
    assert await shop.problems() == []
    assert await shop.purchased() == 100


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"tollgate_user_id": "user-2"}, "USER_MISMATCH"),
        ({"tollgate_checkout_id": "another"}, "UNKNOWN_CHECKOUT"),
    ],
)
async def test_a_session_of_somebody_else_is_not_booked(
    shop: Shop, metadata: Any, code: str
) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    ours = {"tollgate_checkout_id": checkout_id, "tollgate_user_id": BUYER}
    await shop.act(checkout_id, "tamper", metadata=ours | metadata)
    await shop.hear()
    assert await shop.problems() == [code]
    assert await shop.ledger.fetch("select from lots") == []


async def test_one_session_does_not_pay_anothers_checkout(shop: Shop) -> None:
    first, second = await shop.opened(), await shop.opened()
    await shop.act(first, "pay")
    pretends = {"tollgate_checkout_id": second, "tollgate_user_id": BUYER}
    await shop.act(first, "tamper", metadata=pretends)
    await shop.hear()
    assert await shop.problems() == ["SESSION_MISMATCH"]
    assert await shop.status(second) == "OPEN"
    assert await shop.ledger.fetch("select from lots") == []

    await shop.act(second, "pay")
    await shop.hear()
    assert await shop.status(second) == "PAID"
    assert await shop.problems() == ["SESSION_MISMATCH"]


@pytest.mark.parametrize("metadata", [None, {"tollgate_checkout_id": "another"}])
async def test_what_did_not_fit_and_was_given_back_needs_nobody_any_more(
    shop: Shop, metadata: Any
) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    tampered = {"amount_total": 999} if metadata is None else {"metadata": metadata}
    await shop.act(checkout_id, "tamper", **tampered)
    await shop.hear()
    assert len(await shop.problems()) == 1
    session = shop.sdk.v1.checkout.sessions.retrieve(await shop.session_of(checkout_id))
    shop.sdk.v1.refunds.create({"payment_intent": str(session.payment_intent)})
    await shop.hear()
    assert await shop.problems() == []
    assert await shop.status(checkout_id) == ("FAILED" if metadata is None else "OPEN")
    assert await shop.ledger.fetch("select from lots") == []


async def test_one_session_does_not_end_anothers_checkout(shop: Shop) -> None:
    first, second = await shop.opened(), await shop.opened()
    pretends = {"tollgate_checkout_id": second, "tollgate_user_id": BUYER}
    await shop.act(first, "tamper", metadata=pretends)
    await shop.act(first, "expire")
    await shop.hear()
    assert await shop.status(second) == "OPEN"


async def test_what_is_not_ours_in_the_same_account_is_let_be(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "pay")
    await shop.act(checkout_id, "tamper", metadata={})
    await shop.hear()
    assert await shop.problems() == []
    assert await shop.ledger.fetch("select from lots") == []


async def test_a_wallet_bought_into_verifies_and_replays(shop: Shop) -> None:
    checkout_id = await shop.bought(bonus=10)
    await shop.refund(checkout_id, 300)
    await shop.hear()
    dsn = shop.ledger.running.settings.postgres_dsn.get_secret_value()
    assert (await verify(dsn)).ok
    assert (await replay(dsn)).ok


async def test_without_a_key_nothing_is_sold_and_all_else_works(ledger: Ledger) -> None:
    request_id = new_id()
    now = ledger.running.clock.now()
    request = gateway.CheckoutRequested(
        request_id=request_id,
        requested_by=BUYER,
        requested_at=now,
        expires_at=now + timedelta(minutes=5),
        checkout_id=request_id,
        user_id=BUYER,
        credits=Credits(100),
        bonus=Credits(0),
        price_minor=1000,
        currency="USD",
        success_path="/",
        cancel_path="/",
    )
    await ledger.tell((f"request-{request_id}", request))
    assert await ledger.refusal(request_id) == "STRIPE_NOT_CONFIGURED"
    await ledger.award(BUYER, 5)
    assert (await ledger.balance(BUYER))[0] == 5
