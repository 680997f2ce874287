"""Credits that are due expire by their own fact, within a second, without anybody asking."""

import asyncio
from typing import Final

import structlog

from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from services.ledger.handlers import ExpireWallet
from services.ledger.lots import PLATFORM

SWEEP_SECONDS: Final = 1.0
WALLETS_MAX: Final = 500

_DUE: Final = """
    select distinct user_id from lots
    where expires_at is not null and free > 0 and expires_at <= $1
    limit $2
"""


async def expire_due_lots(running: Running) -> None:
    """Look every second for wallets with a lot that is due, and expire it, until cancelled."""
    beat = running.liveness.beat("expiry")
    while True:
        beat()
        try:
            expired = await expire_once(running)
        except* (*OUTAGES, UnavailableError) as errors:
            expired = 0
            structlog.get_logger().warning("expiry.postponed", error=repr(errors.exceptions[0]))
        if expired < WALLETS_MAX:
            await asyncio.sleep(SWEEP_SECONDS)


async def expire_once(running: Running) -> int:
    """Expire what is due in at most 500 wallets; return in how many."""
    rows = await running.pool.fetch(_DUE, running.clock.now(), WALLETS_MAX)
    async with asyncio.TaskGroup() as group:
        for row in rows:
            command = ExpireWallet(actor=PLATFORM, user_id=row["user_id"])
            group.create_task(running.processor.execute(command))
    return len(rows)
