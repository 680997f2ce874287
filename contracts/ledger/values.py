"""What the ledger's messages of version 1 are made of; it never changes once they are released."""

from contracts.credit_rules import Gate
from contracts.types import (
    Amount,
    BasisPoints,
    Count,
    Credits,
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


class Balance(Value):
    """A wallet's credits: what it owns, awarded and purchased, and what of each is held or frozen.

    Available is what is owned, less held, less frozen: the free credits of disputed purchases.
    `debt` counts spent credits that were reversed and not paid again; `purchased` is net of it,
    and so may be negative, after a reversal only.
    """

    awarded: WholeNumber
    purchased: WholeNumber
    awarded_held: Amount
    purchased_held: Amount
    awarded_frozen: Amount = Credits(0)
    purchased_frozen: Amount = Credits(0)
    debt: Amount = Credits(0)


class Lot(Value):
    """Credits that entered a wallet at once, as its `position`th lot, counted from 0.

    `price_minor` is what was paid for all of them, net of tax; 0 for awards. `source` says where
    they come from: a Stripe id, an invoice's reference, or the request that awarded them.
    `bonus_of` is the purchase whose bonus they are, and whose fate they share.
    """

    lot_id: Id
    position: Count
    kind: LotKind
    credits: PositiveAmount
    price_minor: MinorUnits
    currency: Currency
    source: ShortText
    granted_at: Instant
    expires_at: Instant | None
    bonus_of: Id | None = None


class LotTerms(Value):
    """What its slices do not say of a lot, so that one that has left the wallet can return."""

    lot_id: Id
    position: Count
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
    """All that a later figure depends on, as it was when the hold was placed.

    `gate` is the rule that it went through, and `cost` what that made of `list_price`.
    """

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
    gate: Gate
    slices: tuple[Slice, ...]
    share_rule: ShareRule
    currency: Currency
    algorithm_version: Ordinal
    requested_at: Instant
    request_expires_at: Instant
    placed_at: Instant

    @property
    def awarded_credits(self) -> int:
        """Return how many of the held credits were awarded."""
        return sum(s.end - s.start for s in self.slices if s.lot_kind != "purchase")

    @property
    def purchased_credits(self) -> int:
        """Return how many of the held credits were purchased."""
        return sum(s.end - s.start for s in self.slices if s.lot_kind == "purchase")


class Misfit(Value):
    """The first thing in the ledger that does not fit, and how it does not.

    `place` is `facts`, another table, or the name of a segment's or manifest's file. Where no
    single fact is to blame there is no stream and no version.
    """

    place: ShortText
    stream: ShortText | None
    version: WholeNumber | None
    problem: ShortText
