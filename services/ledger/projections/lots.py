"""Each lot, and where its credits are: free, held, spent, expired or adjusted away."""

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
    HoldPlaced,
    HoldReleased,
    HoldSettled,
    Lot,
    Slice,
)
from services.ledger.projections.balances import user_of

PLACES: Final = ("free", "held", "spent", "expired", "adjusted")

_INSERT: Final = """
    insert into lots (lot_id, user_id, position, kind, credits, price_minor, currency, source,
                      granted_at, expires_at, free)
    select *, n.credits
    from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[],
                $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[])
        as n (lot_id, user_id, position, kind, credits, price_minor, currency, source, granted_at,
              expires_at)
"""
_MOVE: Final = """
    update lots l
    set free = l.free + m.free, held = l.held + m.held, spent = l.spent + m.spent,
        expired = l.expired + m.expired, adjusted = l.adjusted + m.adjusted
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        as m (lot_id, free, held, spent, expired, adjusted)
    where l.lot_id = m.lot_id
"""


class Lots:
    """One row for each lot; the table itself refuses a lot whose credits do not add up."""

    name = "lots"

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Enter new lots, then move credits between places."""
        records = [change for change in changes if isinstance(change, Recorded)]
        entered = [
            _row(user_of(record), record.fact.lot)
            for record in records
            if isinstance(record.fact, CreditsAwarded | CreditsPurchased)
        ]
        if entered:
            await connection.execute(_INSERT, *map(list, zip(*entered, strict=True)))
        moves = movements(record.fact for record in records)
        if moves:
            counts = ([move[place] for move in moves.values()] for place in PLACES)
            await connection.execute(_MOVE, list(moves), *counts)


def movements(facts: Iterable[Any]) -> dict[str, Counter[str]]:
    """Return by how much each place of each lot changes."""
    moves: dict[str, Counter[str]] = {}
    for fact in facts:
        match fact:
            case HoldPlaced(hold=hold):
                _move(moves, hold.slices, "free", "held")
            case HoldSettled(hold=hold):
                _move(moves, hold.slices, "held", "spent")
            case HoldReleased(hold=hold):
                _move(moves, hold.slices, "held", "free")
            case CreditsExpired(slices=slices):
                _move(moves, slices, "free", "expired")
            case CreditsAdjusted(slices=slices):
                _move(moves, slices, "free", "adjusted")
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


def _row(user_id: str, lot: Lot) -> tuple[object, ...]:
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
    )
