"""What the ledger says, version 1: every movement of credits, in the wallet's own stream.

Every message carries the wallet's balance after it, so that whoever has applied it knows the
balance without adding up; and a hold's messages carry the whole record of the hold, so that
revenue follows from the ledger's messages alone.
"""

from typing import ClassVar, Literal

from contracts import events
from contracts.types import (
    Amount,
    AwardKind,
    BasisPoints,
    Count,
    Currency,
    Id,
    Instant,
    LotKind,
    MinorUnits,
    Ordinal,
    PositiveAmount,
    ShortText,
    Value,
    WholeNumber,
)

HoldRefusalCode = Literal[
    "INSUFFICIENT_TOTAL_CREDITS", "INSUFFICIENT_PURCHASED_CREDITS", "HOLD_REQUEST_EXPIRED"
]


class Balance(Value):
    """A wallet's credits: what it owns, awarded and purchased, and what of each is held.

    Available is the one less the other. Either may be negative after a reversal only.
    """

    awarded: WholeNumber
    purchased: WholeNumber
    awarded_held: Amount
    purchased_held: Amount


class Lot(Value):
    """Credits that entered a wallet at once.

    `price_minor` is what was paid for all of them, net of tax; 0 for awards. `source` says where
    they come from: a Stripe id, an invoice's reference, or the request that awarded them.
    """

    lot_id: Id
    kind: LotKind
    credits: PositiveAmount
    price_minor: MinorUnits
    currency: Currency
    source: ShortText
    granted_at: Instant
    expires_at: Instant | None


class Slice(Value):
    """Credits `start` up to but not including `end` of a lot, with what it takes to value them."""

    lot_id: Id
    lot_kind: LotKind
    lot_credits: PositiveAmount
    lot_price_minor: MinorUnits
    start: Amount
    end: PositiveAmount


class ShareRule(Value):
    """The shares in force when a hold was placed, and the version of the settings they are from."""

    settings_version: Count
    partner_basis_points: BasisPoints
    agent_basis_points: BasisPoints


class Hold(Value):
    """All that a later figure depends on, as it was when the hold was placed."""

    hold_id: Id
    deployment_id: Id
    build_id: Id
    user_id: Id
    module_id: Id
    module_name: ShortText
    module_version: Ordinal
    partner_id: Id | None
    agent_id: Id | None
    project: ShortText | None
    list_price: Amount
    cost: Amount
    premium: bool
    slices: tuple[Slice, ...]
    share_rule: ShareRule
    currency: Currency
    algorithm_version: Ordinal
    requested_at: Instant
    placed_at: Instant

    @property
    def awarded_credits(self) -> int:
        """Return how many of the held credits were awarded."""
        return sum(s.end - s.start for s in self.slices if s.lot_kind != "purchase")

    @property
    def purchased_credits(self) -> int:
        """Return how many of the held credits were purchased."""
        return sum(s.end - s.start for s in self.slices if s.lot_kind == "purchase")


class WalletEvent(events.Event):
    """The base of what happens to a wallet."""

    service: ClassVar[str] = "ledger"
    kind: ClassVar[str] = "wallet"

    user_id: Id
    balance: Balance


class CreditsAwarded(WalletEvent):
    """Credits were given for free."""

    fact: ClassVar[str] = "credits_awarded"

    lot: Lot
    award_kind: AwardKind
    reason: ShortText
    awarded_by: Id


class CreditsPurchased(WalletEvent):
    """Credits were paid for; `recorded_by` is who recorded an invoice, or `stripe`."""

    fact: ClassVar[str] = "credits_purchased"

    lot: Lot
    recorded_by: Id


class HoldPlaced(WalletEvent):
    """Exact slices of lots were set aside for one build."""

    fact: ClassVar[str] = "hold_placed"

    hold: Hold


class HoldRefused(WalletEvent):
    """A hold was asked for that the wallet cannot bear."""

    fact: ClassVar[str] = "hold_refused"

    hold_id: Id
    deployment_id: Id
    build_id: Id
    code: HoldRefusalCode
    required: Amount
    available: WholeNumber


class HoldSettled(WalletEvent):
    """The held slices were spent: the build succeeded."""

    fact: ClassVar[str] = "hold_settled"

    hold: Hold
    settled_at: Instant


class HoldReleased(WalletEvent):
    """The held slices were given back. What is past its expiry ends by its own event, next."""

    fact: ClassVar[str] = "hold_released"

    hold: Hold
    reason: Literal["FAILED", "CANCELLED", "TIMED_OUT", "REFUSED"]


class CreditsExpired(WalletEvent):
    """The free ranges of a lot that was due, or came back after it was due, ended."""

    fact: ClassVar[str] = "credits_expired"

    lot_id: Id
    slices: tuple[Slice, ...]


class CreditsAdjusted(WalletEvent):
    """An administrator took credits away, with a reason."""

    fact: ClassVar[str] = "credits_adjusted"

    slices: tuple[Slice, ...]
    reason: ShortText
    adjusted_by: Id


class RequestRefused(events.RequestRefused):
    """The ledger does not carry out a request."""

    service: ClassVar[str] = "ledger"
