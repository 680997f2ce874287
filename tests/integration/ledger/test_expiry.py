"""What is due expires by itself, also while the database is away and for many wallets at once."""

import asyncio
from datetime import timedelta

import pytest

from runtime.clock import ManualClock
from services.ledger.expiry import expire_due_lots, expire_once
from services.ledger.replay import replay
from tests.integration.ledger.driver import Ledger
from tests.support.environment import Database


async def test_the_timer_expires_what_is_due_without_anybody_asking(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.award("user-1", 30, credits_expire_at=clock.now() + timedelta(hours=1))
    timer = asyncio.create_task(expire_due_lots(ledger.running))
    try:
        clock.advance(timedelta(hours=1))
        await ledger.until("select 1 from balances where user_id = 'user-1' and awarded = 0")
    finally:
        timer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await timer


async def test_all_wallets_that_are_due_expire(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    soon = clock.now() + timedelta(hours=1)
    for n in range(20):
        await ledger.register(f"u{n}")
        await ledger.award(f"u{n}", n + 1, credits_expire_at=soon)
        await ledger.award(f"u{n}", 5)
    clock.advance(timedelta(hours=1))
    assert await expire_once(ledger.running) == 20
    [row] = await ledger.fetch("select sum(awarded) as awarded from balances")
    assert row["awarded"] == 100
    assert (await replay(database.dsn)).ok


async def test_what_comes_back_too_late_expires_at_once_by_its_own_fact(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.award("user-1", 30, credits_expire_at=clock.now() + timedelta(hours=1))
    await ledger.hold("d1", "user-1", 20)
    clock.advance(timedelta(hours=1))
    assert await expire_once(ledger.running) == 1
    assert await ledger.balance("user-1") == (20, 0, 20, 0)
    await ledger.fail("d1", "user-1")
    assert (await ledger.published("wallet-user-1"))[-2:] == ["hold_released", "credits_expired"]
    assert await ledger.balance("user-1") == (0, 0, 0, 0)
    assert (await replay(database.dsn)).ok
