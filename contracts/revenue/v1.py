"""What revenue says, version 1: who earned what."""

from typing import ClassVar, Literal

from contracts import events
from contracts.types import (
    Amount,
    BasisPoints,
    Id,
    Instant,
    Money,
    Ordinal,
    ShortText,
)


class RevenueRecognized(events.Event):
    """A settlement's true revenue was recognised, in the month of the settlement.

    `recognized_at` is the settlement's instant in the ledger. The shares recorded with the hold
    are repeated, so that a line can be read alone.
    """

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "revenue"
    fact: ClassVar[str] = "revenue_recognized"

    deployment_id: Id
    hold_id: Id
    user_id: Id
    module_id: Id
    module_name: ShortText
    module_version: Ordinal
    partner_id: Id | None
    agent_id: Id | None
    project: ShortText | None
    credit_cost: Amount
    awarded_credits: Amount
    purchased_credits: Amount
    true_revenue: Money
    partner_basis_points: BasisPoints
    agent_basis_points: BasisPoints
    requested_at: Instant
    recognized_at: Instant


class ShareAccrued(events.Event):
    """A payee earned a share of one settlement's true revenue.

    `share` is the floor of the payee's cumulative entitlement less what was accrued before, and
    `running_total` all that was accrued, this line included. The message's `sequence` is the
    payee's own, without a gap.
    """

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "payee"
    fact: ClassVar[str] = "share_accrued"

    payee_id: Id
    payee_role: Literal["partner", "agent"]
    deployment_id: Id
    hold_id: Id
    module_id: Id
    recognized_at: Instant
    true_revenue: Money
    share_basis_points: BasisPoints
    share: Money
    running_total: Money


class RequestRefused(events.RequestRefused):
    """Revenue does not carry out a request."""

    service: ClassVar[str] = "revenue"
