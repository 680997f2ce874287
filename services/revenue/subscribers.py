"""What the ledger's messages mean to revenue: the only place where one becomes a command."""

from collections.abc import Iterable
from typing import Any, Final, TypeGuard

from contracts.envelope import Envelope
from contracts.ledger import v1 as ledger
from services.revenue.decider import (
    Dispute,
    DisputeCommand,
    EndDispute,
    Recognize,
    Repay,
    RevenueCommand,
    Reverse,
)
from services.revenue.events import LedgerEntry, SettledHold, SpentSlice
from services.revenue.month_facts import Applied, MonthAttested

Earns = (
    ledger.HoldSettled | ledger.SettlementRefunded | ledger.SettlementReversed | ledger.DebtRepaid
)
RELEVANT: Final = frozenset(
    {
        *("hold_settled", "debt_repaid", "settlement_refunded", "settlement_reversed"),
        *("dispute_opened", "dispute_closed"),
    }
)
"""Kinds of the ledger's facts that revenue applies."""

Disputes = ledger.DisputeOpened | ledger.DisputeClosed


def earns(envelope: Envelope[Any]) -> TypeGuard[Envelope[Earns]]:
    """Whether a message changes what a deployment earned."""
    return isinstance(envelope.data, Earns)


def disputes(envelope: Envelope[Any]) -> TypeGuard[Envelope[Disputes]]:
    """Whether a message is about a dispute."""
    return isinstance(envelope.data, Disputes)


def revenue_command(envelope: Envelope[Earns]) -> RevenueCommand:
    """Return what a message about a settlement asks for."""
    event = envelope.data
    hold, entry = settled_hold(event.hold), _entry(envelope)
    match event:
        case ledger.HoldSettled():
            return Recognize(hold=hold, entry=entry, at=event.settled_at)
        case ledger.SettlementRefunded():
            return Reverse(
                hold=hold,
                entry=entry,
                at=event.refunded_at,
                reversing="settlement_refunded",
                cause=event.refund_id,
                slices=_all_spent(event.slices),
                credits=event.credits,
            )
        case ledger.SettlementReversed():
            slices = _all_spent(event.slices)
            return Reverse(
                hold=hold,
                entry=entry,
                at=event.reversed_at,
                reversing="settlement_reversed",
                cause=event.cause,
                slices=slices,
                credits=sum(s.credits for s in slices),
            )
        case ledger.DebtRepaid():
            return Repay(
                hold=hold, entry=entry, at=event.repaid_at, slices=_all_spent(event.slices)
            )


def dispute_command(envelope: Envelope[Disputes]) -> DisputeCommand:
    """Return what a message about a dispute asks for."""
    event, entry = envelope.data, _entry(envelope)
    match event:
        case ledger.DisputeOpened():
            return Dispute(
                dispute_id=event.dispute_id,
                lot_id=event.lot_id,
                user_id=event.user_id,
                amount_minor=event.amount_minor,
                currency=event.currency,
                entry=entry,
                at=envelope.time,
            )
        case ledger.DisputeClosed():
            return EndDispute(
                dispute_id=event.dispute_id,
                lot_id=event.lot_id,
                outcome=event.outcome,
                entry=entry,
                at=envelope.time,
            )


def attested_month(envelope: Envelope[ledger.PeriodAttested]) -> MonthAttested:
    """Return what of an attestation concerns revenue."""
    event = envelope.data
    return MonthAttested(
        period=event.period,
        since=event.since,
        until=event.until,
        ledger=Applied(
            facts={kind: n for kind, n in event.facts_by_kind.items() if kind in RELEVANT and n},
            recognized_minor=event.recognized_minor,
            reversed_minor=event.reversed_minor,
        ),
        head=event.head,
        entry=_entry(envelope),
    )


def attests(envelope: Envelope[Any]) -> TypeGuard[Envelope[ledger.PeriodAttested]]:
    """Whether a message attests a month."""
    return isinstance(envelope.data, ledger.PeriodAttested)


def settled_hold(hold: ledger.Hold) -> SettledHold:
    """Return what of a hold revenue keeps."""
    return SettledHold(
        hold_id=hold.hold_id,
        deployment_id=hold.deployment_id,
        user_id=hold.user_id,
        module_id=hold.module_id,
        module_name=hold.module_name,
        module_version=hold.module_version,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        project=hold.project,
        cost=hold.cost,
        slices=_all_spent(hold.slices),
        currency=hold.currency,
        settings_version=hold.share_rule.settings_version,
        partner_basis_points=hold.share_rule.partner_basis_points,
        agent_basis_points=hold.share_rule.agent_basis_points,
        requested_at=hold.requested_at,
    )


def _entry(envelope: Envelope[Any]) -> LedgerEntry:
    return LedgerEntry(message_id=envelope.id, stream=envelope.subject, sequence=envelope.sequence)


def _all_spent(slices: Iterable[ledger.Slice]) -> tuple[SpentSlice, ...]:
    return tuple(
        SpentSlice(
            lot_id=held.lot_id,
            lot_kind=held.lot_kind,
            lot_credits=held.lot_credits,
            lot_price_minor=held.lot_price_minor,
            start=held.start,
            end=held.end,
        )
        for held in slices
    )
