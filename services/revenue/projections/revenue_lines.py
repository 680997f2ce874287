"""Each line of revenue, as a row."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.revenue.events import RevenueRecognized

_INSERT: Final = """
    insert into revenue_lines (
        deployment_id, version, hold_id, user_id, module_id, partner_id, agent_id, credit_cost,
        purchased_credits, true_revenue_minor, currency, partner_basis_points, agent_basis_points,
        recognized_at)
    select * from unnest(
        $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::int[], $13::int[],
        $14::timestamptz[])
    on conflict (deployment_id, version) do nothing
"""


class RevenueLines:
    """A row for each settlement's line, for comparison with a replay of the ledger."""

    name = "revenue_lines"

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Add the lines of the batch; one that is there already stays as it is."""
        rows = [
            _row(change.version, change.fact)
            for change in changes
            if isinstance(change, Recorded) and isinstance(change.fact, RevenueRecognized)
        ]
        if rows:
            await connection.execute(_INSERT, *map(list, zip(*rows, strict=True)))


def _row(version: int, line: RevenueRecognized) -> tuple[object, ...]:
    hold = line.hold
    return (
        hold.deployment_id,
        version,
        hold.hold_id,
        hold.user_id,
        hold.module_id,
        hold.partner_id,
        hold.agent_id,
        hold.cost,
        hold.purchased_credits,
        line.true_revenue_minor,
        hold.currency,
        hold.partner_basis_points,
        hold.agent_basis_points,
        line.recognized_at,
    )
