"""Compares what settlements earned with revenue's read models, on behalf of whoever replays.

Revenue follows the ledger, so it may be behind for a moment: what is missing there is asked for
again until a time limit. It may also be ahead of the snapshot that the facts are read in: what it
has more is no difference if the ledger has settled it by now.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from services.ledger.checking.differences import Differences
from services.ledger.checking.fold import Settlement

RETRY_SECONDS: Final = 0.2
CHUNK_LINES: Final = 5_000

Key = tuple[str, str, datetime]
"""A deployment, the kind of a line, and when it was recognized."""

Figures = tuple[Any, ...]

# A fact may have made several lines, one for each line that it takes something back from.
_LINES: Final = """
    select deployment_id, kind, recognized_at, hold_id, user_id, module_id, partner_id, agent_id,
           currency, sum(credit_cost)::bigint, sum(purchased_credits)::bigint,
           sum(true_revenue_minor)::bigint
    from revenue_lines where deployment_id = any($1::text[])
    group by deployment_id, kind, recognized_at, hold_id, user_id, module_id, partner_id,
             agent_id, currency
"""
_SHARES: Final = """
    select l.deployment_id, l.kind, l.recognized_at, p.payee_id, p.payee_role,
           p.share_basis_points, sum(p.true_revenue_minor)::bigint
    from payee_lines p
    join revenue_lines l on l.deployment_id = p.deployment_id and l.version = p.line
    where p.deployment_id = any($1::text[])
    group by l.deployment_id, l.kind, l.recognized_at, p.payee_id, p.payee_role,
             p.share_basis_points
    order by p.payee_role desc, p.payee_id
"""
_SUM: Final = """
    select coalesce(sum(true_revenue_minor), 0)::bigint from revenue_lines
    where $1::timestamptz is null or recognized_at <= $1
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


_SETTLED_LINES: Final = """
    from revenue_lines l
    where l.kind = 'settled' and ($1::timestamptz is null or l.recognized_at <= $1)
"""
_SETTLED_SHARES: Final = """
    from payee_lines p
    join revenue_lines l on l.deployment_id = p.deployment_id and l.version = p.line
    where l.kind = 'settled' and ($1::timestamptz is null or l.recognized_at <= $1)
"""


@dataclass
class RevenueComparison:
    """Compares chunks of settlements; at the end, whether revenue has lines besides.

    `lines` and `shares` are how many there must be of what was settled, of what was compared.
    """

    revenue: asyncpg.Connection
    ledger: asyncpg.Connection
    differences: Differences
    as_of: datetime | None
    patience_seconds: float
    lines: int = 0
    shares: int = 0

    async def settlements(self, settlements: Sequence[Settlement]) -> None:
        """Compare settlements with lines of revenue, and with what each payee has for them.

        All facts of one deployment and kind at one instant come in one call.
        """
        expected = _by_key(settlements)
        lines = await self._lines_of(expected)
        ids = sorted({deployment_id for deployment_id, _, _ in expected})
        shares: dict[Key, list[Figures]] = {}
        for row in await self.revenue.fetch(_SHARES, ids):
            shares.setdefault(tuple(row)[:3], []).append(tuple(row)[3:])
        for key, group in expected.items():
            name = f"{key[0]} {key[1]}"
            self.differences.compare(
                "revenue.revenue_lines", name, from_facts=_line(group), live=lines.get(key)
            )
            due = _shares_of(group)
            self.differences.compare(
                "revenue.payee_lines", name, from_facts=due, live=shares.get(key, [])
            )
            if key[1] == "settled":
                self.lines += 1
                self.shares += len(due)

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
        await self._find_extra(_SETTLED_LINES, self.lines, "revenue.revenue_lines")
        await self._find_extra(_SETTLED_SHARES, self.shares, "revenue.payee_lines")

    async def total(self, true_revenue_minor: int) -> int:
        """Return the sum of all lines, after waiting for it to be as expected."""
        deadline = asyncio.get_running_loop().time() + self.patience_seconds
        while True:
            live = int(await self.revenue.fetchval(_SUM, self.as_of))
            late = asyncio.get_running_loop().time() >= deadline
            if live == true_revenue_minor or late:
                return live
            await asyncio.sleep(RETRY_SECONDS)

    async def _lines_of(self, wanted: Collection[Key]) -> dict[Key, Figures]:
        """Return the lines of facts, waiting for those that are not there yet."""
        found: dict[Key, Figures] = {}
        deadline = asyncio.get_running_loop().time() + self.patience_seconds
        while missing := {key[0] for key in wanted if key not in found}:
            rows = await self.revenue.fetch(_LINES, sorted(missing))
            found |= {tuple(row)[:3]: tuple(row)[3:] for row in rows}
            if asyncio.get_running_loop().time() >= deadline:
                break
            if not all(key in found for key in wanted):
                await asyncio.sleep(RETRY_SECONDS)
        return found

    async def _find_extra(self, table: str, known: int, where: str) -> None:
        """Name lines of deployments that the ledger has not settled, if there are too many."""
        count = await self.revenue.fetchval(f"select count(*) {table}", self.as_of)
        if count == known:
            return
        async with self.revenue.transaction(readonly=True):
            cursor = await self.revenue.cursor(f"select l.deployment_id {table}", self.as_of)
            while rows := await cursor.fetch(CHUNK_LINES):
                ids = {row["deployment_id"] for row in rows}
                for deployment_id in sorted(ids - await self._settled(ids)):
                    self.differences.add(where, deployment_id, from_facts="nothing", live="a line")

    async def _settled(self, deployment_ids: set[str]) -> set[str]:
        rows = await self.ledger.fetch(
            """select deployment_id from holds
               where status = 'SETTLED' and deployment_id = any($1::text[])
                 and ($2::timestamptz is null or ended_at <= $2)""",
            list(deployment_ids),
            self.as_of,
        )
        return {row["deployment_id"] for row in rows}


def _by_key(settlements: Sequence[Settlement]) -> dict[Key, list[Settlement]]:
    found: dict[Key, list[Settlement]] = {}
    for each in settlements:
        found.setdefault((each.hold.deployment_id, each.kind, each.at), []).append(each)
    return found


def _line(group: Sequence[Settlement]) -> Figures:
    """Return what revenue's lines of some facts come to: whose they are, credits and money."""
    hold = group[0].hold
    return (
        *(hold.hold_id, hold.user_id, hold.module_id, hold.partner_id, hold.agent_id),
        hold.currency,
        sum(_credit_cost(each) for each in group),
        sum(each.earning for each in group),
        sum(each.true_revenue_minor for each in group),
    )


def _credit_cost(settlement: Settlement) -> int:
    """Return what a line costs its user: nothing where only who pays has changed."""
    if settlement.kind in ("settled", "settlement_refunded"):
        return settlement.awarded_credits + settlement.purchased_credits
    return 0


def _shares_of(group: Sequence[Settlement]) -> list[Figures]:
    """Return what stands in the payees' streams for facts; what earned nothing does not."""
    revenue = sum(each.true_revenue_minor for each in group)
    if revenue == 0:
        return []
    found = [(payee.payee_id, payee.role, payee.basis_points, revenue) for payee in group[0].payees]
    return sorted(found, key=lambda share: share[1], reverse=True)
