"""Lines of true revenue, and the shares of them that payees earned.

A line is shown once the shares due of it are here too, so that nobody reads a share of 0 that is
only on its way.
"""

from collections.abc import Iterator

from contracts.envelope import Envelope
from contracts.money_rules import payees
from contracts.revenue.v1 import RevenueRecognized, ShareAccrued
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_LINE = """
    insert into revenue_lines (deployment_id, sequence, hold_id, user_id, module_id, module_name,
                               partner_id, agent_id, project, credit_cost, awarded_credits,
                               purchased_credits, true_revenue_minor, currency, shares_due,
                               created_at, recognized_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    on conflict (deployment_id, sequence) do nothing"""
_SHARE = """
    insert into revenue_shares (payee_id, sequence, hold_id, payee_role, share_minor, currency,
                                recognized_at)
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (payee_id, sequence) do nothing"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope):
        return
    match change.data:
        case RevenueRecognized() as line:
            yield _LINE, _line_values(line, change.sequence)
        case ShareAccrued() as share:
            yield (
                _SHARE,
                (
                    share.payee_id,
                    change.sequence,
                    share.hold_id,
                    share.payee_role,
                    share.share.amount_minor,
                    share.share.currency,
                    share.recognized_at,
                ),
            )
        case _:
            return


def _line_values(line: RevenueRecognized, sequence: int) -> tuple[object, ...]:
    due = payees(
        user_id=line.user_id,
        partner_id=line.partner_id,
        agent_id=line.agent_id,
        partner_basis_points=line.partner_basis_points,
        agent_basis_points=line.agent_basis_points,
    )
    return (
        line.deployment_id,
        sequence,
        line.hold_id,
        line.user_id,
        line.module_id,
        line.module_name,
        line.partner_id,
        line.agent_id,
        line.project,
        line.credit_cost,
        line.awarded_credits,
        line.purchased_credits,
        line.true_revenue.amount_minor,
        line.true_revenue.currency,
        len(due) if line.true_revenue.amount_minor else 0,
        line.requested_at,
        line.recognized_at,
    )


REVENUE = SqlProjection("revenue", _statements)
