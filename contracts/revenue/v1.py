"""What revenue says, version 1: who earned what."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts import events
from contracts.envelope import StreamName
from contracts.types import (
    Amount,
    BasisPoints,
    Count,
    Digest,
    Id,
    Instant,
    LotKind,
    MinorUnits,
    Money,
    Name,
    Ordinal,
    Period,
    PositiveAmount,
    Reason,
    ShortText,
    SignedMinorUnits,
    Value,
    WholeNumber,
)
from contracts.webhook_rules import WebhookEvents

StatementId = Annotated[str, Field(max_length=72, pattern=r"^[0-9]{4}-[0-9]{2}-[A-Za-z0-9._:-]+$")]
"""A month and a payee: `2026-11-<payee id>`."""

Remainder = Annotated[int, Field(ge=0, le=9_999)]
"""Ten-thousandths of a minor unit, less than a whole one."""


class LedgerEntry(Value):
    """Where the ledger says what brought a line about: the message, its stream and its place."""

    message_id: Id
    stream: StreamName
    sequence: Ordinal


class ValuedSlice(Value):
    """Credits `start` up to but not including `end` of a lot, and what they count for in the line.

    A purchased slice is worth floor(price x end / credits) - floor(price x start / credits), an
    awarded one nothing.
    """

    lot_id: Id
    lot_kind: LotKind
    lot_credits: PositiveAmount
    lot_price_minor: MinorUnits
    start: Amount
    end: PositiveAmount
    revenue_minor: SignedMinorUnits


class RevenueLine(events.Event):
    """The base of a deployment's lines of revenue, counted from 1 by `line`.

    All sums are of the lines of a deployment: of `credit_cost` what it cost its user, of
    `purchased_credits` what of that is paid for, of `true_revenue` what that is worth. The shares
    recorded with the hold are repeated, so that a line can be read alone. `recognized_at` is the
    instant of the ledger's fact, and so the line's month.
    """

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "revenue"

    deployment_id: Id
    line: Ordinal
    hold_id: Id
    user_id: Id
    module_id: Id
    module_name: ShortText
    module_version: Ordinal
    partner_id: Id | None
    agent_id: Id | None
    project: ShortText | None
    credit_cost: WholeNumber
    awarded_credits: WholeNumber
    purchased_credits: WholeNumber
    true_revenue: Money
    slices: tuple[ValuedSlice, ...]
    settings_version: Count
    partner_basis_points: BasisPoints
    agent_basis_points: BasisPoints
    ledger_entry: LedgerEntry
    requested_at: Instant
    recognized_at: Instant


class RevenueRecognized(RevenueLine):
    """True revenue was recognised: a hold was settled, or a settlement's debt was paid again.

    What is paid again costs nothing more: its `credit_cost` is 0.
    """

    fact: ClassVar[str] = "revenue_recognized"

    earning: Literal["settled", "repaid"]


class RevenueReversed(RevenueLine):
    """Slices of line `reverses` earn nothing any more: a line with negative amounts.

    Either they came back to the user (`settlement_refunded`), or they are no longer paid for and
    owed (`settlement_reversed`: `credit_cost` is 0). `cause` is the refund or the lost dispute.
    `purchased_left` counts the credits that line `reverses` still earns from.
    """

    fact: ClassVar[str] = "revenue_reversed"

    reverses: Ordinal
    reversing: Literal["settlement_refunded", "settlement_reversed"]
    cause: Id
    purchased_left: Amount


class PayeeLine(events.Event):
    """The base of a payee's lines; the message's `sequence` is the payee's own, without a gap.

    `share` is the floor of the payee's cumulative entitlement less what was accrued before, and
    `running_total` all that was accrued, this line included. The remainders are what of the
    entitlements was too little for a whole minor unit, in ten-thousandths of one.
    """

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "payee"

    payee_id: Id
    payee_role: Literal["partner", "agent"]
    deployment_id: Id
    line: Ordinal
    hold_id: Id
    module_id: Id
    recognized_at: Instant
    true_revenue: Money
    share_basis_points: BasisPoints
    share: Money
    running_total: Money
    remainder_before: Remainder
    remainder_after: Remainder


class ShareAccrued(PayeeLine):
    """A payee earned a share of one line's true revenue."""

    fact: ClassVar[str] = "share_accrued"


class ShareReversed(PayeeLine):
    """A payee gives back a share of what the deployment's line `reverses` had earned.

    The amounts are negative or 0, and so may the running total become.
    """

    fact: ClassVar[str] = "share_reversed"

    reverses: Ordinal


class StatementClosed(events.Event):
    """A payee's statement of a month is sealed, in the stream `statement-<period>-<payee id>`.

    `opening` is what the statement before carried forward, `accrued` the month's shares, `reversed`
    what of the same month was taken back, `adjustments` what was taken back of earlier months;
    `balance` is their sum. What is `disputed` is held back: `payable` is the rest, or 0 where that
    is negative, and `carried_forward` what is not payable. `lines_digest` is the SHA-256 of
    `<sequence> <hash of the fact>` and a line feed for each of the month's `lines`; they stand in
    the payee's stream from `first_sequence` to `last_sequence`, both 0 where there are none.
    """

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "statement"
    fact: ClassVar[str] = "statement_closed"

    statement_id: StatementId
    payee_id: Id
    period: Period
    since: Instant
    until: Instant
    opening: Money
    accrued: Money
    reversed: Money
    adjustments: Money
    balance: Money
    disputed: Money
    payable: Money
    carried_forward: Money
    lines: Count
    first_sequence: Count
    last_sequence: Count
    lines_digest: Digest
    closed_by: Id
    closed_at: Instant


class PeriodClosed(events.Event):
    """A month is closed: so many statements are sealed, and what the ledger attested was applied.

    All of revenue's stored facts, `verified_facts`, were verified before.
    """

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "month"
    fact: ClassVar[str] = "period_closed"

    period: Period
    statements: Count
    payable_minor: MinorUnits
    recognized_minor: MinorUnits
    reversed_minor: MinorUnits
    verified_facts: Count
    closed_by: Id
    closed_at: Instant


class WebhookFact(events.Event):
    """The base of what happens to an endpoint, in the stream `webhook-<owner id>` of its owner."""

    service: ClassVar[str] = "revenue"
    kind: ClassVar[str] = "webhook"

    webhook_id: Id
    owner_id: Id


class WebhookEndpoint(WebhookFact):
    """The base of what tells an endpoint whole."""

    url: ShortText
    event_types: WebhookEvents
    description: ShortText | None


class WebhookRegistered(WebhookEndpoint):
    """A payee is told, from now on and at an address, of what they earn."""

    fact: ClassVar[str] = "webhook_registered"

    registered_at: Instant


class WebhookChanged(WebhookEndpoint):
    """An endpoint is now this."""

    fact: ClassVar[str] = "webhook_changed"

    enabled: bool
    changed_at: Instant


class WebhookSecretRotated(WebhookFact):
    """An endpoint has a new secret; the one before signs along until `both_until`."""

    fact: ClassVar[str] = "webhook_secret_rotated"

    both_until: Instant


class WebhookRemoved(WebhookFact):
    """There is no such endpoint any more, and what waited for it is gone."""

    fact: ClassVar[str] = "webhook_removed"


class WebhookEndpointDisabled(WebhookFact):
    """Nothing is sent to an endpoint until its owner enables it again; what is due waits.

    It said that it is `gone` (410), or was `failing` for days, since `failing_since`; or its owner
    is no partner or agent any more (`role_lost`), or was `deactivated`.
    """

    fact: ClassVar[str] = "webhook_endpoint_disabled"

    reason: Literal["gone", "failing", "role_lost", "deactivated"]
    failing_since: Instant | None
    disabled_at: Instant


class WebhookDeliveryQueued(WebhookFact):
    """What the owner asked for will be sent: a test, one delivery again, or all `since` then."""

    fact: ClassVar[str] = "webhook_delivery_queued"

    queued: Literal["test", "again", "since"]
    delivery_id: Id | None
    since: Instant | None


class WebhookAttempt(WebhookFact):
    """The base of attempts to deliver something, counted from 1 by `attempt`.

    `event_sequence` is the payee's, of a line of theirs. `answer_status` is the HTTP status, where
    there was one.
    """

    delivery_id: Id
    event_type: Name
    event_sequence: Ordinal | None
    attempt: Ordinal
    answer_status: Annotated[int, Field(ge=100, le=999)] | None
    duration_ms: Count
    queued_at: Instant
    attempted_at: Instant


class WebhookDelivered(WebhookAttempt):
    """An endpoint has taken a delivery."""

    fact: ClassVar[str] = "webhook_delivered"


class WebhookAttemptFailed(WebhookAttempt):
    """An endpoint has not taken a delivery; without a `next_attempt_at` it was the last attempt.

    `error` is one of our own words for what went wrong, and nothing of what the endpoint said.
    """

    fact: ClassVar[str] = "webhook_attempt_failed"

    error: Reason
    next_attempt_at: Instant | None


class RequestRefused(events.RequestRefused):
    """Revenue does not carry out a request."""

    service: ClassVar[str] = "revenue"
