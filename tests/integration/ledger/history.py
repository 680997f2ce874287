"""A history with a bit of everything, for replays to recompute."""

from datetime import timedelta

from runtime.clock import ManualClock
from tests.integration.ledger.driver import Ledger


async def a_history(ledger: Ledger, clock: ManualClock) -> None:
    """Two users, an agent and a partner; spends, failures, refusals, an expiry, a deduction."""
    await ledger.register("agent-1")
    await ledger.register("user-2", referred_by="agent-1")
    soon = clock.now() + timedelta(days=2)
    for user in ("user-1", "user-2"):
        await ledger.award(user, 30, credits_expire_at=soon)
        await ledger.purchase(user, 100, 9_999)
        await ledger.hold(f"{user}-a", user, 50, partner_id="partner-1")
        await ledger.hold(f"{user}-b", user, 20, premium=True)
        await ledger.hold(f"{user}-c", user, 500)
        await ledger.award(user, 7, credits_expire_at=soon)
        await ledger.succeed(f"{user}-a", user)
        clock.advance(timedelta(hours=1))
        await ledger.fail(f"{user}-b", user)
    clock.advance(timedelta(days=3))
    await ledger.award("user-1", 10)
    await ledger.adjust("user-1", 15)
    await ledger.hold("user-1-own", "user-1", 50, partner_id="user-1")
    await ledger.succeed("user-1-own", "user-1")
    await ledger.hold("user-2-open", "user-2", 5)
