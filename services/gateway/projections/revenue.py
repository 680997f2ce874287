"""Lines of true revenue with the shares of them, and their sums by day.

A line is shown, and counted, once the shares due of it are here too, so that nobody reads a share
of 0 that is only on its way. Line and shares come in streams of their own and in any order: each
adds its part to the same row, and whichever makes it complete counts it.
"""

from collections.abc import Iterator
from typing import Final

from contracts.envelope import Envelope
from contracts.ledger.v1 import DisputeClosed, DisputeOpened
from contracts.money_rules import payees
from contracts.revenue.v1 import (
    PayeeLine,
    RevenueLine,
    RevenueRecognized,
    RevenueReversed,
    ShareAccrued,
    ShareReversed,
)
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement


def _added_up(table: str, unit: str) -> str:
    """Return SQL that adds what became complete to the sums of its day or its month."""
    return f"""
    insert into {table} as d ({unit}, module_id, partner_id, agent_id, lines, credit_cost,
                              purchased_credits, true_revenue_minor, partner_share_minor,
                              agent_share_minor)
    select date_trunc('{unit}', recognized_at at time zone 'UTC')::date, module_id,
           coalesce(partner_id, ''), coalesce(agent_id, ''), 1, credit_cost, purchased_credits,
           true_revenue_minor, partner_share_minor, agent_share_minor
    from part where complete
    on conflict ({unit}, module_id, partner_id, agent_id) do update
    set lines = d.lines + 1,
        credit_cost = d.credit_cost + excluded.credit_cost,
        purchased_credits = d.purchased_credits + excluded.purchased_credits,
        true_revenue_minor = d.true_revenue_minor + excluded.true_revenue_minor,
        partner_share_minor = d.partner_share_minor + excluded.partner_share_minor,
        agent_share_minor = d.agent_share_minor + excluded.agent_share_minor"""  # noqa: S608 - our own names


_DAYS: Final = _added_up("revenue_days", "day")
_MONTHS: Final = _added_up("revenue_months", "month")
_LINE: Final = f"""
    with part as (
        insert into revenue_lines as l (
            deployment_id, line, kind, reverses, hold_id, user_id, module_id, module_name,
            partner_id, agent_id, project, credit_cost, awarded_credits, purchased_credits,
            true_revenue_minor, currency, lots, shares_due, created_at, recognized_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20)
        on conflict (deployment_id, line) do update
        set kind = excluded.kind, reverses = excluded.reverses, hold_id = excluded.hold_id,
            user_id = excluded.user_id, module_id = excluded.module_id,
            module_name = excluded.module_name, partner_id = excluded.partner_id,
            agent_id = excluded.agent_id, project = excluded.project,
            credit_cost = excluded.credit_cost, awarded_credits = excluded.awarded_credits,
            purchased_credits = excluded.purchased_credits,
            true_revenue_minor = excluded.true_revenue_minor, currency = excluded.currency,
            lots = excluded.lots, shares_due = excluded.shares_due,
            created_at = excluded.created_at, recognized_at = excluded.recognized_at
        where l.kind is null
        returning l.*),
    days as ({_DAYS})
    {_MONTHS}"""  # noqa: S608 - our own constant
_SHARE: Final = f"""
    with share as (
        insert into revenue_shares (payee_id, sequence, deployment_id, line, payee_role,
                                    share_minor, running_total_minor)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (payee_id, sequence) do nothing
        returning deployment_id, line, share_minor, payee_role = 'partner' as of_partner),
    part as (
        insert into revenue_lines as l (deployment_id, line, shares_known, partner_share_minor,
                                        agent_share_minor)
        select deployment_id, line, 1, case when of_partner then share_minor else 0 end,
               case when of_partner then 0 else share_minor end
        from share
        on conflict (deployment_id, line) do update
        set shares_known = l.shares_known + 1,
            partner_share_minor = l.partner_share_minor + excluded.partner_share_minor,
            agent_share_minor = l.agent_share_minor + excluded.agent_share_minor
        returning l.*),
    days as ({_DAYS})
    {_MONTHS}"""  # noqa: S608 - our own constant
_REFERRAL: Final = """
    insert into revenue_referrals (agent_id, user_id) values ($1, $2) on conflict do nothing"""
_REVERSED: Final = "update revenue_lines set reversed = true where deployment_id = $1 and line = $2"
_DISPUTE: Final = """
    insert into revenue_disputes (dispute_id, lot_id, open) values ($1, $2, $3)
    on conflict (dispute_id) do update set open = excluded.open"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope):
        return
    match change.data:
        case RevenueRecognized() as line:
            yield _LINE, _line_values(line, line.earning, None)
            if line.agent_id is not None:
                yield _REFERRAL, (line.agent_id, line.user_id)
        case RevenueReversed() as line:
            yield _LINE, _line_values(line, line.reversing, line.reverses)
            if line.purchased_left == 0:
                yield _REVERSED, (line.deployment_id, line.reverses)
        case ShareAccrued() | ShareReversed() as share:
            yield _SHARE, _share_values(share, change.sequence)
        case DisputeOpened() as dispute:
            yield _DISPUTE, (dispute.dispute_id, dispute.lot_id, True)
        case DisputeClosed() as dispute:
            yield _DISPUTE, (dispute.dispute_id, dispute.lot_id, False)
        case _:
            return


def _line_values(line: RevenueLine, kind: str, reverses: int | None) -> tuple[object, ...]:
    due = payees(
        user_id=line.user_id,
        partner_id=line.partner_id,
        agent_id=line.agent_id,
        partner_basis_points=line.partner_basis_points,
        agent_basis_points=line.agent_basis_points,
    )
    return (
        *(line.deployment_id, line.line, kind, reverses, line.hold_id, line.user_id),
        *(line.module_id, line.module_name, line.partner_id, line.agent_id, line.project),
        *(line.credit_cost, line.awarded_credits, line.purchased_credits),
        *(line.true_revenue.amount_minor, line.true_revenue.currency),
        sorted({each.lot_id for each in line.slices if each.lot_kind == "purchase"}),
        len(due) if line.true_revenue.amount_minor else 0,
        *(line.requested_at, line.recognized_at),
    )


def _share_values(share: PayeeLine, sequence: int) -> tuple[object, ...]:
    return (
        *(share.payee_id, sequence, share.deployment_id, share.line, share.payee_role),
        *(share.share.amount_minor, share.running_total.amount_minor),
    )


REVENUE = SqlProjection(
    "revenue",
    _statements,
    tables=(
        "revenue_lines",
        "revenue_shares",
        "revenue_days",
        "revenue_months",
        "revenue_disputes",
        "revenue_referrals",
    ),
)
"""True revenue, and the shares of it."""
