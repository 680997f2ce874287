"""What people ask of the ledger is done once, or refused with the rule that forbids it."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.gateway import v1 as gateway
from contracts.types import Credits
from runtime.clock import ManualClock
from tests.integration.ledger.driver import FINANCE, START, Ledger, shares


async def test_an_award_expires_when_the_settings_say_unless_it_is_said_otherwise(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.set(award_expiry_days=10)
    await ledger.award("user-1", 1)
    await ledger.award("user-1", 2, credits_expire_at=clock.now() + timedelta(days=3))
    await ledger.set(award_expiry_days=None)
    await ledger.award("user-1", 3)
    rows = await ledger.fetch("select credits, expires_at from lots order by credits")
    assert [row["expires_at"] for row in rows] == [
        START + timedelta(days=10),
        START + timedelta(days=3),
        None,
    ]


async def test_registering_earns_the_signup_award_and_the_referrer_theirs(ledger: Ledger) -> None:
    await ledger.set(signup_award=20, referral_award=5)
    await ledger.register("agent-1")
    await ledger.register("user-2", referred_by="agent-1")
    rows = await ledger.fetch("select user_id, kind, credits from lots order by user_id, position")
    assert [tuple(row.values()) for row in rows] == [
        ("agent-1", "award.signup", 20),
        ("agent-1", "award.referral", 5),
        ("user-2", "award.signup", 20),
    ]


async def test_nobody_earns_anything_by_registering_where_nothing_is_set(ledger: Ledger) -> None:
    await ledger.register("user-2", referred_by="user-1")
    assert await ledger.fetch("select 1 from facts") == []


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda led: led.award("user-1", 5, requested_by="user-1"), "SELF_AWARD"),
        (lambda led: led.purchase("user-1", 5, 5, requested_by="user-1"), "SELF_AWARD"),
        (lambda led: led.adjust("user-1", 5, requested_by="user-1"), "SELF_AWARD"),
        (lambda led: led.purchase("user-1", 5, 5, currency="EUR"), "CURRENCY_MISMATCH"),
        (lambda led: led.award("user-1", 5, credits_expire_at=START), "EXPIRES_IN_THE_PAST"),
        (lambda led: led.award("user-1", 5, expires_at=START), "REQUEST_EXPIRED"),
        (
            lambda led: led.award("user-1", 5, requested_by="user-1", expires_at=START),
            "REQUEST_EXPIRED",
        ),
        (lambda led: led.adjust("user-1", 5), "INSUFFICIENT_TOTAL_CREDITS"),
        (
            lambda led: led.award("stranger", 5, requested_at=START - timedelta(seconds=3)),
            "UNKNOWN_USER",
        ),
    ],
)
async def test_a_request_that_a_rule_forbids_is_answered_with_it_and_changes_nothing(
    ledger: Ledger, ask: Any, code: str
) -> None:
    assert await ledger.refusal(await ask(ledger)) == code
    assert await ledger.fetch("select 1 from facts") == []


async def test_a_refused_deduction_says_how_much_there_is(ledger: Ledger) -> None:
    await ledger.award("user-1", 3)
    request_id = await ledger.adjust("user-1", 5)
    body = await ledger.running.pool.fetchval(
        "select body from outbox where stream = $1", f"refusal-{request_id}"
    )
    assert '"details":{"required":5,"available":3}' in body


async def test_a_request_that_overtakes_its_users_registration_waits_for_it(
    ledger: Ledger, clock: ManualClock
) -> None:
    request_id = await ledger.award("user-2", 5)
    assert await ledger.refusal(request_id) is None
    await ledger.register("user-2")
    clock.advance(timedelta(seconds=0.5))
    await ledger.until("select 1 from lots where user_id = 'user-2'")


async def test_whoever_asked_is_recorded_with_the_fact(ledger: Ledger) -> None:
    request_id = await ledger.award("user-1", 5)
    [row] = await ledger.fetch("select actor, correlation_id from facts")
    assert row == {"actor": FINANCE, "correlation_id": request_id}


async def test_a_repeated_message_is_booked_once(ledger: Ledger) -> None:
    request = gateway.PurchaseRequested(
        request_id="r-1",
        requested_by=FINANCE,
        requested_at=START,
        expires_at=START + timedelta(seconds=60),
        user_id="user-1",
        credits=Credits(5),
        price_minor=500,
        currency="USD",
        reference="INV-7",
    )
    envelope = ledger.envelope("request-r-1", request)
    await ledger.hand_in([envelope, envelope])
    await ledger.hand_in([envelope])
    assert await ledger.balance("user-1") == (0, 5, 0, 0)


async def test_shares_and_referrer_are_those_known_when_the_hold_is_placed(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.set(
        shares=(shares(1000, 100, START), shares(2000, 200, START + timedelta(days=1)))
    )
    await ledger.purchase("user-1", 100, 10_000)
    await ledger.hold("d1", "user-1", 1, partner_id="partner-1")
    clock.advance(timedelta(days=1))
    await ledger.tell(
        (
            "user-user-1",
            gateway.UserReferrerChanged(
                user_id="user-1", referred_by="agent-1", changed_by="admin-1"
            ),
        )
    )
    await ledger.hold("d2", "user-1", 1, partner_id="partner-1")
    await ledger.set(shares=(shares(9000, 900, START),))
    await ledger.succeed("d1", "user-1")
    await ledger.succeed("d2", "user-1")
    rows = await ledger.fetch(
        """select body::json->'hold'->'share_rule'->>'partner_basis_points' as partner,
                  body::json->'hold'->>'agent_id' as agent
           from facts where body::json->>'fact' = 'hold_settled' order by version"""
    )
    assert [tuple(row.values()) for row in rows] == [("1000", None), ("2000", "agent-1")]


async def test_a_deactivated_users_wallet_stays_as_it_is(ledger: Ledger) -> None:
    await ledger.award("user-1", 5)
    await ledger.tell(
        ("user-user-1", gateway.UserDeactivated(user_id="user-1", changed_by="admin-1"))
    )
    assert await ledger.balance("user-1") == (5, 0, 0, 0)
