"""Stripe away, slow, too busy or silent, and the ledger killed at the worst moment."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runtime.clock import ManualClock
from services.ledger.stripe_gateway import (
    Order,
    StripeGateway,
    StripeRefusedError,
    StripeUnavailableError,
)
from tests.integration.ledger.shop import BUYER, POLL_SECONDS, Shop, open_shop
from tests.support.environment import Database
from tests.support.stripe_fake import API_KEY, StripeFake, running_stripe_fake


@pytest.mark.parametrize(
    "trouble",
    [
        {"fail_next": 3},
        {"fail_next": 2, "fail_status": 503},
        {"fail_next": 2, "fail_after": True},
        {"limit_next": 3},
    ],
)
async def test_a_checkout_is_opened_once_stripe_is_well_again(shop: Shop, trouble: Any) -> None:
    shop.fake.behave(**trouble)
    checkout_id = await shop.opened()
    assert len(shop.sdk.v1.checkout.sessions.list().data) == 1
    assert await shop.status(checkout_id) == "OPEN"


async def test_stripe_is_left_alone_for_as_long_as_it_asks(shop: Shop) -> None:
    shop.fake.behave(limit_next=1, pause_seconds=600)
    checkout_id = await shop.ask()
    while not await shop.ledger.fetch("select from stripe_jobs where attempts = 1"):
        await asyncio.sleep(POLL_SECONDS)
    [job] = await shop.ledger.fetch("select due_at, created_at from stripe_jobs")
    assert job["due_at"] >= job["created_at"] + timedelta(seconds=600)
    await shop.until_status(checkout_id, "FAILED")
    assert await shop.ledger.refusal(checkout_id) == "STRIPE_UNAVAILABLE"


@pytest.mark.parametrize(
    "trouble",
    [
        {"slow_seconds": 60.0},
        {"fail_next": 100_000},
        {"limit_next": 100_000, "pause_seconds": 1},
    ],
)
async def test_while_stripe_is_in_trouble_other_wallets_go_on(shop: Shop, trouble: Any) -> None:
    bought = await shop.bought()
    await shop.refund(bought, 500)
    events = (await shop.events())[shop.told :]
    shop.fake.behave(**trouble)
    checkouts = [await shop.ask() for _ in range(10)]
    for event in events:
        await shop.tell_event(event)
    for number in range(20):
        await shop.ledger.register(f"other-{number}")
        await shop.ledger.award(f"other-{number}", 50)
        await shop.ledger.hold(f"d-{number}", f"other-{number}", 10)
    assert await shop.ledger.balance("other-19") == (50, 0, 10, 0)
    await shop.ledger.hold("d-own", BUYER, 10)
    assert await shop.ledger.balance(BUYER) == (0, 100, 0, 10)
    assert {await shop.status(each) for each in checkouts} == {"REQUESTED"}

    shop.fake.behave(slow_seconds=0.0, fail_next=0, limit_next=0)
    while await shop.ledger.fetch("select from stripe_jobs where attempts = 0"):
        await asyncio.sleep(POLL_SECONDS)  # calls that hang end by their bound, in real seconds
    for checkout_id in checkouts:
        await shop.until_status(checkout_id, "OPEN")
    await shop.until_idle()
    assert await shop.purchased() == 50


async def test_nobody_waits_for_ever_for_a_stripe_that_is_away(shop: Shop) -> None:
    shop.fake.behave(fail_next=100_000)
    checkout_id = await shop.ask()
    shop.clock.advance(timedelta(minutes=6))
    await shop.until_status(checkout_id, "FAILED")
    assert await shop.ledger.refusal(checkout_id) == "STRIPE_UNAVAILABLE"


async def test_what_stripe_refuses_is_refused(shop: Shop) -> None:
    checkout_id = await shop.ask(price_minor=49)
    await shop.until_status(checkout_id, "FAILED")
    assert await shop.ledger.refusal(checkout_id) == "STRIPE_REFUSED"


async def test_a_paid_session_of_a_failed_checkout_is_booked_all_the_same(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "expire")
    await shop.hear()
    assert await shop.status(checkout_id) == "EXPIRED"
    await shop.act(checkout_id, "tamper", status="open")
    await shop.act(checkout_id, "pay")
    await shop.hear()
    assert await shop.status(checkout_id) == "PAID"
    assert await shop.purchased() == 100


async def test_a_sweep_finds_all_that_no_webhook_told(shop: Shop) -> None:
    begun = shop.clock.now()
    paid, refunded, disputed, unpaid = [await shop.opened() for _ in range(4)]
    for checkout_id in (paid, refunded, disputed):
        await shop.act(checkout_id, "pay")
    shop.told = len(await shop.events())
    await shop.sweep(begun)
    assert [await shop.status(each) for each in (paid, refunded, disputed, unpaid)] == [
        *("PAID", "PAID", "PAID"),
        "OPEN",
    ]
    await shop.refund(refunded, 500)
    shop.fake.close_dispute(await shop.dispute(disputed), "lose")
    assert await shop.sweep(begun) > 0
    assert await shop.purchased() == 100 + 50
    assert await shop.sweep(begun) == 0


async def test_a_sweep_looks_at_open_checkouts_though_no_event_is_kept(shop: Shop) -> None:
    checkout_id = await shop.opened()
    await shop.act(checkout_id, "tamper", status="expired")
    shop.clock.advance(timedelta(minutes=5))
    await shop.sweep(shop.clock.now() - timedelta(minutes=1))
    assert await shop.status(checkout_id) == "EXPIRED"


async def test_a_sweep_comes_by_itself_and_reads_every_page(
    database: Database, stripe_fake: StripeFake, clock: ManualClock
) -> None:
    async with open_shop(database, stripe_fake, clock, stripe_sweep_seconds=60.0) as shop:
        checkout_id = await shop.opened()
        await shop.act(checkout_id, "pay")
        await shop.until_status(checkout_id, "PAID")
        for _ in range(120):
            await shop.refund(checkout_id, 5)
        await shop.until(
            "select from purchase_refunds having count(*) = 120"  # every one, over three pages
        )
        assert await shop.purchased() == 40


async def test_killed_between_stripes_answer_and_the_booking(
    database: Database, stripe_fake: StripeFake, clock: ManualClock
) -> None:
    """What is written down is all that the next process has: the job, and Stripe's one session."""
    async with open_shop(database, stripe_fake, clock) as shop:
        stripe_fake.behave(fail_next=1, fail_after=True)
        checkout_id = await shop.ask()
        while not await shop.ledger.fetch("select from stripe_jobs where attempts = 1"):
            await asyncio.sleep(POLL_SECONDS)
        assert await shop.status(checkout_id) == "REQUESTED"
    async with open_shop(database, stripe_fake, clock) as shop:
        await shop.until_status(checkout_id, "OPEN")
        assert len(shop.sdk.v1.checkout.sessions.list().data) == 1
        await shop.act(checkout_id, "pay")
        await shop.tell_event((await shop.events())[0])
    async with open_shop(database, stripe_fake, clock) as shop:
        await shop.until_status(checkout_id, "PAID")
        assert await shop.purchased() == 100


async def test_errors_hold_nothing_of_the_key(stripe_fake: StripeFake, clock: ManualClock) -> None:
    secret = "sk_live_verysecret"
    gateway = StripeGateway(secret, url=stripe_fake.url)
    with pytest.raises(StripeUnavailableError) as refused:
        await gateway.session("cs_test_1")
    right = StripeGateway(API_KEY, url=stripe_fake.url)
    assert await right.session("cs_test_1") is None
    with pytest.raises(StripeRefusedError) as missing:
        await right.open_session(too_cheap(clock))
    for error in (refused, missing):
        shown = [error.value, error.value.__cause__, error.value.__context__]
        assert not [each for each in shown if secret in repr(each) or API_KEY in repr(each)]
    assert secret not in repr(gateway)
    for each in (gateway, right):
        each.close()


def too_cheap(clock: ManualClock) -> Order:
    return Order(
        checkout_id="checkout-1",
        user_id=BUYER,
        title="1 credit",
        price_minor=1,
        currency="USD",
        success_url="http://127.0.0.1:1/paid",
        cancel_url="http://127.0.0.1:1/not-paid",
        expires_at=clock.now() + timedelta(hours=23),
    )


async def test_a_stripe_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with running_stripe_fake(tmp_path / "gone.sqlite") as gone:
        gateway = StripeGateway(API_KEY, url=gone.url)
        assert await gateway.session("cs_test_1") is None
    with pytest.raises(StripeUnavailableError):
        await gateway.session("cs_test_1")
    gateway.close()


async def test_two_ledgers_work_and_only_one_asks_stripe(
    database_for: Callable[[str], Awaitable[Database]],
    stripe_fake: StripeFake,
    clock: ManualClock,
) -> None:
    database = await database_for("ledger")
    async with open_shop(database, stripe_fake, clock) as one:
        checkouts = [await one.opened() for _ in range(3)]
        async with open_shop(database, stripe_fake, clock) as two:
            for checkout_id in checkouts:
                await one.act(checkout_id, "pay")
            await one.hear(copies=2)
            assert await two.purchased(BUYER) == 300
            assert await two.problems() == []
