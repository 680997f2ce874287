"""Checks all that revenue stores: chains, segments, rounding, read models, every statement."""

from dataclasses import dataclass
from typing import Final

import asyncpg
import msgspec

from runtime.segments.audit import SegmentAudit
from runtime.segments.places import Place
from runtime.segments.reader import snapshot
from runtime.segments.verification import Progress, names_at, verify_within
from runtime.signing import PublicKeys
from services.revenue.examination import Walk, payees_of_month, unlike_kept
from services.revenue.month_facts import MonthClosed, MonthFact, Statement, StatementClosed
from services.revenue.months import Reason, bounds, statement_of, unbalanced
from services.revenue.sealing.origin import ORIGIN

_SEALED: Final = """
    select f.body from facts f join statements s on f.stream = 'statement-' || s.statement_id
    where s.period = $1"""
_MONTHS: Final = """
    select f.body from facts f join months m on f.stream = 'month-' || m.period
    where m.closed_at is not null order by m.period, f.version"""


@dataclass(frozen=True)
class Verified:
    """What was found; `head` stands for all facts, as the ledger's does for its own.

    `sealed` of the facts are in `segments` segments.
    """

    facts: int
    head: str
    segments: int
    sealed: int
    statements: int
    misfits: tuple[Reason, ...]

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return not self.misfits


async def verify(
    dsn: str, place: Place | None, keys: PublicKeys, *, progress: Progress | None = None
) -> Verified:
    """Return whether everything that revenue stores fits, from one snapshot, with its segments.

    Without a place nothing may be sealed.
    """
    walk, audit = Walk(), SegmentAudit(keys, ORIGIN.columns)
    names = await names_at(place)
    async with snapshot(dsn) as connection:
        result = await verify_within(
            connection, place, names, audit=audit, also=walk, progress=progress
        )
        walk.verified(result)
        kept = await unlike_kept(connection, walk)
        statements, unlike = await _statements(connection)
    return Verified(
        facts=result.events,
        head=result.head,
        segments=result.segments,
        sealed=result.sealed,
        statements=statements,
        misfits=(*walk.misfits, *kept, *unlike),
    )


async def _statements(connection: asyncpg.Connection) -> tuple[int, list[Reason]]:
    """Compute every statement of every closed month again."""
    rows = await connection.fetch(_MONTHS)
    facts = [msgspec.json.decode(row["body"], type=MonthFact) for row in rows]
    count, found = 0, []
    for month in (fact for fact in facts if isinstance(fact, MonthClosed)):
        sealed = {each.statement_id: each for each in await _sealed(connection, month.period)}
        since, until = bounds(month.period)
        payees = await payees_of_month(connection, month.period, since, until)
        computed = {
            each.statement_id: each
            for each in (
                statement_of(payee, month.period)
                for payee in payees
                if payee.lines or payee.opening_minor
            )
        }
        count += len(sealed)
        found += unbalanced(payees)
        if len(sealed) != month.statements:
            text = f"{month.period} has {len(sealed)} of {month.statements} statements"
            found.append(Reason("BALANCES_DIFFER", text))
        found += [
            Reason(
                "BALANCES_DIFFER", f"{name} is {sealed.get(name)}, comes to {computed.get(name)}"
            )
            for name in sorted({*sealed, *computed})
            if sealed.get(name) != computed.get(name)
        ]
    return count, found


async def _sealed(connection: asyncpg.Connection, period: str) -> list[Statement]:
    rows = await connection.fetch(_SEALED, period)
    return [msgspec.json.decode(row["body"], type=StatementClosed).statement for row in rows]
