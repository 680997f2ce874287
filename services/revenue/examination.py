"""Reads what a month came to, and whether everything that is kept agrees with itself.

From one snapshot: what was applied of the ledger, each payee's figures, and a walk over all of
revenue's own facts that recomputes their chains, the rounding of each payee's lines, and the sums
that the read models hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import asyncpg
import msgspec

from contracts import money_rules
from runtime.segments.chain import BadFact, ChainCheck, VerifyResult
from runtime.segments.reader import read_facts, snapshot
from runtime.store import FactRow
from services.revenue.events import PayeeFact, RevenueFact
from services.revenue.month_facts import Applied
from services.revenue.months import Examined, PayeeFigures, Reason, bounds

CHUNK_FACTS: Final = 2_000
MISFITS_MAX: Final = 20
"""Misfits that are told; one is enough to keep a month open."""

_PAYEE: Final = "payee-"
_PAYEE_FACT: Final = msgspec.json.Decoder(PayeeFact)
_LINE: Final = "revenue-"
_LINE_FACT: Final = msgspec.json.Decoder(RevenueFact)

_APPLIED: Final = """
    select kind, count(distinct (deployment_id, wallet_sequence)) as facts,
           coalesce(sum(true_revenue_minor), 0)::bigint as minor
    from revenue_lines where recognized_at >= $1 and recognized_at < $2 group by kind"""
_DISPUTES: Final = """
    select count(*) filter (where opened_at >= $1 and opened_at < $2) as opened,
           count(*) filter (where closed_at >= $1 and closed_at < $2) as closed
    from disputes"""
_LEDGER_FACTS: Final = {
    "settled": "hold_settled",
    "repaid": "debt_repaid",
    "settlement_refunded": "settlement_refunded",
    "settlement_reversed": "settlement_reversed",
}

_PAYEES: Final = """
    with lines as (
        select p.payee_id, p.sequence, p.currency, p.share_minor, p.recognized_at, p.reverses,
               coalesce(o.recognized_at, p.recognized_at) as earned_at,
               coalesce(o.lots, l.lots) as lots
        from payee_lines p
        join revenue_lines l on l.deployment_id = p.deployment_id and l.version = p.line
        left join revenue_lines o
            on p.reverses is not null
               and o.deployment_id = p.deployment_id and o.version = p.reverses
        where p.recognized_at < $2),
    disputed as (
        select array_agg(lot_id) as lots from disputes
        where opened_at < $2 and (closed_at is null or closed_at >= $2)),
    figures as (
        select payee_id, max(currency) as currency,
               coalesce(sum(share_minor) filter (where recognized_at < $1), 0) as before_minor,
               coalesce(sum(share_minor) filter (
                   where recognized_at >= $1 and reverses is null), 0) as accrued_minor,
               coalesce(sum(share_minor) filter (
                   where recognized_at >= $1 and reverses is not null and earned_at >= $1), 0)
                   as reversed_minor,
               coalesce(sum(share_minor) filter (
                   where recognized_at >= $1 and reverses is not null and earned_at < $1), 0)
                   as adjustments_minor,
               coalesce(sum(share_minor) filter (
                   where lines.lots && (select lots from disputed)), 0) as disputed_minor,
               count(*) filter (where recognized_at >= $1) as lines,
               coalesce(min(sequence) filter (where recognized_at >= $1), 0) as first_sequence,
               coalesce(max(sequence) filter (where recognized_at >= $1), 0) as last_sequence
        from lines group by payee_id),
    earlier as (
        select payee_id, sum(payable_minor) as paid_minor,
               (array_agg(carried_forward_minor order by period desc))[1] as opening_minor
        from statements where period < $3 group by payee_id)
    select f.payee_id, f.currency, f.before_minor::bigint, f.accrued_minor::bigint,
           f.reversed_minor::bigint, f.adjustments_minor::bigint, f.disputed_minor::bigint,
           f.lines, f.first_sequence, f.last_sequence,
           coalesce(e.paid_minor, 0)::bigint as paid_minor,
           coalesce(e.opening_minor, 0)::bigint as opening_minor
    from figures f left join earlier e using (payee_id)
    where f.lines > 0 or coalesce(e.opening_minor, 0) <> 0 or f.before_minor <> 0
    order by f.payee_id"""
_DIGESTS: Final = """
    select p.payee_id, p.sequence, f.hash
    from payee_lines p join facts f on f.stream = 'payee-' || p.payee_id and f.version = p.sequence
    where p.recognized_at >= $1 and p.recognized_at < $2
    order by p.payee_id, p.sequence"""
_KEPT_TOTALS: Final = "select payee_id, lines, total_minor, remainder from payee_totals"
_KEPT_SHARES: Final = """
    select payee_id, count(*) as lines, sum(share_minor)::bigint as minor
    from payee_lines group by payee_id"""
_KEPT_LINES: Final = """
    select user_id, count(*) as lines, sum(true_revenue_minor)::bigint as minor
    from revenue_lines group by user_id"""


async def examine(dsn: str, period: str) -> Examined:
    """Return what there is to say of a month, from one snapshot."""
    since, until = bounds(period)
    async with snapshot(dsn) as connection:
        walk, stored = await walked(connection)
        payees = await payees_of_month(connection, period, since, until)
        open_before = await connection.fetch(
            "select period from months where closed_at is null and period < $1 order by 1", period
        )
        waiting = await connection.fetchval(
            "select count(*) from inbox_waiting where stream like 'wallet-%'"
        )
        return Examined(
            period=period,
            applied=await _applied(connection, since, until),
            open_before=tuple(row["period"] for row in open_before),
            waiting=waiting,
            misfits=(*walk.misfits, *await unlike_kept(connection, walk)),
            payees=payees,
            verified_facts=stored.events,
        )


async def _applied(connection: asyncpg.Connection, since: datetime, until: datetime) -> Applied:
    facts: dict[str, int] = {}
    recognized = reversed_ = 0
    for row in await connection.fetch(_APPLIED, since, until):
        facts[_LEDGER_FACTS[row["kind"]]] = row["facts"]
        if row["kind"] in ("settled", "repaid"):
            recognized += row["minor"]
        else:
            reversed_ -= row["minor"]
    disputes = await connection.fetchrow(_DISPUTES, since, until)
    if disputes is not None:
        facts |= {"dispute_opened": disputes["opened"], "dispute_closed": disputes["closed"]}
    kept = {kind: count for kind, count in facts.items() if count}
    return Applied(facts=kept, recognized_minor=recognized, reversed_minor=reversed_)


async def payees_of_month(
    connection: asyncpg.Connection, period: str, since: datetime, until: datetime
) -> tuple[PayeeFigures, ...]:
    """Return what each payee's lines come to in a month, with what was sealed before it."""
    digests: dict[str, Any] = {}
    async for row in connection.cursor(_DIGESTS, since, until, prefetch=CHUNK_FACTS):
        digest = digests.setdefault(row["payee_id"], sha256())
        digest.update(f"{row['sequence']} {row['hash'].hex()}\n".encode())
    rows = await connection.fetch(_PAYEES, since, until, period)
    return tuple(
        PayeeFigures(
            **dict(row),
            lines_digest=f"sha256:{digests.get(row['payee_id'], sha256()).hexdigest()}",
        )
        for row in rows
    )


@dataclass
class Walk:
    """All facts in the order of their streams: the lines of payees and of users, added up again."""

    misfits: list[Reason] = field(default_factory=list)
    payees: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    lines: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, row: FactRow) -> None:
        """Take the next fact."""
        try:
            if row.stream.startswith(_PAYEE):
                self._rounding(row.stream, _PAYEE_FACT.decode(row.body))
            elif row.stream.startswith(_LINE):
                line = _LINE_FACT.decode(row.body)
                count, minor = self.lines.get(line.hold.user_id, (0, 0))
                self.lines[line.hold.user_id] = (count + 1, minor + line.true_revenue_minor)
        except msgspec.DecodeError:
            self.misfit("CHAIN_BROKEN", f"{row.stream} {row.version} cannot be read")

    def finish(self) -> BadFact | None:
        """Return nothing: all that does not fit is among the misfits."""

    def misfit(self, code: Any, message: str) -> None:
        """Note what does not fit, as long as there is room."""
        if len(self.misfits) < MISFITS_MAX:
            self.misfits.append(Reason(code, message))

    def verified(self, result: VerifyResult) -> None:
        """Note first of all where the chains, or what was sealed, do not fit."""
        if result.first_bad is not None:
            self.misfits.insert(0, Reason("CHAIN_BROKEN", result.first_bad.described()))

    def _rounding(self, stream: str, share: PayeeFact) -> None:
        lines, total, remainder = self.payees.get(stream, (0, 0, 0))
        minor, after = money_rules.accrue(
            remainder=remainder,
            revenue_minor=share.true_revenue_minor,
            basis_points=share.share_basis_points,
        )
        told = (share.share_minor, share.running_total_minor, share.remainder_after)
        if told != (minor, total + minor, after):
            self.misfit("LINES_DIFFER", f"{stream} {lines + 1} is {told}, not {minor} more")
        self.payees[stream] = (lines + 1, share.running_total_minor, share.remainder_after)


async def walked(connection: asyncpg.Connection) -> tuple[Walk, VerifyResult]:
    """Walk over all facts, a chunk at a time."""
    walk, chain = Walk(), ChainCheck()
    async for rows in read_facts(connection, None):
        for row in rows:
            chain.take(row)
            walk.take(row)
        await chain.check_heads(connection)
    result = await chain.finish(connection, whole=True)
    walk.verified(result)
    return walk, result


async def unlike_kept(connection: asyncpg.Connection, walk: Walk) -> list[Reason]:
    """Compare the read models with what their facts came to: by payee, and by user."""
    payees = {
        f"{_PAYEE}{row['payee_id']}": (row["lines"], row["total_minor"], row["remainder"])
        for row in await connection.fetch(_KEPT_TOTALS)
    }
    shares = {
        f"{_PAYEE}{row['payee_id']}": (row["lines"], row["minor"])
        for row in await connection.fetch(_KEPT_SHARES)
    }
    lines = {
        row["user_id"]: (row["lines"], row["minor"]) for row in await connection.fetch(_KEPT_LINES)
    }
    summed = {stream: (count, total) for stream, (count, total, _) in walk.payees.items()}
    return [
        *_unlike("totals of payees", payees, walk.payees),
        *_unlike("lines of payees", shares, summed),
        *_unlike("lines of users", lines, walk.lines),
    ][:MISFITS_MAX]


def _unlike(what: str, kept: Mapping[str, object], facts: Mapping[str, object]) -> list[Reason]:
    return [
        Reason(
            "LINES_DIFFER", f"{what}: {key} is kept as {kept.get(key)}, its facts: {facts.get(key)}"
        )
        for key in sorted({*kept, *facts})
        if kept.get(key) != facts.get(key)
    ]
