"""The rules of revenue: what a settlement earned, and what of it a payee is due.

True revenue is the value of the purchased slices that were spent; awarded ones earn nothing. Every
settlement makes a line, one of 0 included, so that a report of a module's deployments is whole.
A share makes a line wherever something exact is due, be it too little for a minor unit yet; but
what earned nothing owes nobody anything, and stands in no payee's stream.

Nothing is refused here: the ledger has settled. What contradicts what is known is a bug, and
raises `ContradictionError`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

import msgspec

from contracts import money_rules
from services.revenue.events import (
    PayeeFact,
    PayeeRole,
    PayeeState,
    RevenueFact,
    RevenueRecognized,
    RevenueState,
    SettledHold,
    Settlement,
    ShareAccrued,
    SpentSlice,
)


class ContradictionError(Exception):
    """A settlement contradicts what is known; `fields` say how."""

    def __init__(self, what: str, **fields: str | int | None) -> None:
        super().__init__(f"{what}: {fields}")
        self.fields = fields


@dataclass(frozen=True, kw_only=True)
class Recognize:
    """A hold was settled at an instant of the ledger: recognise what it earned."""

    hold: SettledHold
    settlement: Settlement
    settled_at: datetime


@dataclass(frozen=True, kw_only=True)
class Accrue:
    """A line of revenue earns a payee a share."""

    payee_id: str
    payee_role: PayeeRole
    basis_points: int
    line: RevenueRecognized


RevenueCommand = Recognize
PayeeCommand = Accrue


def decide_revenue(command: RevenueCommand, state: RevenueState) -> list[RevenueFact]:
    """Return the line of revenue that a command brings; none where it is there already."""
    match command:
        case Recognize():
            return _recognize(command, state)
        case _:
            assert_never(command)


def decide_payee(command: PayeeCommand, state: PayeeState) -> list[PayeeFact]:
    """Return the line that a command adds to a payee's stream."""
    match command:
        case Accrue():
            return _accrue(command, state)
        case _:
            assert_never(command)


def shares_of(line: RevenueRecognized) -> list[Accrue]:
    """Return who is due a share of a line, the partner before the agent."""
    if line.true_revenue_minor == 0:
        return []
    return [
        Accrue(
            payee_id=payee.payee_id,
            payee_role=payee.role,
            basis_points=payee.basis_points,
            line=line,
        )
        for payee in payees_of(line.hold)
    ]


def payees_of(hold: SettledHold) -> tuple[money_rules.Payee, ...]:
    """Return who earns a share of what a hold may earn."""
    return money_rules.payees(
        user_id=hold.user_id,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        partner_basis_points=hold.partner_basis_points,
        agent_basis_points=hold.agent_basis_points,
    )


def evolve_revenue(state: RevenueState, fact: RevenueFact) -> RevenueState:
    """Return what is known of a deployment's revenue after a fact."""
    match fact:
        case RevenueRecognized():
            return msgspec.structs.replace(
                state, hold_id=fact.hold.hold_id, true_revenue_minor=fact.true_revenue_minor
            )
        case _:
            assert_never(fact)


def evolve_payee(state: PayeeState, fact: PayeeFact) -> PayeeState:
    """Return what a payee has earned after a fact."""
    match fact:
        case ShareAccrued():
            return PayeeState(
                lines=state.lines + 1,
                total_minor=fact.running_total_minor,
                remainder=fact.remainder_after,
                currency=fact.currency,
            )
        case _:
            assert_never(fact)


def _recognize(command: Recognize, state: RevenueState) -> list[RevenueFact]:
    hold = command.hold
    if state.hold_id == hold.hold_id:
        return []
    if state.hold_id is not None:
        raise ContradictionError(
            "a deployment is settled once",
            deployment_id=hold.deployment_id,
            settled_hold_id=state.hold_id,
            hold_id=hold.hold_id,
        )
    spent = sum(s.credits for s in hold.slices)
    if spent != hold.cost:
        raise ContradictionError(
            "a hold's slices are its cost", hold_id=hold.hold_id, cost=hold.cost, spent=spent
        )
    revenues = tuple(_revenue_minor(s) for s in hold.slices)
    line = RevenueRecognized(
        hold=hold,
        settlement=command.settlement,
        slice_revenue_minor=revenues,
        true_revenue_minor=sum(revenues),
        recognized_at=command.settled_at,
    )
    return [line]


def _revenue_minor(spent: SpentSlice) -> int:
    return money_rules.slice_revenue(
        lot_kind=spent.lot_kind,
        price_minor=spent.lot_price_minor,
        lot_credits=spent.lot_credits,
        start=spent.start,
        end=spent.end,
    )


def _accrue(command: Accrue, state: PayeeState) -> list[PayeeFact]:
    line = command.line
    currency = line.hold.currency
    if state.currency not in (None, currency):
        raise ContradictionError(
            "a payee earns in one currency",
            payee_id=command.payee_id,
            currency=state.currency,
            currency_of_line=currency,
        )
    share_minor, remainder = money_rules.accrue(
        remainder=state.remainder,
        revenue_minor=line.true_revenue_minor,
        basis_points=command.basis_points,
    )
    accrued = ShareAccrued(
        payee_id=command.payee_id,
        payee_role=command.payee_role,
        deployment_id=line.hold.deployment_id,
        hold_id=line.hold.hold_id,
        module_id=line.hold.module_id,
        recognized_at=line.recognized_at,
        true_revenue_minor=line.true_revenue_minor,
        share_basis_points=command.basis_points,
        remainder_before=state.remainder,
        remainder_after=remainder,
        share_minor=share_minor,
        running_total_minor=state.total_minor + share_minor,
        currency=currency,
    )
    return [accrued]
