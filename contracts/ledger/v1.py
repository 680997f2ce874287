"""What the ledger says, version 1: every movement of credits, in the wallet's own stream.

Every message carries the wallet's balance after it, so that whoever has applied it knows the
balance without adding up; and a hold's messages carry the whole record of the hold, so that
revenue follows from the ledger's messages alone.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from contracts import events
from contracts.ledger import values
from contracts.types import (
    Amount,
    Count,
    Credits,
    Currency,
    Digest,
    ForeignId,
    GrantKind,
    Id,
    Instant,
    LongText,
    MinorUnits,
    Name,
    Ordinal,
    Period,
    PositiveAmount,
    ShortText,
    WholeNumber,
)

FACT_KINDS_MAX: Final = 100

HoldRefusalCode = Literal[
    "INSUFFICIENT_TOTAL_CREDITS", "INSUFFICIENT_PURCHASED_CREDITS", "HOLD_REQUEST_EXPIRED"
]


Balance = values.Balance
Lot = values.Lot
LotTerms = values.LotTerms
Slice = values.Slice
ShareRule = values.ShareRule
Hold = values.Hold
Misfit = values.Misfit


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
    award_kind: GrantKind
    reason: ShortText
    awarded_by: Id


class CreditsPurchased(WalletEvent):
    """Credits were paid for; `recorded_by` is who recorded an invoice, or `stripe`.

    With `bonus_credits` a lot of so many, its bonus, is given by the next message.
    `payment_id` is Stripe's payment and `checkout_id` our checkout; an invoice has neither.
    """

    fact: ClassVar[str] = "credits_purchased"

    lot: Lot
    recorded_by: Id
    bonus_credits: Amount = Credits(0)
    payment_id: Id | None = None
    checkout_id: Id | None = None


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
    premium: bool
    request_expires_at: Instant


class HoldSettled(WalletEvent):
    """The held slices were spent: the build succeeded."""

    fact: ClassVar[str] = "hold_settled"

    hold: Hold
    settled_at: Instant


class HoldReleased(WalletEvent):
    """The held slices were given back. What is past its expiry ends by its own event, next.

    `voided` are the slices that a refund of their purchase had doomed: they end instead.
    """

    fact: ClassVar[str] = "hold_released"

    hold: Hold
    reason: Literal["FAILED", "CANCELLED", "TIMED_OUT", "REFUSED"]
    voided: tuple[Slice, ...] = ()


class CreditsExpired(WalletEvent):
    """The free ranges of a lot that was due, or came back after it was due, ended."""

    fact: ClassVar[str] = "credits_expired"

    lot_id: Id
    slices: tuple[Slice, ...]


class CreditsAdjusted(WalletEvent):
    """An administrator took credits away, with a reason."""

    fact: ClassVar[str] = "credits_adjusted"

    slices: tuple[Slice, ...]
    algorithm_version: Ordinal
    reason: ShortText
    adjusted_by: Id


class SettlementRefunded(WalletEvent):
    """Credits of a settlement were given back, from the settlement's end.

    `slices` came back to their lots; what is past its expiry ends by its own event, next.
    `debt_cancelled` are parts that had been reversed and not paid again: their debt is gone.
    Together they are `credits`; `refunded_total` counts all refunds of the settlement so far.
    `reopened` are the terms of the lots that nothing was left of before.
    """

    fact: ClassVar[str] = "settlement_refunded"

    refund_id: Id
    hold: Hold
    slices: tuple[Slice, ...]
    debt_cancelled: tuple[Slice, ...]
    credits: PositiveAmount
    refunded_total: PositiveAmount
    reopened: tuple[LotTerms, ...] = ()
    reason: ShortText
    refunded_by: Id
    refunded_at: Instant


class PurchaseRefunded(WalletEvent):
    """Money of a purchase was given back; its credits, and its bonus's, are void in proportion.

    `slices` were free and are void now. `held` stay held: settled they are reversed, released
    they end. `ended` had expired or been taken away before and only count as void. What had been
    spent is reversed by `settlement_reversed`, next. A lost dispute refunds with its own id.
    """

    fact: ClassVar[str] = "purchase_refunded"

    refund_id: Id
    lot_id: Id
    amount_minor: MinorUnits
    refunded_total_minor: MinorUnits
    currency: Currency
    slices: tuple[Slice, ...]
    held: tuple[Slice, ...]
    ended: tuple[Slice, ...]
    payment_id: Id | None
    reason: ShortText
    refunded_by: Id


class SettlementReversed(WalletEvent):
    """Spent slices of a settlement are no longer paid for: they earned nothing, and are debt.

    `cause` is the refund or the lost dispute, and `refunded_total` counts the settlement's credits
    that had been given back to its user before. One for each settlement that either touches, and
    right after `hold_settled` where held slices had been doomed.
    """

    fact: ClassVar[str] = "settlement_reversed"

    hold: Hold
    slices: tuple[Slice, ...]
    cause: Id
    refunded_total: Amount
    reversed_at: Instant


class DebtRepaid(WalletEvent):
    """Slices of a new purchase took the place of reversed ones, and earn their revenue now.

    `reversed` and `slices` are as many credits and replace each other in order.
    """

    fact: ClassVar[str] = "debt_repaid"

    hold: Hold
    reversed: tuple[Slice, ...]
    slices: tuple[Slice, ...]
    cause: Id
    repaid_at: Instant


class DisputeOpened(WalletEvent):
    """A purchase is disputed: what is free of it and its bonus is frozen.

    What comes back to them meanwhile is frozen as well, and the lot's revenue is not payable.
    """

    fact: ClassVar[str] = "dispute_opened"

    dispute_id: Id
    lot_id: Id
    bonus_lot_id: Id | None
    amount_minor: MinorUnits
    currency: Currency
    slices: tuple[Slice, ...]
    payment_id: Id | None
    reason: ShortText


class DisputeClosed(WalletEvent):
    """A dispute was decided; `slices`, what was frozen still, are free again.

    Where it was lost, `purchase_refunded` with the dispute's id came first. Where it was won, the
    lot's revenue is payable as before.
    """

    fact: ClassVar[str] = "dispute_closed"

    dispute_id: Id
    lot_id: Id
    bonus_lot_id: Id | None
    outcome: Literal["WON", "LOST"]
    slices: tuple[Slice, ...]


class PeriodAttested(events.Event):
    """A month is over: this is what happened in it, and nothing can happen in it any more.

    `facts` and `facts_by_kind` count the ledger's facts with `since` <= `at` < `until`, of every
    kind of stream. `recognized_minor` is the true revenue of what was settled and of debt that was
    repaid in the month, `reversed_minor` of what was refunded or reversed in it. `head` stands for
    all `ledger_facts` in `ledger_streams` before `until`; all of them, and what was sealed, were
    verified (`verified_facts`) before this was said.
    """

    service: ClassVar[str] = "ledger"
    kind: ClassVar[str] = "period"
    fact: ClassVar[str] = "period_attested"

    period: Period
    since: Instant
    until: Instant
    facts: Count
    facts_by_kind: Annotated[dict[Id, Count], Field(max_length=FACT_KINDS_MAX)]
    recognized_minor: MinorUnits
    reversed_minor: MinorUnits
    ledger_facts: Count
    ledger_streams: Count
    head: Digest
    verified_facts: Count
    attested_at: Instant


class CheckoutEvent(events.Event):
    """The base of what happens to a checkout, in the stream `checkout-<id>`.

    A checkout is an attempt to buy credits through Stripe. What it brings into the wallet is
    `credits_purchased`, in the wallet's own stream.
    """

    service: ClassVar[str] = "ledger"
    kind: ClassVar[str] = "checkout"

    checkout_id: Id
    user_id: Id


class CheckoutOpened(CheckoutEvent):
    """Stripe has a session for it: at `url` the user can pay until it expires."""

    fact: ClassVar[str] = "checkout_opened"

    credits: PositiveAmount
    bonus: Amount
    price_minor: MinorUnits
    currency: Currency
    session_id: ForeignId
    url: LongText
    session_expires_at: Instant


class CheckoutPaid(CheckoutEvent):
    """It was paid, and its credits were booked before this."""

    fact: ClassVar[str] = "checkout_paid"

    payment_id: Id


class CheckoutExpired(CheckoutEvent):
    """Nobody paid it in time."""

    fact: ClassVar[str] = "checkout_expired"


class CheckoutFailed(CheckoutEvent):
    """It came to nothing: Stripe opened no session, or the payment did not arrive in the end."""

    fact: ClassVar[str] = "checkout_failed"

    code: Name
    detail: ShortText


class LedgerVerified(events.Event):
    """The whole ledger was checked because somebody asked; it fits where there is no `first_bad`.

    `head` stands for all `events` there are; `sealed` of them are in `segments` segments.
    """

    service: ClassVar[str] = "ledger"
    kind: ClassVar[str] = "verification"
    fact: ClassVar[str] = "ledger_verified"

    request_id: Id
    events: Count
    head: Digest
    segments: Count
    sealed: Count
    ok: bool
    first_bad: Misfit | None
    verified_at: Instant


class RequestRefused(events.RequestRefused):
    """The ledger does not carry out a request."""

    service: ClassVar[str] = "ledger"
