"""The rules of shares: what of a line of revenue each payee is due, or gives back.

A share makes a line wherever something exact is due, be it too little for a minor unit yet; but
what earned nothing owes nobody anything, and stands in no payee's stream. A reversal takes back by
the shares that were recorded with the hold, so that it takes what had been given; and a payee's
total is the floor of all that is exactly due, below zero as well.
"""

from dataclasses import dataclass
from typing import Any, assert_never

from contracts import money_rules
from services.revenue.decider import ContradictionError
from services.revenue.events import (
    PayeeFact,
    PayeeRole,
    PayeeState,
    RevenueFact,
    RevenueRecognized,
    RevenueReversed,
    SettledHold,
    ShareAccrued,
    ShareReversed,
)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A payee is due a share of a line of revenue, or gives it back."""

    payee_id: str
    payee_role: PayeeRole
    basis_points: int
    line: RevenueFact


def shares_of(line: RevenueFact) -> list[Share]:
    """Return whose a share of a line is, the partner before the agent."""
    if line.true_revenue_minor == 0:
        return []
    return [
        Share(
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


def decide_payee(command: Share, state: PayeeState) -> list[PayeeFact]:
    """Return the line that a share adds to a payee's stream."""
    line, hold = command.line, command.line.hold
    if state.currency not in (None, hold.currency):
        raise ContradictionError(
            "a payee earns in one currency",
            payee_id=command.payee_id,
            currency=state.currency,
            currency_of_line=hold.currency,
        )
    share_minor, remainder = money_rules.accrue(
        remainder=state.remainder,
        revenue_minor=line.true_revenue_minor,
        basis_points=command.basis_points,
    )
    same: dict[str, Any] = {
        "payee_id": command.payee_id,
        "payee_role": command.payee_role,
        "deployment_id": hold.deployment_id,
        "line": line.line,
        "hold_id": hold.hold_id,
        "module_id": hold.module_id,
        "recognized_at": line.recognized_at,
        "true_revenue_minor": line.true_revenue_minor,
        "share_basis_points": command.basis_points,
        "remainder_before": state.remainder,
        "remainder_after": remainder,
        "share_minor": share_minor,
        "running_total_minor": state.total_minor + share_minor,
        "currency": hold.currency,
    }
    match line:
        case RevenueRecognized():
            return [ShareAccrued(**same)]
        case RevenueReversed():
            return [ShareReversed(**same, reverses=line.reverses)]
        case _:
            assert_never(line)


def evolve_payee(state: PayeeState, fact: PayeeFact) -> PayeeState:
    """Return what a payee has earned after a fact."""
    match fact:
        case ShareAccrued() | ShareReversed():
            return PayeeState(
                lines=state.lines + 1,
                total_minor=fact.running_total_minor,
                remainder=fact.remainder_after,
                currency=fact.currency,
            )
        case _:
            assert_never(fact)
