"""Refunds, disputes and debts on a real database: asked for, raced, repeated, replayed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from contracts.gateway import v1 as gateway
from contracts.types import Credits
from runtime.clock import ManualClock
from runtime.ids import new_id
from runtime.refusal import Refusal
from services.ledger.commands import CloseDispute, OpenDispute, RecordPurchase, RefundPurchase
from services.ledger.handlers import ChangePurchase
from services.ledger.replay import replay
from services.ledger.replay_formats import summary
from tests.integration.ledger.driver import FINANCE, START, Ledger
from tests.support.environment import Database


async def buy(ledger: Ledger, lot_id: str, number: int, price_minor: int, bonus: int = 0) -> None:
    """Book what was paid for through Stripe."""
    purchase = RecordPurchase(
        user_id="user-1",
        lot_id=lot_id,
        credits=number,
        price_minor=price_minor,
        currency="USD",
        source=f"pi_{lot_id}",
        recorded_by="stripe",
        bonus_credits=bonus,
        payment_id=f"pi_{lot_id}",
        checkout_id=lot_id,
    )
    await ledger.running.processor.execute(ChangePurchase(actor="stripe", change=purchase))


def money_back(lot_id: str, amount_minor: int, **more: Any) -> RefundPurchase:
    """Return the refund of a purchase."""
    values: dict[str, Any] = {
        "user_id": "user-1",
        "lot_id": lot_id,
        "refund_id": f"re_{new_id()}",
        "amount_minor": amount_minor,
        "currency": "USD",
        "reason": "asked for",
        "refunded_by": "stripe",
        "spending": None,
    }
    return RefundPurchase(**(values | more))


def dispute(lot_id: str, amount_minor: int) -> OpenDispute:
    """Return the opening of a dispute."""
    return OpenDispute(
        user_id="user-1",
        lot_id=lot_id,
        dispute_id=f"du_{lot_id}",
        amount_minor=amount_minor,
        currency="USD",
        reason="fraudulent",
        spending=None,
    )


def lost(lot_id: str) -> CloseDispute:
    """Return that a dispute was lost."""
    return CloseDispute(
        user_id="user-1",
        lot_id=lot_id,
        dispute_id=f"du_{lot_id}",
        outcome="LOST",
        reason="decided",
        closed_by="stripe",
        spending=None,
    )


async def spend(ledger: Ledger, deployment_id: str, cost: int) -> None:
    """Deploy something."""
    await ledger.hold(deployment_id, "user-1", cost)
    await ledger.succeed(deployment_id, "user-1")


async def figures(ledger: Ledger) -> tuple[int, int, int]:
    """Return what the wallet owns, awarded and purchased, and what it owes."""
    [row] = await ledger.fetch("select * from balances where user_id = 'user-1'")
    return row["awarded"], row["purchased"], row["debt"]


async def agrees(database: Database) -> None:
    """Assert that a replay decides all again and finds the read models as they are."""
    result = await replay(database.dsn)
    assert result.ok, summary(result)


async def test_a_deployment_is_refunded_once_and_in_parts(
    ledger: Ledger, database: Database
) -> None:
    await ledger.award("user-1", 30)
    await ledger.purchase("user-1", 100, 10_000)
    await spend(ledger, "d1", 50)
    first = await ledger.refund("d1", "user-1", credits=Credits(5))
    rest = await ledger.refund("d1", "user-1")
    again = await ledger.refund("d1", "user-1")
    assert [await ledger.refusal(each) for each in (first, rest, again)] == [
        None,
        None,
        "NOTHING_TO_REFUND",
    ]
    assert await figures(ledger) == (30, 100, 0)
    [hold] = await ledger.fetch("select status, refunded from holds")
    assert hold == {"status": "SETTLED", "refunded": 50}
    assert await ledger.published("wallet-user-1") == [
        "credits_awarded",
        "credits_purchased",
        "hold_placed",
        "hold_settled",
        "settlement_refunded",
        "settlement_refunded",
    ]
    await agrees(database)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"requested_by": "user-1"}, "SELF_AWARD"),
        ({"credits": Credits(51)}, "REFUND_EXCEEDS_SETTLEMENT"),
        ({"deployment_id": "d2"}, "NOT_SETTLED"),
        ({"deployment_id": "d3"}, "NOT_SETTLED"),
        ({"user_id": "user-2"}, "NOT_SETTLED"),
        ({"user_id": "stranger", "requested_at": START.replace(year=2025)}, "UNKNOWN_USER"),
        ({"expires_at": START}, "REQUEST_EXPIRED"),
    ],
)
async def test_a_refund_that_a_rule_forbids_is_answered_with_it_and_changes_nothing(
    ledger: Ledger, more: dict[str, Any], code: str
) -> None:
    await ledger.register("user-2")
    await ledger.award("user-1", 60)
    await spend(ledger, "d1", 50)
    await ledger.hold("d2", "user-1", 5)
    before = await ledger.fetch("select * from facts order by position")
    asked = {"deployment_id": "d1", "user_id": "user-1", **more}
    assert await ledger.refusal(await ledger.refund(**asked)) == code
    assert await ledger.fetch("select * from facts order by position") == before


async def test_a_refund_that_is_told_twice_is_made_once(ledger: Ledger) -> None:
    await ledger.award("user-1", 50)
    await spend(ledger, "d1", 50)
    request = gateway.SettlementRefundRequested(
        request_id="r-1",
        requested_by=FINANCE,
        requested_at=START,
        expires_at=START.replace(year=2027),
        deployment_id="d1",
        user_id="user-1",
        credits=Credits(5),
        reason="it was down",
    )
    envelope = ledger.envelope("request-r-1", request)
    await ledger.hand_in([envelope, envelope])
    await ledger.hand_in([envelope])
    assert await figures(ledger) == (5, 0, 0)


async def test_credits_that_come_back_too_late_expire_by_their_own_fact(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.set(award_expiry_days=3)
    await ledger.award("user-1", 50)
    await spend(ledger, "d1", 50)
    clock.advance(timedelta(days=4))
    await ledger.refund("d1", "user-1", credits=Credits(5))
    assert (await ledger.published("wallet-user-1"))[-2:] == [
        "settlement_refunded",
        "credits_expired",
    ]
    [lot] = await ledger.fetch("select free, spent, expired from lots")
    assert lot == {"free": 0, "spent": 45, "expired": 5}
    await agrees(database)


async def test_a_purchase_is_booked_once_with_its_bonus_even_when_nothing_is_left_of_it(
    ledger: Ledger, database: Database
) -> None:
    await buy(ledger, "c1", 40, 4_000, bonus=10)
    await spend(ledger, "d1", 50)
    await buy(ledger, "c1", 40, 4_000, bonus=10)
    assert await figures(ledger) == (0, 0, 0)
    rows = await ledger.fetch("select lot_id, bonus_of, payment_id, spent from lots order by 1")
    assert [tuple(row.values()) for row in rows] == [
        ("bonus:c1", "c1", None, 10),
        ("c1", None, "pi_c1", 40),
    ]
    await agrees(database)


async def test_a_refunded_purchase_is_owed_and_repaid_by_the_next(
    ledger: Ledger, database: Database
) -> None:
    await buy(ledger, "c1", 100, 10_000, bonus=10)
    await spend(ledger, "d1", 40)
    await spend(ledger, "d2", 30)
    await ledger.hold("d3", "user-1", 20)
    refund = money_back("c1", 10_000)
    await ledger.change(refund)
    assert (await ledger.change(refund)).records == ()
    assert await figures(ledger) == (0, -50, 70)
    await agrees(database)
    await ledger.succeed("d3", "user-1")
    assert await figures(ledger) == (0, -90, 90)
    await buy(ledger, "c2", 100, 9_000)
    assert await figures(ledger) == (0, 10, 0)
    repaid = await ledger.fetch(
        """select body::json->'hold'->>'deployment_id' as deployment from facts
           where body::json->>'fact' = 'debt_repaid' order by version"""
    )
    assert [row["deployment"] for row in repaid] == ["d1", "d2", "d3"]
    await ledger.refund("d1", "user-1")
    assert await figures(ledger) == (0, 50, 0)
    await agrees(database)
    lots = await ledger.fetch("select voided, spent, refunded_minor from lots where lot_id = 'c1'")
    assert lots == [{"voided": 100, "spent": 0, "refunded_minor": 10_000}]


async def test_a_lost_dispute_takes_back_what_is_left(ledger: Ledger, database: Database) -> None:
    await buy(ledger, "c1", 100, 10_000)
    await spend(ledger, "d1", 30)
    await ledger.change(money_back("c1", 1_000))
    await ledger.change(dispute("c1", 10_000))
    [row] = await ledger.fetch("select purchased, purchased_frozen from balances")
    assert row == {"purchased": 60, "purchased_frozen": 60}
    await agrees(database)
    await ledger.change(lost("c1"))
    assert (await ledger.change(lost("c1"))).records == ()
    assert await figures(ledger) == (0, -30, 30)
    [lot] = await ledger.fetch("select voided, refunded_minor, disputes_open from lots")
    assert lot == {"voided": 100, "refunded_minor": 10_000, "disputes_open": 0}
    await agrees(database)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (money_back("c9", 1), "UNKNOWN_LOT"),
        (money_back("c1", 1, user_id="stranger"), "UNKNOWN_USER"),
        (money_back("c1", 1, currency="EUR"), "CURRENCY_MISMATCH"),
        (money_back("c1", 10_001), "REFUND_EXCEEDS_PURCHASE"),
        (dispute("c9", 1), "UNKNOWN_LOT"),
        (lost("c1"), "UNKNOWN_DISPUTE"),
    ],
)
async def test_what_stripe_cannot_mean_is_refused_and_changes_nothing(
    ledger: Ledger, command: Any, code: str
) -> None:
    await buy(ledger, "c1", 100, 10_000)
    before = await ledger.fetch("select * from facts order by position")
    with pytest.raises(Refusal) as refusal:
        await ledger.change(command)
    assert refusal.value.code == code
    assert await ledger.fetch("select * from facts order by position") == before


async def test_refunds_race_with_holds_and_refunds_and_nothing_is_lost(
    ledger: Ledger, database: Database
) -> None:
    await buy(ledger, "c1", 100, 10_000, bonus=10)
    for number in range(8):
        await spend(ledger, f"d{number}", 7)
    asked: list[Any] = [ledger.change(money_back("c1", 1_000)) for _ in range(5)]
    asked += [ledger.refund(f"d{number}", "user-1", credits=Credits(3)) for number in range(8)]
    asked += [spend(ledger, f"e{number}", 6) for number in range(8)]
    await asyncio.gather(*asked)
    [lot] = await ledger.fetch("select voided, refunded_minor from lots where lot_id = 'c1'")
    assert lot == {"voided": 50, "refunded_minor": 5_000}
    await agrees(database)
