"""What happened to each wallet, movement by movement, with the balance after each."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.ledger import balances
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
    Lot,
    PurchaseRefunded,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.projections.balances import figures, user_of

_INSERT: Final = """
    insert into history (user_id, version, at, type, credits, awarded, purchased, awarded_after,
                         purchased_after, awarded_held_after, purchased_held_after,
                         awarded_frozen_after, purchased_frozen_after, debt_after, deployment_id,
                         reason)
    select * from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::bigint[],
                         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                         $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[],
                         $16::text[])
    on conflict (user_id, version) do nothing
"""


class History:
    """One row for each movement of credits; a refused hold moves none."""

    name = "history"
    tables = ("history",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Add the movements of the batch."""
        rows = [
            _row(change, movement)
            for change in changes
            if isinstance(change, Recorded) and (movement := _movement(change.fact)) is not None
        ]
        if rows:
            await connection.execute(_INSERT, *map(list, zip(*rows, strict=True)))


class _Movement(NamedTuple):
    type: str
    parts: tuple[int, int]
    deployment_id: str | None
    reason: str | None


def _movement(fact: Any) -> _Movement | None:  # noqa: PLR0911 - one return for each fact
    match fact:
        case CreditsAwarded(lot=lot, reason=reason):
            return _Movement("AWARD", _parts(lot), None, reason)
        case CreditsPurchased(lot=lot):
            return _Movement("PURCHASE", _parts(lot), None, lot.source)
        case HoldPlaced(hold=hold):
            return _Movement("HOLD", balances.parts(hold.slices), hold.deployment_id, None)
        case HoldSettled(hold=hold):
            return _Movement("SPEND", balances.parts(hold.slices), hold.deployment_id, None)
        case HoldReleased(hold=hold, reason=reason):
            return _Movement("RELEASE", balances.parts(hold.slices), hold.deployment_id, reason)
        case CreditsExpired(slices=slices):
            return _Movement("EXPIRY", balances.parts(slices), None, None)
        case CreditsAdjusted(slices=slices, reason=reason):
            return _Movement("ADJUSTMENT", balances.parts(slices), None, reason)
        case _:
            return _reversal(fact)


def _reversal(fact: Any) -> _Movement | None:
    """Return what took something back; debt is purchased credits that are owed."""
    match fact:
        case SettlementRefunded(hold=hold):
            awarded, purchased = balances.parts(fact.slices)
            parts = (awarded, purchased + _credits(fact.debt_cancelled))
            return _Movement("REFUND", parts, hold.deployment_id, fact.reason)
        case PurchaseRefunded(slices=slices):
            return _Movement("PURCHASE_REFUND", balances.parts(slices), None, fact.reason)
        case SettlementReversed(hold=hold, slices=slices):
            parts = (0, _credits(slices))
            return _Movement("REVERSAL", parts, hold.deployment_id, fact.cause)
        case DebtRepaid(hold=hold, slices=slices):
            parts = (0, _credits(slices))
            return _Movement("DEBT_REPAYMENT", parts, hold.deployment_id, fact.cause)
        case DisputeOpened(slices=slices, reason=reason):
            return _Movement("DISPUTE", balances.parts(slices), None, reason)
        case DisputeClosed(slices=slices, outcome=outcome):
            return _Movement("DISPUTE", balances.parts(slices), None, outcome)
        case _:
            return None


def _credits(slices: Iterable[Slice]) -> int:
    return sum(part.credits for part in slices)


def _parts(lot: Lot) -> tuple[int, int]:
    return (0, lot.credits) if lot.kind == "purchase" else (lot.credits, 0)


def _row(record: Recorded[Any], movement: _Movement) -> tuple[object, ...]:
    return (
        user_of(record),
        record.version,
        record.at,
        movement.type,
        sum(movement.parts),
        *movement.parts,
        *figures(record.fact.balance),
        movement.deployment_id,
        movement.reason,
    )
