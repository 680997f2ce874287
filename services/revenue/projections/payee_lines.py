"""Each line of a payee, as a row, and where each payee stands."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.revenue.events import PayeeFact, ShareAccrued, ShareReversed

_INSERT_LINES: Final = """
    insert into payee_lines (
        payee_id, sequence, payee_role, deployment_id, line, reverses, module_id,
        true_revenue_minor, share_basis_points, share_minor, running_total_minor, currency,
        recognized_at)
    select * from unnest(
        $1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
        $8::bigint[], $9::int[], $10::bigint[], $11::bigint[], $12::text[], $13::timestamptz[])
    on conflict (payee_id, sequence) do nothing
"""
_UPSERT_TOTALS: Final = """
    insert into payee_totals (payee_id, lines, total_minor, remainder, currency)
    select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $5::text[])
    on conflict (payee_id) do update
        set lines = excluded.lines, total_minor = excluded.total_minor,
            remainder = excluded.remainder, currency = excluded.currency
        where payee_totals.lines < excluded.lines
"""


class PayeeLines:
    """A row for each share, and one for each payee with the last running total."""

    name = "payee_lines"
    tables = ("payee_lines", "payee_totals")

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Add the lines of the batch and move the totals; what is there already stays."""
        accrued: list[tuple[int, PayeeFact]] = [
            (change.version, change.fact)
            for change in changes
            if isinstance(change, Recorded)
            and isinstance(change.fact, ShareAccrued | ShareReversed)
        ]
        if not accrued:
            return
        lines = [_line(sequence, fact) for sequence, fact in accrued]
        await connection.execute(_INSERT_LINES, *map(list, zip(*lines, strict=True)))
        last = {fact.payee_id: (sequence, fact) for sequence, fact in accrued}
        totals = [_total(sequence, fact) for sequence, fact in last.values()]
        await connection.execute(_UPSERT_TOTALS, *map(list, zip(*totals, strict=True)))


def _line(sequence: int, fact: PayeeFact) -> tuple[object, ...]:
    return (
        fact.payee_id,
        sequence,
        fact.payee_role,
        fact.deployment_id,
        fact.line,
        fact.reverses if isinstance(fact, ShareReversed) else None,
        fact.module_id,
        fact.true_revenue_minor,
        fact.share_basis_points,
        fact.share_minor,
        fact.running_total_minor,
        fact.currency,
        fact.recognized_at,
    )


def _total(sequence: int, fact: PayeeFact) -> tuple[object, ...]:
    return (
        fact.payee_id,
        sequence,
        fact.running_total_minor,
        fact.remainder_after,
        fact.currency,
    )
