"""What revenue stores: lines of what settlements earned, and a line for each share of one.

A settlement is a line, and so is each later change of what it earned: a line that reverses names
the one it reverses. Money is in minor units of the one currency that the line names. A line keeps
all that it was computed from, so that it can be opened and checked alone.
"""

from datetime import datetime
from typing import Literal

import msgspec

LotKind = Literal[
    "award.signup", "award.admin", "award.referral", "award.goodwill", "award.bonus", "purchase"
]
PayeeRole = Literal["partner", "agent"]
Earning = Literal["settled", "repaid"]
Reversing = Literal["settlement_refunded", "settlement_reversed"]
DisputeOutcome = Literal["WON", "LOST"]


class SpentSlice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits `start` up to but not including `end` of a lot, with what it takes to value them."""

    lot_id: str
    lot_kind: LotKind
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


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the ledger says what brought a line about: the message, its stream and its place."""

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
    """Spent slices earned `true_revenue_minor`: the sum of `slice_revenue_minor`, one for each.

    `slices` are all of the hold's when it was settled. When a debt was repaid they are those that
    took the place of reversed ones, and `credits` is 0: the deployment costs its user no more.
    `line` counts the deployment's lines from 1.
    """

    line: int
    earning: Earning
    hold: SettledHold
    entry: LedgerEntry
    credits: int
    slices: tuple[SpentSlice, ...]
    slice_revenue_minor: tuple[int, ...]
    true_revenue_minor: int
    recognized_at: datetime

    @property
    def awarded_credits(self) -> int:
        """Return how many of the slices' credits were awarded."""
        return sum(s.credits for s in self.slices if not s.purchased)

    @property
    def purchased_credits(self) -> int:
        """Return how many of the slices' credits were purchased."""
        return sum(s.credits for s in self.slices if s.purchased)


class RevenueReversed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="revenue_reversed",
    forbid_unknown_fields=True,
):
    """Slices of line `reverses` earn nothing any more; all amounts are negative or 0.

    `credits` are those that came back to the user: none where a purchase was refunded, for then
    they are owed. `cause` is the refund or the lost dispute. `purchased_left` counts the purchased
    credits that line `reverses` still earns from: at 0 it is reversed whole.
    """

    line: int
    reverses: int
    reversing: Reversing
    cause: str
    hold: SettledHold
    entry: LedgerEntry
    credits: int
    slices: tuple[SpentSlice, ...]
    slice_revenue_minor: tuple[int, ...]
    true_revenue_minor: int
    purchased_left: int
    recognized_at: datetime

    @property
    def awarded_credits(self) -> int:
        """Return how many awarded credits came back, as a negative number."""
        return -sum(s.credits for s in self.slices if not s.purchased)

    @property
    def purchased_credits(self) -> int:
        """Return how many purchased credits earn nothing any more, as a negative number."""
        return -sum(s.credits for s in self.slices if s.purchased)


class _Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payee_id: str
    payee_role: PayeeRole
    deployment_id: str
    line: int
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


class ShareAccrued(_Share, frozen=True, kw_only=True, tag_field="fact", tag="share_accrued"):
    """A payee earned a share of one line's true revenue.

    `remainder_before` and `remainder_after` are what of the payee's exact entitlements was too
    little for a whole minor unit, in ten-thousandths of one: so the rounding can be checked here.
    """


class ShareReversed(_Share, frozen=True, kw_only=True, tag_field="fact", tag="share_reversed"):
    """A payee gives back a share of what line `reverses` had earned; the amounts are negative or 0.

    The running total may become negative. Rounded as `share_accrued` is.
    """

    reverses: int


class RevenueDisputed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="revenue_disputed",
    forbid_unknown_fields=True,
):
    """What was earned from a purchase is not payable while its dispute is open."""

    dispute_id: str
    lot_id: str
    user_id: str
    amount_minor: int
    currency: str
    entry: LedgerEntry
    at: datetime


class RevenueUndisputed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="revenue_undisputed",
    forbid_unknown_fields=True,
):
    """A dispute was decided; if it was lost, what it cost was reversed by lines of its own."""

    dispute_id: str
    lot_id: str
    outcome: DisputeOutcome
    entry: LedgerEntry
    at: datetime


RevenueFact = RevenueRecognized | RevenueReversed
PayeeFact = ShareAccrued | ShareReversed
DisputeFact = RevenueDisputed | RevenueUndisputed


class EarningRange(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Purchased credits that earn at present, and the line that recognised them."""

    line: int
    lot_id: str
    start: int
    end: int


class RevenueState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a deployment's revenue: which hold earned it, how much, and from what.

    `earning` has at most as many ranges as the hold has credits, however often they change.
    `wallet_sequence` is the wallet's last message that was applied.
    """

    hold_id: str | None = None
    lines: int = 0
    wallet_sequence: int = 0
    true_revenue_minor: int = 0
    earning: tuple[EarningRange, ...] = ()


class PayeeState(msgspec.Struct, frozen=True, kw_only=True):
    """What a payee has earned so far: whole minor units, and ten-thousandths of the next one."""

    lines: int = 0
    total_minor: int = 0
    remainder: int = 0
    currency: str | None = None


class DisputeState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a dispute is known, and whether it is open."""

    known: bool = False
    open: bool = False
