"""What a wallet can be told to do, as plain values; ids and times come in with them."""

from dataclasses import dataclass
from datetime import datetime

from services.ledger.events import AwardKind, ReleaseReason
from services.ledger.knowledge import DeploymentHolds, Settings


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
    """Book a lot that was paid for; `platform_currency` is the one that prices must be in."""

    user_id: str
    lot_id: str
    credits: int
    price_minor: int
    currency: str
    platform_currency: str
    source: str
    recorded_by: str


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


WalletCommand = (
    AwardCredits
    | RecordPurchase
    | PlaceHold
    | SettleHold
    | ReleaseHold
    | ExpireDueLots
    | AdjustCredits
)
