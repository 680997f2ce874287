"""What the ledger stores of a wallet: its facts.

Credits are whole numbers, money is minor units of the one currency. A slice names credits `start`
up to but not including `end` of a lot. Every fact carries the wallet's balance after it; every
fact that moves credits names exact slices, so that nothing has to be worked out again.
"""

from datetime import datetime
from typing import Literal

import msgspec

from contracts.credit_rules import Gate, Shortage

LotKind = Literal[
    "award.signup", "award.admin", "award.referral", "award.goodwill", "award.bonus", "purchase"
]
AwardKind = Literal["award.signup", "award.admin", "award.referral", "award.goodwill"]
DisputeOutcome = Literal["WON", "LOST"]
HoldRefusalCode = Literal[Shortage, "HOLD_REQUEST_EXPIRED"]
ReleaseReason = Literal["FAILED", "CANCELLED", "TIMED_OUT", "REFUSED"]


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The credits a wallet owns, and what of them cannot be spent; available is the difference.

    `purchased` is what the lots hold less `debt`, the spent credits that were reversed and not
    paid again: so it may be negative, after a reversal only. `…_frozen` are the free credits of
    disputed lots; held ones are counted as held only.
    """

    awarded: int = 0
    purchased: int = 0
    awarded_held: int = 0
    purchased_held: int = 0
    awarded_frozen: int = 0
    purchased_frozen: int = 0
    debt: int = 0

    @property
    def available_awarded(self) -> int:
        """Return the awarded credits that are free to spend."""
        return self.awarded - self.awarded_held - self.awarded_frozen

    @property
    def available_purchased(self) -> int:
        """Return the purchased credits that are free to spend, net of debt: may be negative."""
        return self.purchased - self.purchased_held - self.purchased_frozen


class Lot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits that entered at once, the wallet's `position`th lot, counted from 0.

    `price_minor` was paid for all of them, net of tax; it is 0 for awards. `bonus_of` is the
    purchase whose bonus the lot is, and whose fate it shares.
    """

    lot_id: str
    position: int
    kind: LotKind
    credits: int
    price_minor: int
    currency: str
    source: str
    granted_at: datetime
    expires_at: datetime | None
    bonus_of: str | None = None


class LotTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What its slices do not say of a lot, so that a lot that has left the wallet can return."""

    lot_id: str
    position: int
    granted_at: datetime
    expires_at: datetime | None


class Slice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A range of a lot, with what it takes to value it."""

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


class ShareRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The shares in force when a hold was placed, and the version of the settings they are from."""

    settings_version: int
    partner_basis_points: int
    agent_basis_points: int


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a later figure depends on, as it was when the hold was placed.

    `gate` is the rule that it went through, `cost` what that rule made of `list_price`, and
    `algorithm_version` the burn order by which the slices were taken.
    """

    hold_id: str
    deployment_id: str
    build_id: str
    user_id: str
    module_id: str
    module_name: str
    module_version: int
    partner_id: str | None
    agent_id: str | None
    project: str | None
    list_price: int
    premium: bool
    gate: Gate
    cost: int
    slices: tuple[Slice, ...]
    share_rule: ShareRule
    currency: str
    algorithm_version: int
    requested_at: datetime
    request_expires_at: datetime
    placed_at: datetime


class _Fact(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", forbid_unknown_fields=True
):
    balance: Balance


class CreditsAwarded(_Fact, frozen=True, kw_only=True, tag="credits_awarded"):
    """A lot was given for free."""

    lot: Lot
    reason: str
    awarded_by: str


class CreditsPurchased(_Fact, frozen=True, kw_only=True, tag="credits_purchased"):
    """A lot was paid for: through Stripe, by `payment_id` and `checkout_id`, or by an invoice.

    With `bonus_credits` a lot of so many, its bonus, is given by the next fact.
    """

    lot: Lot
    recorded_by: str
    bonus_credits: int = 0
    payment_id: str | None = None
    checkout_id: str | None = None


class HoldPlaced(_Fact, frozen=True, kw_only=True, tag="hold_placed"):
    """Slices were set aside for one build."""

    hold: Hold


class HoldRefused(_Fact, frozen=True, kw_only=True, tag="hold_refused"):
    """A hold was asked for that the wallet cannot bear, or too late; nothing was set aside."""

    hold_id: str
    deployment_id: str
    build_id: str
    code: HoldRefusalCode
    required: int
    available: int
    premium: bool
    request_expires_at: datetime


class HoldSettled(_Fact, frozen=True, kw_only=True, tag="hold_settled"):
    """The slices of a hold were spent."""

    hold: Hold


class HoldReleased(_Fact, frozen=True, kw_only=True, tag="hold_released"):
    """The slices of a hold were given back to their lots.

    `voided` are those of them that a refund had doomed: they end instead.
    """

    hold: Hold
    reason: ReleaseReason
    voided: tuple[Slice, ...] = ()


class CreditsExpired(_Fact, frozen=True, kw_only=True, tag="credits_expired"):
    """The free ranges of a lot that was due ended."""

    lot_id: str
    slices: tuple[Slice, ...]


class CreditsAdjusted(_Fact, frozen=True, kw_only=True, tag="credits_adjusted"):
    """An administrator took available credits away."""

    slices: tuple[Slice, ...]
    algorithm_version: int
    reason: str
    adjusted_by: str


class SettlementRefunded(_Fact, frozen=True, kw_only=True, tag="settlement_refunded"):
    """Credits of a settlement were given back to its user, from the settlement's end.

    `slices` come back to their lots. `debt_cancelled` are parts that had been reversed and not
    paid again: their debt goes and nothing comes back. Together they are `credits`, while
    `refunded_total` counts all refunds of the settlement, this one included. `reopened` are the
    terms of the lots that nothing was left of before.
    """

    refund_id: str
    hold: Hold
    slices: tuple[Slice, ...]
    debt_cancelled: tuple[Slice, ...]
    credits: int
    refunded_total: int
    reopened: tuple[LotTerms, ...]
    reason: str
    refunded_by: str


class PurchaseRefunded(_Fact, frozen=True, kw_only=True, tag="purchase_refunded"):
    """Money of a purchase was given back, and its credits, and its bonus's, are void in proportion.

    `slices` were free and are void now. `held` stay held: settled they become debt, released they
    end. `ended` had expired or been taken away before; they only count as void. What had been
    spent is reversed by `settlement_reversed` facts, which follow at once. Amounts are in minor
    units; `refunded_total_minor` includes this one. After a lost dispute `refund_id` is its id.
    """

    refund_id: str
    lot_id: str
    amount_minor: int
    refunded_total_minor: int
    currency: str
    slices: tuple[Slice, ...]
    held: tuple[Slice, ...]
    ended: tuple[Slice, ...]
    payment_id: str | None
    reason: str
    refunded_by: str


class SettlementReversed(_Fact, frozen=True, kw_only=True, tag="settlement_reversed"):
    """Spent credits of a settlement were void: they are no longer paid for, and became debt.

    `slices` are of the refunded purchase and its bonus. `cause` is the refund or the lost dispute.
    `refunded_total` are the settlement's credits that had been given back to its user before.
    """

    hold: Hold
    slices: tuple[Slice, ...]
    cause: str
    refunded_total: int


class DebtRepaid(_Fact, frozen=True, kw_only=True, tag="debt_repaid"):
    """Slices of a new purchase took the place of reversed ones in a settlement.

    `reversed` and `slices` are as many credits, and take each other's place in order. `cause` is
    that of the reversal.
    """

    hold: Hold
    reversed: tuple[Slice, ...]
    slices: tuple[Slice, ...]
    cause: str


class DisputeOpened(_Fact, frozen=True, kw_only=True, tag="dispute_opened"):
    """A purchase is disputed: what its lot and its bonus have free, `slices`, is frozen.

    What comes back to them while the dispute is open is frozen as well, and the revenue of the
    lot is not payable.
    """

    dispute_id: str
    lot_id: str
    bonus_lot_id: str | None
    amount_minor: int
    currency: str
    slices: tuple[Slice, ...]
    payment_id: str | None
    reason: str


class DisputeClosed(_Fact, frozen=True, kw_only=True, tag="dispute_closed"):
    """A dispute was decided, and what was frozen, `slices`, is free again.

    Where it was lost, a `purchase_refunded` with the dispute's id came first, and `slices` are
    what it left. They are none while another dispute of the purchase is open.
    """

    dispute_id: str
    lot_id: str
    bonus_lot_id: str | None
    outcome: DisputeOutcome
    slices: tuple[Slice, ...]


Reversal = (
    SettlementRefunded
    | PurchaseRefunded
    | SettlementReversed
    | DebtRepaid
    | DisputeOpened
    | DisputeClosed
)
"""What takes back what was spent or paid, and what follows from it."""

Fact = (
    CreditsAwarded
    | CreditsPurchased
    | HoldPlaced
    | HoldRefused
    | HoldSettled
    | HoldReleased
    | CreditsExpired
    | CreditsAdjusted
    | Reversal
)
