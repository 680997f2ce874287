"""What revenue stores: a line for each settlement, and a line for each share of one.

Money is in minor units of the one currency that the line names. A line keeps all that it was
computed from, so that it can be opened and checked alone.
"""

from datetime import datetime
from typing import Literal

import msgspec

PayeeRole = Literal["partner", "agent"]


class SpentSlice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits `start` up to but not including `end` of a lot, with what it takes to value them."""

    lot_id: str
    lot_kind: str
    lot_credits: int
    lot_price_minor: int
    start: int
    end: int

    @property
    def credits(self) -> int:
        """Return how many credits these are."""
        return self.end - self.start

    @property
    def purchased(self) -> bool:
        """Whether they were paid for."""
        return self.lot_kind == "purchase"


class SettledHold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the ledger recorded with a hold, as far as revenue depends on it.

    The shares are those in force when the hold was placed, from that version of the settings.
    """

    hold_id: str
    deployment_id: str
    user_id: str
    module_id: str
    module_name: str
    module_version: int
    partner_id: str | None
    agent_id: str | None
    project: str | None
    cost: int
    slices: tuple[SpentSlice, ...]
    currency: str
    settings_version: int
    partner_basis_points: int
    agent_basis_points: int
    requested_at: datetime

    @property
    def awarded_credits(self) -> int:
        """Return how many of the spent credits were awarded."""
        return sum(s.credits for s in self.slices if not s.purchased)

    @property
    def purchased_credits(self) -> int:
        """Return how many of the spent credits were purchased."""
        return sum(s.credits for s in self.slices if s.purchased)


class Settlement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ledger says that a hold was settled: the message, its stream and its place."""

    message_id: str
    stream: str
    sequence: int


class RevenueRecognized(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="revenue_recognized",
    forbid_unknown_fields=True,
):
    """A settlement earned `true_revenue_minor`: the sum of `slice_revenue_minor`.

    `slice_revenue_minor` has a figure for each of the hold's slices, in their order.
    """

    hold: SettledHold
    settlement: Settlement
    slice_revenue_minor: tuple[int, ...]
    true_revenue_minor: int
    recognized_at: datetime


class ShareAccrued(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="share_accrued",
    forbid_unknown_fields=True,
):
    """A payee earned a share of one settlement's true revenue.

    `remainder_before` and `remainder_after` are what of the payee's exact entitlements was too
    little for a whole minor unit, in ten-thousandths of one: so the rounding can be checked here.
    """

    payee_id: str
    payee_role: PayeeRole
    deployment_id: str
    hold_id: str
    module_id: str
    recognized_at: datetime
    true_revenue_minor: int
    share_basis_points: int
    remainder_before: int
    remainder_after: int
    share_minor: int
    running_total_minor: int
    currency: str


RevenueFact = RevenueRecognized
PayeeFact = ShareAccrued


class RevenueState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a deployment's revenue: which hold earned it, and how much."""

    hold_id: str | None = None
    true_revenue_minor: int = 0


class PayeeState(msgspec.Struct, frozen=True, kw_only=True):
    """What a payee has earned so far: whole minor units, and ten-thousandths of the next one."""

    lines: int = 0
    total_minor: int = 0
    remainder: int = 0
    currency: str | None = None
