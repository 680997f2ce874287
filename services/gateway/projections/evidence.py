"""The messages that figures of revenue follow from, kept whole, so that each can be opened."""

from collections.abc import Iterator
from typing import Any, Final

from contracts.envelope import Envelope
from contracts.ledger.v1 import (
    CreditsAwarded,
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
)
from contracts.revenue.v1 import PayeeLine, RevenueLine
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_KEEP: Final = """
    insert into revenue_evidence (about, stream, sequence, message_id, type, at, fact_version,
                                  fact_hash, data)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (about, stream, sequence) do nothing"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope):
        return
    about = _about(change)
    if about is not None:
        place = (change.subject, change.sequence, change.id, change.type, change.time)
        fact = (change.factversion, change.facthash, change.data.model_dump_json())
        yield _KEEP, (about, *place, *fact)


def _about(change: Envelope[Any]) -> str | None:
    match change.data:
        case (
            HoldPlaced(hold=hold)
            | HoldSettled(hold=hold)
            | HoldReleased(hold=hold)
            | SettlementRefunded(hold=hold)
            | SettlementReversed(hold=hold)
            | DebtRepaid(hold=hold)
        ):
            return about_deployment(hold.deployment_id)
        case RevenueLine(deployment_id=deployment_id) | PayeeLine(deployment_id=deployment_id):
            return about_deployment(deployment_id)
        case CreditsPurchased(lot=lot) | CreditsAwarded(lot=lot):
            return about_lot(lot.lot_id)
        case (
            PurchaseRefunded(lot_id=lot_id)
            | DisputeOpened(lot_id=lot_id)
            | DisputeClosed(lot_id=lot_id)
        ):
            return about_lot(lot_id)
        case _:
            return None


def about_deployment(deployment_id: str) -> str:
    """Return what the messages of a deployment are kept under."""
    return f"deployment {deployment_id}"


def about_lot(lot_id: str) -> str:
    """Return what the messages of a lot are kept under."""
    return f"lot {lot_id}"


EVIDENCE = SqlProjection("evidence", _statements, tables=("revenue_evidence",))
"""What proves a figure."""
