"""Disputes, and whether they are open: what their lots earned is not payable meanwhile."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.revenue.events import RevenueDisputed, RevenueUndisputed

_OPEN: Final = """
    insert into disputes (dispute_id, lot_id, user_id, amount_minor, currency, opened_at)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (dispute_id) do nothing
"""
_CLOSE: Final = "update disputes set outcome = $2, closed_at = $3 where dispute_id = $1"


class Disputes:
    """A row for each dispute."""

    name = "disputes"
    tables = ("disputes",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Open and close the disputes of the batch."""
        for change in changes:
            match change.fact if isinstance(change, Recorded) else None:
                case RevenueDisputed() as fact:
                    values = (fact.user_id, fact.amount_minor, fact.currency, fact.at)
                    await connection.execute(_OPEN, fact.dispute_id, fact.lot_id, *values)
                case RevenueUndisputed() as fact:
                    await connection.execute(_CLOSE, fact.dispute_id, fact.outcome, fact.at)
                case _:
                    continue
