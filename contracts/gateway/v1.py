"""What the gateway says, version 1: who people are, what is set, and what is asked for.

No name and no e-mail address is ever in a message: the gateway keeps them and joins them in.
A request is a stream of its own, `request-<id>`; it expires, and is idempotent by its id.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts import events
from contracts.types import (
    Amount,
    AwardKind,
    BasisPoints,
    Ciphertext,
    Currency,
    ForeignId,
    Id,
    Instant,
    MinorUnits,
    Name,
    Ordinal,
    Period,
    PositiveAmount,
    Reason,
    Role,
    ShortText,
    Stars,
    Value,
)
from contracts.webhook_rules import WebhookEvents


class UserEvent(events.Event):
    """The base of what happens to a user, in the stream `user-<id>`."""

    service: ClassVar[str] = "gateway"
    kind: ClassVar[str] = "user"

    user_id: Id


class UserRegistered(UserEvent):
    """A user came to be; `referred_by` is the agent whose code they used."""

    fact: ClassVar[str] = "user_registered"

    roles: tuple[Role, ...]
    referred_by: Id | None
    registered_at: Instant


class UserRolesChanged(UserEvent):
    """A user's roles are now these."""

    fact: ClassVar[str] = "user_roles_changed"

    roles: tuple[Role, ...]
    changed_by: Id


class UserReferrerChanged(UserEvent):
    """A user's referrer is now this agent, or nobody."""

    fact: ClassVar[str] = "user_referrer_changed"

    referred_by: Id | None
    changed_by: Id


class UserDeactivated(UserEvent):
    """A user may no longer sign in; their ledger and deployments stay."""

    fact: ClassVar[str] = "user_deactivated"

    changed_by: Id


class UserReactivated(UserEvent):
    """A user may sign in again."""

    fact: ClassVar[str] = "user_reactivated"

    changed_by: Id


class CreditBundle(Value):
    """An offer: so many credits, and so many free ones with them, for one price."""

    credits: PositiveAmount
    bonus: Amount
    price_minor: MinorUnits


class Shares(Value):
    """Shares of true revenue in force from an instant on."""

    effective_from: Instant
    partner_basis_points: BasisPoints
    agent_basis_points: BasisPoints


class SettingsChanged(events.Event):
    """The platform's settings are now these, whole; secrets are not among them.

    `shares` is the whole history of shares, by `effective_from`, the earliest first.
    """

    service: ClassVar[str] = "gateway"
    kind: ClassVar[str] = "settings"
    fact: ClassVar[str] = "settings_changed"

    settings_version: Ordinal
    credits_enabled: bool
    credits_per_unit: Ordinal
    credit_bundles: tuple[CreditBundle, ...]
    currency: Currency
    signup_award: Amount
    referral_award: Amount
    award_expiry_days: Annotated[int, Field(ge=1, le=36_500)] | None
    shares: tuple[Shares, ...]
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None
    project_costs_enabled: bool
    self_registration: bool
    platform_repository_url: ShortText | None
    platform_repository_branch: ShortText | None
    sync_interval_minutes: Annotated[int, Field(ge=5, le=10_080)] | None = None
    changed_by: Id
    changed_at: Instant


class Request(events.Event):
    """The base of what is asked for: by whom, and until when it is worth doing."""

    service: ClassVar[str] = "gateway"
    kind: ClassVar[str] = "request"

    request_id: Id
    requested_by: Id
    requested_at: Instant
    expires_at: Instant


class DeploymentRequested(Request):
    """A user wants a module deployed.

    `variables` is a JSON object, encrypted under a data key of this deployment's own;
    `sealed_data_key` is that key, sealed for the deployer. No `module_version` means the latest.
    """

    fact: ClassVar[str] = "deployment_requested"

    deployment_id: Id
    user_id: Id
    module_id: Id
    module_version: Ordinal | None
    project: ShortText | None
    variables: Ciphertext
    sealed_data_key: Ciphertext


class DeploymentCancelRequested(Request):
    """Somebody who may wants a deployment's running or waiting build cancelled."""

    fact: ClassVar[str] = "deployment_cancel_requested"

    deployment_id: Id


class DeploymentUpdateRequested(Request):
    """Somebody who may wants a deployment to have other variables, another version, or both.

    `variables` are encrypted under the deployment's data key. A sensitive one that is left out,
    or holds what stands in the place of its value in an answer, keeps its value, unless the version
    would show it.
    """

    fact: ClassVar[str] = "deployment_update_requested"

    deployment_id: Id
    module_id: Id
    module_version: Ordinal
    variables: Ciphertext


class DeploymentDestroyRequested(Request):
    """Somebody who may wants all that a deployment owns destroyed."""

    fact: ClassVar[str] = "deployment_destroy_requested"

    deployment_id: Id


class DeploymentRetryRequested(Request):
    """Somebody who may wants the build that ended last, and not well, tried again."""

    fact: ClassVar[str] = "deployment_retry_requested"

    deployment_id: Id
    module_id: Id


class SyncRequested(Request):
    """The platform's repository, or a partner's, should be read.

    `sealed_token` is the token for it, sealed for the catalogue.
    """

    fact: ClassVar[str] = "sync_requested"

    sync_id: Id
    scope: Literal["platform", "partner"]
    partner_id: Id | None
    repository_url: ShortText
    branch: ShortText | None
    sealed_token: Ciphertext | None


class RatingRequested(Request):
    """Somebody rates a deployment of theirs, which is one of this module."""

    fact: ClassVar[str] = "rating_requested"

    deployment_id: Id
    module_id: Id
    stars: Stars


class FeatureRequested(Request):
    """An admin wants a module put before others, or no longer."""

    fact: ClassVar[str] = "feature_requested"

    module_id: Id
    featured: bool


class AwardRequested(Request):
    """Credits should be given for free."""

    fact: ClassVar[str] = "award_requested"

    user_id: Id
    award_kind: AwardKind
    credits: PositiveAmount
    reason: Reason
    credits_expire_at: Instant | None


class AdjustmentRequested(Request):
    """Credits should be taken away; `credits` is how many, as a positive number."""

    fact: ClassVar[str] = "adjustment_requested"

    user_id: Id
    credits: PositiveAmount
    reason: Reason


class SettlementRefundRequested(Request):
    """Credits that a deployment cost should be given back to its owner, `user_id`.

    No `credits` means all that were not given back yet.
    """

    fact: ClassVar[str] = "settlement_refund_requested"

    deployment_id: Id
    user_id: Id
    credits: PositiveAmount | None
    reason: Reason


class LedgerVerificationRequested(Request):
    """Somebody wants every stored fact, segment and manifest of the ledger checked."""

    fact: ClassVar[str] = "ledger_verification_requested"


class PeriodCloseRequested(Request):
    """Finance wants a month closed, with a statement for each payee."""

    fact: ClassVar[str] = "period_close_requested"

    period: Period


class PurchaseRequested(Request):
    """A purchase that was invoiced outside Stripe should be recorded."""

    fact: ClassVar[str] = "purchase_requested"

    user_id: Id
    credits: PositiveAmount
    price_minor: MinorUnits
    currency: Currency
    reference: Name


class CheckoutRequested(Request):
    """A user wants to buy credits through Stripe, with so many free ones, for this price.

    The price is what the settings make of the credits, in minor units. The paths are where on our
    own site the browser comes back to, having paid or not.
    """

    fact: ClassVar[str] = "checkout_requested"

    checkout_id: Id
    user_id: Id
    credits: PositiveAmount
    bonus: Amount
    price_minor: MinorUnits
    currency: Currency
    success_path: ShortText
    cancel_path: ShortText


class CheckoutCheckRequested(Request):
    """Somebody waits for an open checkout: Stripe should be asked how it stands."""

    fact: ClassVar[str] = "checkout_check_requested"

    checkout_id: Id


class StripeEventReceived(Request):
    """Stripe says that something happened to an object of its own: a hint, and no more.

    Nothing of what it says of the object is here: whoever acts on it fetches the object itself.
    """

    fact: ClassVar[str] = "stripe_event_received"

    event_id: Id
    event_type: Name
    object_id: ForeignId
    object_type: Name


class WebhookRegistrationRequested(Request):
    """A payee wants to be told at an address of what they earn; the secret is for revenue."""

    fact: ClassVar[str] = "webhook_registration_requested"

    webhook_id: Id
    url: ShortText
    event_types: WebhookEvents
    description: ShortText | None
    sealed_secret: Ciphertext


class WebhookChangeRequested(Request):
    """The owner wants an endpoint to be another; what is None stays, an empty text goes."""

    fact: ClassVar[str] = "webhook_change_requested"

    webhook_id: Id
    url: ShortText | None
    event_types: WebhookEvents | None
    description: ShortText | None
    enabled: bool | None


class WebhookRemovalRequested(Request):
    """The owner wants an endpoint removed, with all that waits for it."""

    fact: ClassVar[str] = "webhook_removal_requested"

    webhook_id: Id


class WebhookRotationRequested(Request):
    """The owner wants an endpoint to have this secret; the one before signs along for 24 hours."""

    fact: ClassVar[str] = "webhook_rotation_requested"

    webhook_id: Id
    sealed_secret: Ciphertext


class WebhookTestRequested(Request):
    """The owner wants an endpoint to be sent a test."""

    fact: ClassVar[str] = "webhook_test_requested"

    webhook_id: Id


class WebhookResendRequested(Request):
    """The owner wants one delivery sent again, or all that were queued at or after an instant."""

    fact: ClassVar[str] = "webhook_resend_requested"

    webhook_id: Id
    delivery_id: Id | None
    since: Instant | None
