"""What revenue tells others of its facts: the only place where a stored fact becomes a message."""

from collections.abc import Sequence
from typing import Any, Final, assert_never

from contracts.events import Event
from contracts.revenue import v1
from contracts.types import Credits, Money
from runtime.store import Recorded, StreamKind
from services.revenue import decider, months, shares
from services.revenue.events import (
    DisputeFact,
    DisputeState,
    PayeeFact,
    PayeeState,
    RevenueFact,
    RevenueRecognized,
    RevenueReversed,
    RevenueState,
    ShareAccrued,
    ShareReversed,
)
from services.revenue.month_facts import (
    MonthAttested,
    MonthClosed,
    MonthFact,
    MonthState,
    StatementClosed,
    StatementState,
)


def publish_revenue(record: Recorded[RevenueFact]) -> Sequence[Event]:
    """Return the message of a fact in a deployment's stream."""
    match record.fact:
        case RevenueRecognized() as line:
            return [v1.RevenueRecognized(**_line(line), earning=line.earning)]
        case RevenueReversed() as line:
            reversal = v1.RevenueReversed(
                **_line(line),
                reverses=line.reverses,
                reversing=line.reversing,
                cause=line.cause,
                purchased_left=Credits(line.purchased_left),
            )
            return [reversal]
        case _:
            assert_never(record.fact)


def publish_payee(record: Recorded[PayeeFact]) -> Sequence[Event]:
    """Return the message of a fact in a payee's stream: one each, so that sequences are equal."""
    match record.fact:
        case ShareAccrued() as share:
            return [v1.ShareAccrued(**_share(share))]
        case ShareReversed() as share:
            return [v1.ShareReversed(**_share(share), reverses=share.reverses)]
        case _:
            assert_never(record.fact)


def publish_dispute(record: Recorded[DisputeFact]) -> Sequence[Event]:  # noqa: ARG001 - whoever wants to know follows the wallet
    """Return nothing: the ledger has told of the dispute."""
    return []


def publish_month(record: Recorded[MonthFact]) -> Sequence[Event]:
    """Return the message of a month that was closed; that it was attested the ledger has told."""
    match record.fact:
        case MonthAttested():
            return []
        case MonthClosed() as fact:
            closed = v1.PeriodClosed(
                period=fact.period,
                statements=fact.statements,
                payable_minor=fact.payable_minor,
                recognized_minor=fact.applied.recognized_minor,
                reversed_minor=fact.applied.reversed_minor,
                verified_facts=fact.verified_facts,
                closed_by=fact.closed_by,
                closed_at=record.at,
            )
            return [closed]
        case _:
            assert_never(record.fact)


def publish_statement(record: Recorded[StatementClosed]) -> Sequence[Event]:
    """Return the message of a sealed statement."""
    fact, each = record.fact, record.fact.statement
    amounts = {
        name: Money(amount_minor=getattr(each, f"{name}_minor"), currency=each.currency)
        for name in (
            *("opening", "accrued", "reversed", "adjustments", "balance", "disputed"),
            *("payable", "carried_forward"),
        )
    }
    closed = v1.StatementClosed(
        statement_id=each.statement_id,
        payee_id=each.payee_id,
        period=each.period,
        since=fact.since,
        until=fact.until,
        **amounts,
        lines=each.lines,
        first_sequence=each.first_sequence,
        last_sequence=each.last_sequence,
        lines_digest=each.lines_digest,
        closed_by=fact.closed_by,
        closed_at=record.at,
    )
    return [closed]


def _line(fact: RevenueFact) -> dict[str, Any]:
    """Return the fields that all lines of revenue have."""
    hold = fact.hold
    return {
        "deployment_id": hold.deployment_id,
        "line": fact.line,
        "hold_id": hold.hold_id,
        "user_id": hold.user_id,
        "module_id": hold.module_id,
        "module_name": hold.module_name,
        "module_version": hold.module_version,
        "partner_id": hold.partner_id,
        "agent_id": hold.agent_id,
        "project": hold.project,
        "credit_cost": fact.credits,
        "awarded_credits": fact.awarded_credits,
        "purchased_credits": fact.purchased_credits,
        "true_revenue": Money(amount_minor=fact.true_revenue_minor, currency=hold.currency),
        "slices": tuple(
            v1.ValuedSlice(
                lot_id=s.lot_id,
                lot_kind=s.lot_kind,
                lot_credits=Credits(s.lot_credits),
                lot_price_minor=s.lot_price_minor,
                start=Credits(s.start),
                end=Credits(s.end),
                revenue_minor=revenue_minor,
            )
            for s, revenue_minor in zip(fact.slices, fact.slice_revenue_minor, strict=True)
        ),
        "settings_version": hold.settings_version,
        "partner_basis_points": hold.partner_basis_points,
        "agent_basis_points": hold.agent_basis_points,
        "ledger_entry": v1.LedgerEntry(
            message_id=fact.entry.message_id,
            stream=fact.entry.stream,
            sequence=fact.entry.sequence,
        ),
        "requested_at": hold.requested_at,
        "recognized_at": fact.recognized_at,
    }


def _share(fact: PayeeFact) -> dict[str, Any]:
    """Return the fields that all lines of payees have."""
    return {
        "payee_id": fact.payee_id,
        "payee_role": fact.payee_role,
        "deployment_id": fact.deployment_id,
        "line": fact.line,
        "hold_id": fact.hold_id,
        "module_id": fact.module_id,
        "recognized_at": fact.recognized_at,
        "true_revenue": Money(amount_minor=fact.true_revenue_minor, currency=fact.currency),
        "share_basis_points": fact.share_basis_points,
        "share": Money(amount_minor=fact.share_minor, currency=fact.currency),
        "running_total": Money(amount_minor=fact.running_total_minor, currency=fact.currency),
        "remainder_before": fact.remainder_before,
        "remainder_after": fact.remainder_after,
    }


REVENUE: Final = StreamKind(
    name="revenue",
    facts=RevenueFact,
    state=RevenueState,
    initial=lambda _: RevenueState(),
    evolve=decider.evolve_revenue,
    publish=publish_revenue,
)
"""`revenue-<deployment id>`: what a deployment earned."""

PAYEE: Final = StreamKind(
    name="payee",
    facts=PayeeFact,
    state=PayeeState,
    initial=lambda _: PayeeState(),
    evolve=shares.evolve_payee,
    publish=publish_payee,
)
"""`payee-<payee id>`: what a partner or agent is due, gapless, with a running total."""

DISPUTE: Final = StreamKind(
    name="dispute",
    facts=DisputeFact,
    state=DisputeState,
    initial=lambda _: DisputeState(),
    evolve=decider.evolve_dispute,
    publish=publish_dispute,
)
"""`dispute-<dispute id>`: whether what a purchase earned is payable."""

MONTH: Final = StreamKind(
    name="month",
    facts=MonthFact,
    state=MonthState,
    initial=lambda _: MonthState(),
    evolve=months.evolve_month,
    publish=publish_month,
)
"""`month-<year>-<month>`: attested by the ledger, then closed."""

STATEMENT: Final = StreamKind(
    name="statement",
    facts=StatementClosed,
    state=StatementState,
    initial=lambda _: StatementState(),
    evolve=months.evolve_statement,
    publish=publish_statement,
)
"""`statement-<year>-<month>-<payee id>`: what a payee is due of a closed month."""
