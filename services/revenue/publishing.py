"""What revenue tells others of its facts: the only place where a stored fact becomes a message."""

from collections.abc import Sequence
from typing import Final, assert_never

from contracts.events import Event
from contracts.revenue import v1
from contracts.types import Credits, Money
from runtime.store import Recorded, StreamKind
from services.revenue import decider
from services.revenue.events import (
    PayeeFact,
    PayeeState,
    RevenueFact,
    RevenueRecognized,
    RevenueState,
    ShareAccrued,
)


def publish_revenue(record: Recorded[RevenueFact]) -> Sequence[Event]:
    """Return the message of a fact in a deployment's stream."""
    match record.fact:
        case RevenueRecognized():
            return [_recognized(record.fact)]
        case _:
            assert_never(record.fact)


def publish_payee(record: Recorded[PayeeFact]) -> Sequence[Event]:
    """Return the message of a fact in a payee's stream: one each, so that sequences are equal."""
    match record.fact:
        case ShareAccrued():
            return [_accrued(record.fact)]
        case _:
            assert_never(record.fact)


def _recognized(fact: RevenueRecognized) -> v1.RevenueRecognized:
    hold = fact.hold
    return v1.RevenueRecognized(
        deployment_id=hold.deployment_id,
        hold_id=hold.hold_id,
        user_id=hold.user_id,
        module_id=hold.module_id,
        module_name=hold.module_name,
        module_version=hold.module_version,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        project=hold.project,
        credit_cost=Credits(hold.cost),
        awarded_credits=Credits(hold.awarded_credits),
        purchased_credits=Credits(hold.purchased_credits),
        true_revenue=Money(amount_minor=fact.true_revenue_minor, currency=hold.currency),
        partner_basis_points=hold.partner_basis_points,
        agent_basis_points=hold.agent_basis_points,
        requested_at=hold.requested_at,
        recognized_at=fact.recognized_at,
    )


def _accrued(fact: ShareAccrued) -> v1.ShareAccrued:
    return v1.ShareAccrued(
        payee_id=fact.payee_id,
        payee_role=fact.payee_role,
        deployment_id=fact.deployment_id,
        hold_id=fact.hold_id,
        module_id=fact.module_id,
        recognized_at=fact.recognized_at,
        true_revenue=Money(amount_minor=fact.true_revenue_minor, currency=fact.currency),
        share_basis_points=fact.share_basis_points,
        share=Money(amount_minor=fact.share_minor, currency=fact.currency),
        running_total=Money(amount_minor=fact.running_total_minor, currency=fact.currency),
    )


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
    evolve=decider.evolve_payee,
    publish=publish_payee,
)
"""`payee-<payee id>`: what a partner or agent is due, gapless, with a running total."""
