"""Compares what settlements earned with revenue's read models, on behalf of whoever replays.

Revenue follows the ledger, so it may be behind for a moment: what is missing there is asked for
again until a time limit. It may also be ahead of the snapshot that the facts are read in: what it
has more is no difference if the ledger has settled it by now.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from services.ledger.checking.differences import Differences
from services.ledger.checking.fold import Settlement

RETRY_SECONDS: Final = 0.2
CHUNK_LINES: Final = 5_000

Line = tuple[Any, ...]
Shares = tuple[Any, ...]

_LINES: Final = """
    select deployment_id, hold_id, user_id, module_id, partner_id, agent_id, credit_cost,
           purchased_credits, true_revenue_minor, currency, recognized_at
    from revenue_lines where deployment_id = any($1::text[])
"""
_SUM: Final = """
    select coalesce(sum(true_revenue_minor), 0) from revenue_lines
    where $1::timestamptz is null or recognized_at <= $1
"""
_SHARES: Final = """
    select deployment_id, payee_id, payee_role, true_revenue_minor, share_basis_points
    from payee_lines where deployment_id = any($1::text[])
    order by deployment_id, payee_role desc
"""
_ROUNDING: Final = """
    select payee_id, sequence, running_total_minor, due from (
        select payee_id, sequence, running_total_minor,
               row_number() over lines as number,
               floor(sum(true_revenue_minor::numeric * share_basis_points) over lines / 10000)
                   as due,
               sum(share_minor) over lines as shares
        from payee_lines window lines as (partition by payee_id order by sequence)
    ) as checked
    where running_total_minor <> due or running_total_minor <> shares or sequence <> number
    order by payee_id, sequence
    limit 100
"""
_TOTALS: Final = """
    select t.payee_id, t.total_minor, l.running_total_minor
    from payee_totals t
    left join payee_lines l on l.payee_id = t.payee_id and l.sequence = t.lines
    where l.running_total_minor is distinct from t.total_minor
    limit 100
"""


@dataclass
class RevenueComparison:
    """Compares chunks of settlements; at the end, whether revenue has lines besides."""

    revenue: asyncpg.Connection
    ledger: asyncpg.Connection
    differences: Differences
    as_of: datetime | None
    patience_seconds: float
    _lines: int = 0
    _shares: int = 0

    async def settlements(self, settlements: Sequence[Settlement]) -> None:
        """Compare settlements with lines of revenue, and with what each payee has for them."""
        lines = await self._lines_of(settlements)
        ids = [settlement.hold.deployment_id for settlement in settlements]
        shares: dict[str, list[Shares]] = {}
        for row in await self.revenue.fetch(_SHARES, ids):
            shares.setdefault(row["deployment_id"], []).append(tuple(row)[1:])
        for settlement in settlements:
            deployment_id = settlement.hold.deployment_id
            self.differences.compare(
                "revenue.revenue_lines",
                deployment_id,
                from_facts=_line(settlement),
                live=lines.get(deployment_id),
            )
            expected = _shares_of(settlement)
            self.differences.compare(
                "revenue.payee_lines",
                deployment_id,
                from_facts=expected,
                live=shares.get(deployment_id, []),
            )
            self._lines += 1
            self._shares += len(expected)

    async def finish(self) -> None:
        """Check the payees' rounding, and find lines that no settlement stands behind."""
        for row in await self.revenue.fetch(_ROUNDING):
            self.differences.add(
                "revenue.payee_lines",
                f"{row['payee_id']} {row['sequence']}",
                from_facts=row["due"],
                live=row["running_total_minor"],
            )
        for row in await self.revenue.fetch(_TOTALS):
            self.differences.add(
                "revenue.payee_totals",
                row["payee_id"],
                from_facts=row["running_total_minor"],
                live=row["total_minor"],
            )
        for table, known in (("revenue_lines", self._lines), ("payee_lines", self._shares)):
            await self._find_extra(table, known)

    async def total(self, true_revenue_minor: int) -> None:
        """Compare the sum of all lines, waiting for those that are not there yet."""
        deadline = asyncio.get_running_loop().time() + self.patience_seconds
        while True:
            live = await self.revenue.fetchval(_SUM, self.as_of)
            late = asyncio.get_running_loop().time() >= deadline
            if int(live) == true_revenue_minor or late:
                break
            await asyncio.sleep(RETRY_SECONDS)
        self.differences.compare(
            "revenue.revenue_lines",
            "true revenue of all",
            from_facts=true_revenue_minor,
            live=int(live),
        )

    async def _lines_of(self, settlements: Sequence[Settlement]) -> dict[str, Line]:
        """Return the lines of settlements, waiting for those that are not there yet."""
        wanted = {settlement.hold.deployment_id for settlement in settlements}
        found: dict[str, Line] = {}
        deadline = asyncio.get_running_loop().time() + self.patience_seconds
        while missing := wanted - found.keys():
            rows = await self.revenue.fetch(_LINES, sorted(missing))
            found |= {row["deployment_id"]: tuple(row) for row in rows}
            if len(found) == len(wanted) or asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(RETRY_SECONDS)
        return found

    async def _find_extra(self, table: str, known: int) -> None:
        """Name lines of deployments that the ledger has not settled, if there are too many."""
        upto = "($1::timestamptz is null or recognized_at <= $1)"
        count = await self.revenue.fetchval(
            f"select count(*) from {table} where {upto}",  # noqa: S608 - our own names
            self.as_of,
        )
        if count == known:
            return
        async with self.revenue.transaction(readonly=True):
            cursor = await self.revenue.cursor(
                f"select deployment_id from {table} where {upto}",  # noqa: S608 - our own names
                self.as_of,
            )
            while rows := await cursor.fetch(CHUNK_LINES):
                ids = {row["deployment_id"] for row in rows}
                for deployment_id in sorted(ids - await self._settled(ids)):
                    self.differences.add(
                        f"revenue.{table}", deployment_id, from_facts="nothing", live="a line"
                    )

    async def _settled(self, deployment_ids: set[str]) -> set[str]:
        rows = await self.ledger.fetch(
            """select deployment_id from holds
               where status = 'SETTLED' and deployment_id = any($1::text[])
                 and ($2::timestamptz is null or ended_at <= $2)""",
            list(deployment_ids),
            self.as_of,
        )
        return {row["deployment_id"] for row in rows}


def _line(settlement: Settlement) -> Line:
    hold = settlement.hold
    return (
        hold.deployment_id,
        hold.hold_id,
        hold.user_id,
        hold.module_id,
        hold.partner_id,
        hold.agent_id,
        hold.cost,
        settlement.purchased_credits,
        settlement.true_revenue_minor,
        hold.currency,
        settlement.at,
    )


def _shares_of(settlement: Settlement) -> list[Shares]:
    """Return what stands in the payees' streams for a settlement; what earned nothing does not."""
    if settlement.true_revenue_minor == 0:
        return []
    return sorted(
        (
            (payee.payee_id, payee.role, settlement.true_revenue_minor, payee.basis_points)
            for payee in settlement.payees
        ),
        key=lambda share: share[1],
        reverse=True,
    )
