"""What revenue's read models answer, for comparison with a replay of the ledger.

An `as_of` includes what happened at that very instant; without one, everything counts. Money is
in minor units.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg


@dataclass(frozen=True)
class Line:
    """What one deployment earned."""

    deployment_id: str
    user_id: str
    module_id: str
    partner_id: str | None
    agent_id: str | None
    true_revenue_minor: int
    recognized_at: datetime


_LINES: Final = """
    select deployment_id, user_id, module_id, partner_id, agent_id, true_revenue_minor,
           recognized_at
    from revenue_lines
    where $1::timestamptz is null or recognized_at <= $1
    order by deployment_id, version
"""
_PAYEES: Final = """
    select payee_id,
           floor(sum(true_revenue_minor::numeric * share_basis_points) * 0.0001)::bigint as due
    from payee_lines
    where $1::timestamptz is null or recognized_at <= $1
    group by payee_id
    order by payee_id
"""
_FETCH_ROWS: Final = 5_000


async def lines(connection: asyncpg.Connection, *, as_of: datetime | None = None) -> list[Line]:
    """Return every line of revenue, by deployment."""
    async with connection.transaction(readonly=True):
        rows = connection.cursor(_LINES, as_of, prefetch=_FETCH_ROWS)
        return [Line(**row) async for row in rows]


async def payee_totals(
    connection: asyncpg.Connection, *, as_of: datetime | None = None
) -> dict[str, int]:
    """Return what each payee is due: the floor of the sum of their exact entitlements.

    Without `as_of` this equals the running total of the payee's last line.
    """
    rows = await connection.fetch(_PAYEES, as_of)
    return {row["payee_id"]: row["due"] for row in rows}
