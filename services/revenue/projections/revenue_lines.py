"""Each line of revenue, as a row."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.revenue.events import RevenueFact, RevenueRecognized, RevenueReversed

_INSERT: Final = """
    insert into revenue_lines (
        deployment_id, version, kind, reverses, hold_id, user_id, module_id, partner_id, agent_id,
        credit_cost, purchased_credits, true_revenue_minor, currency, partner_basis_points,
        agent_basis_points, lots, wallet_sequence, recognized_at)
    select deployment_id, version, kind, reverses, hold_id, user_id, module_id, partner_id,
           agent_id, credit_cost, purchased_credits, true_revenue_minor, currency,
           partner_basis_points, agent_basis_points, string_to_array(lots, ' '), wallet_sequence,
           recognized_at
    from unnest(
        $1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[],
        $14::int[], $15::int[], $16::text[], $17::bigint[], $18::timestamptz[])
        as line (deployment_id, version, kind, reverses, hold_id, user_id, module_id, partner_id,
                 agent_id, credit_cost, purchased_credits, true_revenue_minor, currency,
                 partner_basis_points, agent_basis_points, lots, wallet_sequence, recognized_at)
    on conflict (deployment_id, version) do nothing
"""
_REVERSED: Final = """
    update revenue_lines set reversed = true
    from unnest($1::text[], $2::bigint[]) as whole (deployment_id, line)
    where revenue_lines.deployment_id = whole.deployment_id and version = whole.line
"""


class RevenueLines:
    """A row for each line, for comparison with a replay of the ledger."""

    name = "revenue_lines"
    tables = ("revenue_lines",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Add the lines of the batch; one that is there already stays as it is."""
        lines: list[tuple[int, RevenueFact]] = [
            (change.version, change.fact)
            for change in changes
            if isinstance(change, Recorded)
            and isinstance(change.fact, RevenueRecognized | RevenueReversed)
        ]
        if not lines:
            return
        rows = [_row(version, line) for version, line in lines]
        await connection.execute(_INSERT, *map(list, zip(*rows, strict=True)))
        whole = [
            (line.hold.deployment_id, line.reverses)
            for _, line in lines
            if isinstance(line, RevenueReversed) and line.purchased_left == 0
        ]
        if whole:
            await connection.execute(_REVERSED, *map(list, zip(*whole, strict=True)))


def _row(version: int, line: RevenueFact) -> tuple[object, ...]:
    hold = line.hold
    return (
        hold.deployment_id,
        version,
        line.reversing if isinstance(line, RevenueReversed) else line.earning,
        line.reverses if isinstance(line, RevenueReversed) else None,
        hold.hold_id,
        hold.user_id,
        hold.module_id,
        hold.partner_id,
        hold.agent_id,
        line.credits,
        line.purchased_credits,
        line.true_revenue_minor,
        hold.currency,
        hold.partner_basis_points,
        hold.agent_basis_points,
        " ".join(sorted({s.lot_id for s in line.slices if s.purchased})),
        line.entry.sequence,
        line.recognized_at,
    )
