"""Each lot, and where its credits are: free, held, spent, expired, adjusted away or void."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    HoldPlaced,
    HoldReleased,
    HoldSettled,
    PurchaseRefunded,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.projections.balances import user_of

PLACES: Final = ("free", "held", "spent", "expired", "adjusted", "voided")

_INSERT: Final = """
    insert into lots (lot_id, user_id, position, kind, credits, price_minor, currency, source,
                      granted_at, expires_at, bonus_of, payment_id, free)
    select *, n.credits
    from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[],
                $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[],
                $12::text[])
        as n (lot_id, user_id, position, kind, credits, price_minor, currency, source, granted_at,
              expires_at, bonus_of, payment_id)
"""
_MOVE: Final = """
    update lots l
    set free = l.free + m.free, held = l.held + m.held, spent = l.spent + m.spent,
        expired = l.expired + m.expired, adjusted = l.adjusted + m.adjusted,
        voided = l.voided + m.voided
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::bigint[])
        as m (lot_id, free, held, spent, expired, adjusted, voided)
    where l.lot_id = m.lot_id
"""
_REFUND: Final = "update lots set refunded_minor = $2 where lot_id = $1"
_DISPUTE: Final = """
    update lots set disputes_open = disputes_open + $2 where lot_id = any($1::text[])
"""


class Lots:
    """One row for each lot; the table itself refuses a lot whose credits do not add up."""

    name = "lots"
    tables = ("lots",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Enter new lots, then move credits between places."""
        records = [change for change in changes if isinstance(change, Recorded)]
        entered = [
            _row(user_of(record), record.fact)
            for record in records
            if isinstance(record.fact, CreditsAwarded | CreditsPurchased)
        ]
        if entered:
            await connection.execute(_INSERT, *map(list, zip(*entered, strict=True)))
        moves = movements(record.fact for record in records)
        if moves:
            counts = ([move[place] for move in moves.values()] for place in PLACES)
            await connection.execute(_MOVE, list(moves), *counts)
        for record in records:
            if isinstance(record.fact, PurchaseRefunded | DisputeOpened | DisputeClosed):
                await _take_back(connection, record.fact)


async def _take_back(
    connection: asyncpg.Connection, fact: PurchaseRefunded | DisputeOpened | DisputeClosed
) -> None:
    """Note refunds and disputes, which are rare."""
    if isinstance(fact, PurchaseRefunded):
        await connection.execute(_REFUND, fact.lot_id, fact.refunded_total_minor)
        return
    lots = [fact.lot_id, fact.bonus_lot_id or fact.lot_id]
    await connection.execute(_DISPUTE, lots, 1 if isinstance(fact, DisputeOpened) else -1)


def movements(facts: Iterable[Any]) -> dict[str, Counter[str]]:
    """Return by how much each place of each lot changes."""
    moves: dict[str, Counter[str]] = {}
    for fact in facts:
        match fact:
            case HoldPlaced(hold=hold):
                _move(moves, hold.slices, "free", "held")
            case HoldSettled(hold=hold):
                _move(moves, hold.slices, "held", "spent")
            case HoldReleased(hold=hold, voided=voided):
                _move(moves, hold.slices, "held", "free")
                _move(moves, voided, "free", "voided")
            case CreditsExpired(slices=slices):
                _move(moves, slices, "free", "expired")
            case CreditsAdjusted(slices=slices):
                _move(moves, slices, "free", "adjusted")
            case SettlementRefunded(slices=slices):
                _move(moves, slices, "spent", "free")
            case PurchaseRefunded(slices=slices):
                _move(moves, slices, "free", "voided")
            case SettlementReversed(slices=slices):
                _move(moves, slices, "spent", "voided")
            case DebtRepaid(slices=slices):
                _move(moves, slices, "free", "spent")
            case _:
                pass
    return moves


def _move(
    moves: dict[str, Counter[str]], slices: Iterable[Slice], source: str, target: str
) -> None:
    for part in slices:
        counts = moves.setdefault(part.lot_id, Counter())
        counts[source] -= part.credits
        counts[target] += part.credits


def _row(user_id: str, fact: CreditsAwarded | CreditsPurchased) -> tuple[object, ...]:
    lot = fact.lot
    return (
        lot.lot_id,
        user_id,
        lot.position,
        lot.kind,
        lot.credits,
        lot.price_minor,
        lot.currency,
        lot.source,
        lot.granted_at,
        lot.expires_at,
        lot.bonus_of,
        fact.payment_id if isinstance(fact, CreditsPurchased) else None,
    )
