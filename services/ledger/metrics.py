"""What the ledger counts besides the machinery: whether it is whole, and how it is with Stripe.

Two checks run all the time. One adds up what all wallets have and what their lots and open holds
come to. The other folds wallets anew from their facts, a few at a time, and compares their
balances: a sample of what `tollgate replay` does for all of them at once.
"""

from typing import Final

import asyncpg
import structlog
from prometheus_client import Counter, Gauge

from runtime.connection import Connection
from runtime.measuring import Measure
from runtime.process import Running
from runtime.processor import OUTAGES
from services.ledger.projections.balances import figures
from services.ledger.queries import wallet_at

IMBALANCE: Final = Gauge(
    "tollgate_ledger_imbalance_credits",
    "By how many credits wallets' balances differ from what their lots, or open holds, come to",
    ["beside"],
)
REPLAY_WALLETS: Final = Counter(
    "tollgate_replay_wallets_total", "Wallets that were computed anew from their facts"
)
REPLAY_DIFFERENCES: Final = Gauge(
    "tollgate_replay_differences", "Wallets whose balance was not what their facts come to"
)
STRIPE_JOBS: Final = Counter(
    "tollgate_stripe_jobs_total", "Work with Stripe: done, or postponed", ["outcome"]
)
for _outcome in ("done", "postponed"):
    STRIPE_JOBS.labels(outcome=_outcome)
STRIPE_WAITING: Final = Gauge("tollgate_stripe_jobs_waiting", "Work with Stripe that is due")
STRIPE_PROBLEMS_OPEN: Final = Gauge(
    "tollgate_stripe_problems_open",
    "What Stripe has and the ledger did not book, for a person to see to",
)

ROUND_WALLETS: Final = 50
"""Wallets folded in one round; each takes 500 facts at most, from its last snapshot on."""
DIFFERENCES_KEPT_MAX: Final = 1_000

_IMBALANCE: Final = """
    with of_lots as (
             select user_id, sum(free + held) as owned, sum(held) as held from lots group by 1),
         of_holds as (
             select user_id, sum(cost) as held from holds where status = 'PLACED' group by 1)
    select coalesce(sum(abs(coalesce(b.awarded + b.purchased + b.debt, 0) - coalesce(l.owned, 0))
                        + abs(coalesce(b.awarded_held + b.purchased_held, 0)
                              - coalesce(l.held, 0))), 0)::float8 as lots,
           coalesce(sum(abs(coalesce(b.awarded_held + b.purchased_held, 0)
                            - coalesce(h.held, 0))), 0)::float8 as holds
    from balances b full join of_lots l using (user_id) full join of_holds h using (user_id)"""
_NEXT: Final = "select * from balances where user_id > $1 order by user_id limit $2"
_STRIPE: Final = """
    select (select count(*) from stripe_jobs where due_at <= $1) as waiting,
           (select count(*) from stripe_problems) as problems"""


async def _read_imbalance(running: Running) -> None:
    [row] = await running.pool.fetch(_IMBALANCE)
    for beside in ("lots", "holds"):
        IMBALANCE.labels(beside=beside).set(row[beside])


async def _read_stripe(running: Running) -> None:
    [row] = await running.pool.fetch(_STRIPE, running.clock.now())
    STRIPE_WAITING.set(row["waiting"])
    STRIPE_PROBLEMS_OPEN.set(row["problems"])


class RollingReplay:
    """Folds wallets from their facts, in the order of their ids, round after round."""

    def __init__(self) -> None:
        self._after = ""
        self._different: set[str] = set()

    async def read(self, running: Running) -> None:
        """Compare the next few wallets; one that moves meanwhile is left to the next time."""
        async with running.pool.acquire() as connection:
            rows = await connection.fetch(_NEXT, self._after, ROUND_WALLETS)
            for row in rows:
                fits = await _fits(connection, row)
                if fits is None:
                    continue
                REPLAY_WALLETS.inc()
                if fits:
                    self._different.discard(row["user_id"])
                elif len(self._different) < DIFFERENCES_KEPT_MAX:
                    self._different.add(row["user_id"])
        REPLAY_DIFFERENCES.set(len(self._different))
        self._after = rows[-1]["user_id"] if len(rows) == ROUND_WALLETS else ""


async def _fits(connection: Connection, row: asyncpg.Record) -> bool | None:
    """Return whether a balance is what its facts come to; nothing where it moved meanwhile.

    Facts that cannot be folded come to nothing, and do not keep the other wallets from their turn.
    """
    try:
        found = await wallet_at(connection, row["user_id"])
    except OUTAGES:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged fact makes the rules raise
        structlog.get_logger().error("replay.not_folded", user_id=row["user_id"], exc_info=error)
        return False
    if found.version != row["version"]:
        return None
    return figures(found.wallet.balance) == tuple(row[column] for column in _FIGURES)


_FIGURES: Final = (
    "awarded", "purchased", "awarded_held", "purchased_held",
    "awarded_frozen", "purchased_frozen", "debt",
)  # fmt: skip


def measures() -> tuple[Measure, ...]:
    """Return what the ledger reads again and again."""
    return (
        Measure("imbalance", 120.0, _read_imbalance),
        Measure("replay", 30.0, RollingReplay().read),
        Measure("stripe", 15.0, _read_stripe),
    )
