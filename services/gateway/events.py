"""What the gateway stores: facts of users, of the settings and of requests, and what they fold to.

No name, no e-mail address and no secret is in a fact. Shares are basis points, money is minor
units of the platform's currency, and everything asked for is asked by the fact's actor.
"""

from datetime import datetime
from typing import Literal

import msgspec

from services.gateway.webhook_requests import WebhookRequest

Role = Literal["user", "partner", "agent", "finance", "support", "admin"]
AwardKind = Literal["award.signup", "award.admin", "award.referral", "award.goodwill"]
SyncScope = Literal["platform", "partner"]
SecretName = Literal["platform_repository_token", "platform_webhook_secret"]


class _Fact(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", forbid_unknown_fields=True
):
    pass


# Users.


class UserRegistered(_Fact, frozen=True, tag="user_registered"):
    """A user came to be; `referred_by` is the agent whose code they used."""

    roles: tuple[Role, ...]
    referred_by: str | None


class UserRolesChanged(_Fact, frozen=True, tag="user_roles_changed"):
    """The user's roles are these."""

    roles: tuple[Role, ...]


class UserReferrerChanged(_Fact, frozen=True, tag="user_referrer_changed"):
    """The user's referrer is this agent, or nobody."""

    referred_by: str | None


class UserDeactivated(_Fact, frozen=True, tag="user_deactivated"):
    """The user may not sign in."""


class UserReactivated(_Fact, frozen=True, tag="user_reactivated"):
    """The user may sign in again."""


UserFact = (
    UserRegistered | UserRolesChanged | UserReferrerChanged | UserDeactivated | UserReactivated
)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user; `revision` counts their facts, and is 0 for somebody who never registered."""

    revision: int = 0
    roles: tuple[Role, ...] = ()
    active: bool = False
    referred_by: str | None = None


class AdminAdded(_Fact, frozen=True, tag="admin_added"):
    """There is one more active admin."""

    user_id: str


class AdminRemoved(_Fact, frozen=True, tag="admin_removed"):
    """There is one active admin less."""

    user_id: str


AdminsFact = AdminAdded | AdminRemoved


class Admins(msgspec.Struct, frozen=True):
    """The active admins: a stream of its own, so that the last of them is known under its lock."""

    user_ids: tuple[str, ...] = ()


# Settings.


class CreditBundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An offer: so many credits, and so many free ones with them, for one price."""

    credits: int
    bonus: int
    price_minor: int


class Shares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares of true revenue in force from an instant on."""

    effective_from: datetime
    partner_basis_points: int
    agent_basis_points: int


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings but the secrets. `shares` is their whole history, the earliest first."""

    credits_enabled: bool = True
    credits_per_unit: int = 1
    credit_bundles: tuple[CreditBundle, ...] = ()
    currency: str = "USD"
    signup_award: int = 0
    referral_award: int = 0
    award_expiry_days: int | None = None
    shares: tuple[Shares, ...] = ()
    retention_days: int | None = None
    project_costs_enabled: bool = True
    self_registration: bool = True
    repository_url: str | None = None
    repository_branch: str | None = None
    sync_interval_minutes: int | None = None


class SettingsChanged(_Fact, frozen=True, tag="settings_changed"):
    """The settings are these, whole, as this version."""

    version: int
    settings: Settings


class SecretChanged(_Fact, frozen=True, tag="secret_changed"):
    """A secret of the platform was set, or taken away; what it is stands in no fact."""

    secret: SecretName
    configured: bool


SettingsFact = SettingsChanged
SecretsFact = SecretChanged


class Secrets(msgspec.Struct, frozen=True):
    """Of secrets nothing need be known to decide: they are replaced, never read."""


class SettingsState(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in their present version; 0 is before they were first established."""

    version: int = 0
    settings: Settings = msgspec.field(default_factory=Settings)


# Pins: a user's own, and nobody else's business; so they are the gateway's, and never leave it.


class ModulePinned(_Fact, frozen=True, tag="module_pinned"):
    """The user wants this module before all others."""

    module_id: str


class ModuleUnpinned(_Fact, frozen=True, tag="module_unpinned"):
    """The user wants this module before others no longer."""

    module_id: str


PinsFact = ModulePinned | ModuleUnpinned


class Pins(msgspec.Struct, frozen=True):
    """The modules that a user has pinned, in the order of their pinning."""

    module_ids: tuple[str, ...] = ()


# Requests. Each is the one fact of a stream of its own, `request-<request id>`.


class _Asked(_Fact, frozen=True):
    expires_at: datetime


class DeploymentAsked(_Asked, frozen=True, tag="deployment_asked"):
    """A module shall be deployed; `variables` are encrypted, and the key to them is sealed."""

    deployment_id: str
    user_id: str
    module_id: str
    module_version: int | None
    project: str | None
    variables: str
    sealed_data_key: str


class CancelAsked(_Asked, frozen=True, tag="cancel_asked"):
    """A deployment's build shall be cancelled."""

    deployment_id: str


class UpdateAsked(_Asked, frozen=True, tag="update_asked"):
    """A deployment shall have these variables, encrypted, and this version of its module."""

    deployment_id: str
    module_id: str
    module_version: int
    variables: str


class DestroyAsked(_Asked, frozen=True, tag="destroy_asked"):
    """All that a deployment owns shall be destroyed."""

    deployment_id: str


class RetryAsked(_Asked, frozen=True, tag="retry_asked"):
    """The build of a deployment that ended last, and not well, shall be tried again."""

    deployment_id: str
    module_id: str


class SyncAsked(_Asked, frozen=True, tag="sync_asked"):
    """A repository shall be read; the token for it is sealed."""

    sync_id: str
    scope: SyncScope
    partner_id: str | None
    repository_url: str
    branch: str | None
    sealed_token: str | None


class RatingAsked(_Asked, frozen=True, tag="rating_asked"):
    """A deployment of the asker's shall have these stars."""

    deployment_id: str
    module_id: str
    stars: int


class FeatureAsked(_Asked, frozen=True, tag="feature_asked"):
    """A module shall be put before others, or no longer."""

    module_id: str
    featured: bool


class AwardAsked(_Asked, frozen=True, tag="award_asked"):
    """Credits shall be given for free."""

    user_id: str
    kind: AwardKind
    credits: int
    reason: str
    credits_expire_at: datetime | None


class AdjustmentAsked(_Asked, frozen=True, tag="adjustment_asked"):
    """Credits shall be taken away: so many, as a positive number."""

    user_id: str
    credits: int
    reason: str


class VerificationAsked(_Asked, frozen=True, tag="verification_asked"):
    """The whole ledger shall be checked."""


class CloseAsked(_Asked, frozen=True, tag="close_asked"):
    """A month shall be closed."""

    period: str


class RefundAsked(_Asked, frozen=True, tag="refund_asked"):
    """Credits that a deployment cost shall be given back to its owner, or all that are left."""

    deployment_id: str
    user_id: str
    credits: int | None
    reason: str


class PurchaseAsked(_Asked, frozen=True, tag="purchase_asked"):
    """A purchase that was invoiced elsewhere shall be recorded."""

    user_id: str
    credits: int
    price_minor: int
    currency: str
    reference: str


class CheckoutAsked(_Asked, frozen=True, tag="checkout_asked"):
    """A user wants to buy credits, with so many free ones, for this price in minor units."""

    checkout_id: str
    user_id: str
    credits: int
    bonus: int
    price_minor: int
    currency: str
    success_path: str
    cancel_path: str


class CheckoutCheckAsked(_Asked, frozen=True, tag="checkout_check_asked"):
    """Somebody waits for an open checkout."""

    checkout_id: str


class StripeEventTaken(_Asked, frozen=True, tag="stripe_event_taken"):
    """Stripe says, under its signature, that something happened to an object."""

    event_type: str
    object_id: str
    object_type: str


RequestFact = (
    DeploymentAsked
    | CancelAsked
    | UpdateAsked
    | DestroyAsked
    | RetryAsked
    | SyncAsked
    | RatingAsked
    | FeatureAsked
    | AwardAsked
    | AdjustmentAsked
    | PurchaseAsked
    | RefundAsked
    | CheckoutAsked
    | CheckoutCheckAsked
    | StripeEventTaken
    | VerificationAsked
    | CloseAsked
    | WebhookRequest
)


class Request(msgspec.Struct, frozen=True):
    """Whether a request was put: what is put twice counts once."""

    asked: bool = False


ADMINS_STREAM = "admins"
SETTINGS_STREAM = "settings"
SECRETS_STREAM = "secrets"


def user_stream(user_id: str) -> str:
    """Return the name of a user's stream."""
    return f"user-{user_id}"


def pins_stream(user_id: str) -> str:
    """Return the name of the stream of a user's pins."""
    return f"pins-{user_id}"


def request_stream(request_id: str) -> str:
    """Return the name of a request's stream."""
    return f"request-{request_id}"
