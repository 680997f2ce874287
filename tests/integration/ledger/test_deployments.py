"""What the deployer says of its builds places, settles and releases holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.deployer import v1 as deployer
from runtime.clock import ManualClock
from tests.integration.ledger.driver import Ledger, failed, succeeded

Ending = Callable[[], deployer.DeploymentEvent]


def ended(type_: Any, **more: Any) -> deployer.DeploymentEvent:
    """Return a message that ends the CREATE build of deployment d1."""
    event: deployer.DeploymentEvent = type_(
        deployment_id="d1",
        user_id="user-1",
        build_id="build-of-d1",
        action="CREATE",
        hold_id="hold-of-d1",
        owns_resources=False,
        **more,
    )
    return event


ENDS: dict[str, Ending] = {
    "FAILED": lambda: failed("d1", "user-1"),
    "CANCELLED": lambda: ended(deployer.DeploymentCancelled, cancelled_by="user-1"),
    "TIMED_OUT": lambda: ended(deployer.DeploymentTimedOut, limit_seconds=60),
    "REFUSED": lambda: deployer.DeploymentRefused(
        deployment_id="d1", user_id="user-1", code="MODULE_WITHDRAWN", detail="gone"
    ),
}


@pytest.mark.parametrize("reason", ENDS)
async def test_a_build_that_does_not_succeed_gives_its_hold_back(
    ledger: Ledger, reason: str
) -> None:
    await ledger.award("user-1", 30)
    await ledger.hold("d1", "user-1", 20)
    await ledger.tell(("deployment-d1", ENDS[reason]()))
    assert await ledger.balance("user-1") == (30, 0, 0, 0)
    [row] = await ledger.fetch(
        "select reason from history where type = 'RELEASE' and user_id = 'user-1'"
    )
    assert row["reason"] == reason


async def test_builds_that_change_or_destroy_cost_nothing(ledger: Ledger) -> None:
    await ledger.award("user-1", 30)
    await ledger.hold("d1", "user-1", 20)
    await ledger.succeed("d1", "user-1")
    for action in ("UPDATE", "DESTROY"):
        event = succeeded("d1", "user-1", action=action, hold_id=None, build_id="another")
        await ledger.tell(("deployment-d1", event))
    assert await ledger.balance("user-1") == (10, 0, 0, 0)


async def test_a_retry_takes_a_new_hold_and_the_deployment_is_paid_for_once(
    ledger: Ledger,
) -> None:
    await ledger.award("user-1", 30)
    await ledger.hold("d1", "user-1", 20)
    await ledger.fail("d1", "user-1")
    await ledger.hold("d1", "user-1", 20, hold_id="second", build_id="build-2")
    await ledger.tell(("deployment-d1", succeeded("d1", "user-1", hold_id="second")))
    assert await ledger.balance("user-1") == (10, 0, 0, 0)
    rows = await ledger.fetch("select status from holds order by placed_at, hold_id")
    assert sorted(row["status"] for row in rows) == ["RELEASED", "SETTLED"]


async def test_a_hold_that_is_refused_is_told_and_may_end_without_a_trace(ledger: Ledger) -> None:
    await ledger.hold("d1", "user-1", 20)
    assert await ledger.published("wallet-user-1") == ["hold_refused"]
    await ledger.tell(("deployment-d1", ENDS["CANCELLED"]()))
    await ledger.tell(("deployment-d1", ENDS["REFUSED"]()))
    assert await ledger.published("wallet-user-1") == ["hold_refused"]
    assert await ledger.waiting() == []


async def test_a_hold_that_is_asked_for_too_late_is_refused(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.award("user-1", 30)
    asked = ledger.envelope("deployment-d1", ledger.asking("d1", "user-1", 20))
    clock.advance(timedelta(seconds=60))
    await ledger.hand_in([asked])
    [row] = await ledger.fetch(
        "select body::json->>'code' as code from facts where body like '%hold_refused%'"
    )
    assert row["code"] == "HOLD_REQUEST_EXPIRED"


async def test_a_hold_for_a_user_not_known_yet_waits_for_their_registration(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.hold("d1", "user-2", 0)
    assert await ledger.published("wallet-user-2") == []
    await ledger.register("user-2", referred_by="user-1")
    clock.advance(timedelta(seconds=0.5))
    await ledger.until("select 1 from holds where agent_id = 'user-1'")


async def test_an_end_that_contradicts_the_ledger_is_set_aside_for_a_person(
    ledger: Ledger,
) -> None:
    await ledger.award("user-1", 30)
    await ledger.hold("d1", "user-1", 20)
    await ledger.succeed("d1", "user-1")
    await ledger.fail("d1", "user-1")
    [row] = await ledger.waiting()
    assert row["stream"] == "deployment-d1"
    assert "HOLD_ALREADY_SETTLED" in row["detail"]
    assert await ledger.balance("user-1") == (10, 0, 0, 0)


async def test_an_own_module_and_a_platform_with_credits_off_pass_the_ledger_for_nothing(
    ledger: Ledger,
) -> None:
    await ledger.hold("d1", "user-1", 50, partner_id="user-1", premium=True)
    await ledger.set(credits_enabled=False)
    await ledger.hold("d2", "user-1", 50)
    rows = await ledger.fetch(
        """select body::json->'hold'->>'gate' as gate, body::json->'hold'->>'cost' as cost
           from facts order by version"""
    )
    assert [tuple(row.values()) for row in rows] == [("OWN_MODULE", "0"), ("CREDITS_OFF", "0")]


async def test_every_message_carries_the_balance_after_it_and_the_whole_hold(
    ledger: Ledger,
) -> None:
    await ledger.purchase("user-1", 100, 10_000)
    await ledger.hold("d1", "user-1", 50, partner_id="partner-1")
    await ledger.succeed("d1", "user-1")
    rows = await ledger.fetch(
        """select sequence, body::json->'data'->'balance'->>'purchased' as purchased,
                  body::json->'data'->'hold'->>'partner_id' as partner
           from outbox where stream = 'wallet-user-1' order by sequence"""
    )
    assert [tuple(row.values()) for row in rows] == [
        (1, "100", None),
        (2, "100", "partner-1"),
        (3, "50", "partner-1"),
    ]
