"""What a wallet can be told to do, as plain values; ids and times come in with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.ledger.events import AwardKind, DisputeOutcome, ReleaseReason
from services.ledger.knowledge import DeploymentHolds, KnownHold, Settings
from services.ledger.spending import Spending


@dataclass(frozen=True, kw_only=True, slots=True)
class AwardCredits:
    """Give a lot for free; `lot_id` makes it the same award however often it is told."""

    user_id: str
    lot_id: str
    kind: AwardKind
    credits: int
    currency: str
    source: str
    reason: str
    awarded_by: str
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordPurchase:
    """Book a lot that was paid for, and its bonus: `lot_id` makes it the same one ever after.

    `price_minor` is in minor units, net of tax. `platform_currency` is the one that prices must
    be in; the handler fills it in, as it does `booked`: whether there ever was such a lot, which
    a wallet forgets when nothing is left of it.
    """

    user_id: str
    lot_id: str
    credits: int
    price_minor: int
    currency: str
    source: str
    recorded_by: str
    bonus_credits: int = 0
    payment_id: str | None = None
    checkout_id: str | None = None
    platform_currency: str | None = None
    booked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceHold:
    """Set credits aside for one CREATE build, by the settings and the referrer known now."""

    user_id: str
    hold_id: str
    deployment_id: str
    build_id: str
    module_id: str
    module_name: str
    module_version: int
    partner_id: str | None
    agent_id: str | None
    project: str | None
    list_price: int
    premium: bool
    requested_at: datetime
    expires_at: datetime
    settings: Settings
    deployment: DeploymentHolds


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleHold:
    """Spend what a hold has set aside: its build succeeded."""

    hold_id: str
    deployment: DeploymentHolds


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseHold:
    """Give back what a hold has set aside: its build did not succeed."""

    hold_id: str
    reason: ReleaseReason
    deployment: DeploymentHolds


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpireDueLots:
    """End what is free of the lots that are due."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdjustCredits:
    """Take available credits away; `credits` is how many."""

    user_id: str
    credits: int
    reason: str
    adjusted_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundSettlement:
    """Give credits of a settled deployment back, or all that are left of it; once by its id."""

    user_id: str
    refund_id: str
    credits: int | None
    reason: str
    refunded_by: str
    deployment: DeploymentHolds


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundPurchase:
    """Void credits of a purchase because so much of its price was given back; once by its id.

    `amount_minor` is this refund alone, net of tax. `spending` says who spent the lot, as
    `spenders.read` found it, or None where there is no such purchase; `settled` are the holds
    that spent it, by id, as they are known now: the handler fills them in.
    """

    user_id: str
    lot_id: str
    refund_id: str
    amount_minor: int
    currency: str
    reason: str
    refunded_by: str
    spending: Spending | None
    settled: Mapping[str, KnownHold] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenDispute:
    """Freeze what is free of a disputed purchase and its bonus; once by the dispute's id."""

    user_id: str
    lot_id: str
    dispute_id: str
    amount_minor: int
    currency: str
    reason: str
    spending: Spending | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseDispute:
    """Thaw the purchase whose dispute was won; refund the disputed amount of one that was lost.

    `spending` and `settled` are as for `RefundPurchase`.
    """

    user_id: str
    lot_id: str
    dispute_id: str
    outcome: DisputeOutcome
    reason: str
    closed_by: str
    spending: Spending | None
    settled: Mapping[str, KnownHold] = field(default_factory=dict)


WalletCommand = (
    AwardCredits
    | RecordPurchase
    | PlaceHold
    | SettleHold
    | ReleaseHold
    | ExpireDueLots
    | AdjustCredits
    | RefundSettlement
    | RefundPurchase
    | OpenDispute
    | CloseDispute
)
