"""The story of a wallet, through the real processor, on a real Postgres."""

from datetime import timedelta

from runtime.clock import ManualClock
from services.ledger.expiry import expire_once
from tests.integration.ledger.driver import Ledger, failed


async def test_a_hold_takes_awarded_credits_first_and_success_spends_exactly_those(
    ledger: Ledger,
) -> None:
    await ledger.award("user-1", 30)
    await ledger.purchase("user-1", 100, 10_000)
    await ledger.hold("d1", "user-1", 50)
    assert await ledger.balance("user-1") == (30, 100, 30, 20)
    await ledger.succeed("d1", "user-1")
    assert await ledger.balance("user-1") == (0, 80, 0, 0)
    assert await ledger.published("wallet-user-1") == [
        "credits_awarded",
        "credits_purchased",
        "hold_placed",
        "hold_settled",
    ]


async def test_a_failed_build_gives_its_hold_back(ledger: Ledger) -> None:
    await ledger.award("user-1", 30)
    await ledger.hold("d1", "user-1", 20)
    await ledger.fail("d1", "user-1")
    assert await ledger.balance("user-1") == (30, 0, 0, 0)


async def test_a_lot_that_is_due_expires_by_its_own_fact(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.award("user-1", 30, credits_expire_at=clock.now() + timedelta(days=1))
    clock.advance(timedelta(days=1))
    assert await expire_once(ledger.running) == 1
    assert await ledger.balance("user-1") == (0, 0, 0, 0)
    assert await ledger.published("wallet-user-1") == ["credits_awarded", "credits_expired"]
    assert await expire_once(ledger.running) == 0


async def test_a_repeated_end_of_a_hold_changes_nothing(ledger: Ledger) -> None:
    await ledger.award("user-1", 30)
    await ledger.hold("d1", "user-1", 20)
    await ledger.fail("d1", "user-1")
    await ledger.tell(("deployment-d1", failed("d1", "user-1")))
    assert await ledger.published("wallet-user-1") == [
        "credits_awarded",
        "hold_placed",
        "hold_released",
    ]
