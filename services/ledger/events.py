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
HoldRefusalCode = Literal[Shortage, "HOLD_REQUEST_EXPIRED"]
ReleaseReason = Literal["FAILED", "CANCELLED", "TIMED_OUT", "REFUSED"]


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The credits a wallet owns, and what of them is held; available is the difference."""

    awarded: int = 0
    purchased: int = 0
    awarded_held: int = 0
    purchased_held: int = 0

    @property
    def available_awarded(self) -> int:
        """Return the awarded credits that are free to spend."""
        return self.awarded - self.awarded_held

    @property
    def available_purchased(self) -> int:
        """Return the purchased credits that are free to spend."""
        return self.purchased - self.purchased_held


class Lot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits that entered at once, the wallet's `position`th lot, counted from 0.

    `price_minor` was paid for all of them, net of tax; it is 0 for awards.
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
    """A lot was paid for."""

    lot: Lot
    recorded_by: str


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
    """The slices of a hold were given back to their lots."""

    hold: Hold
    reason: ReleaseReason


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


Fact = (
    CreditsAwarded
    | CreditsPurchased
    | HoldPlaced
    | HoldRefused
    | HoldSettled
    | HoldReleased
    | CreditsExpired
    | CreditsAdjusted
)
