"""What the gateway tells others: the only place where one of its facts becomes a message."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

from contracts.events import Event
from contracts.gateway import v1
from contracts.types import Credits
from runtime.store import Recorded, StreamKind
from services.gateway.decider.pins import evolve_pins
from services.gateway.decider.requests import evolve_request
from services.gateway.decider.settings import evolve_settings
from services.gateway.decider.users import evolve_admins, evolve_user
from services.gateway.events import (
    AdjustmentAsked,
    Admins,
    AdminsFact,
    AwardAsked,
    CancelAsked,
    CheckoutAsked,
    CheckoutCheckAsked,
    CloseAsked,
    DeploymentAsked,
    DestroyAsked,
    FeatureAsked,
    Pins,
    PinsFact,
    PurchaseAsked,
    RatingAsked,
    RefundAsked,
    Request,
    RequestFact,
    RetryAsked,
    Secrets,
    SecretsFact,
    Settings,
    SettingsChanged,
    SettingsFact,
    SettingsState,
    StripeEventTaken,
    SyncAsked,
    UpdateAsked,
    User,
    UserDeactivated,
    UserFact,
    UserReactivated,
    UserReferrerChanged,
    UserRegistered,
    UserRolesChanged,
    VerificationAsked,
)
from services.gateway.webhook_requests import (
    WebhookAsked,
    WebhookChangeAsked,
    WebhookRemovalAsked,
    WebhookRequest,
    WebhookResendAsked,
    WebhookRotationAsked,
    WebhookTestAsked,
)


def publish_user(record: Recorded[UserFact]) -> Sequence[Event]:
    """Return the message of a user's fact; each has one."""
    user_id = _id(record)
    match record.fact:
        case UserRegistered() as fact:
            return [
                v1.UserRegistered(
                    user_id=user_id,
                    roles=fact.roles,
                    referred_by=fact.referred_by,
                    registered_at=record.at,
                )
            ]
        case UserRolesChanged(roles=roles):
            return [v1.UserRolesChanged(user_id=user_id, roles=roles, changed_by=record.actor)]
        case UserReferrerChanged(referred_by=referred_by):
            return [
                v1.UserReferrerChanged(
                    user_id=user_id, referred_by=referred_by, changed_by=record.actor
                )
            ]
        case UserDeactivated():
            return [v1.UserDeactivated(user_id=user_id, changed_by=record.actor)]
        case UserReactivated():
            return [v1.UserReactivated(user_id=user_id, changed_by=record.actor)]
        case _:
            assert_never(record.fact)


def publish_admins(_: Recorded[AdminsFact]) -> Sequence[Event]:
    """Tell nobody: who is an admin follows from the users' own messages."""
    return []


def publish_pins(_: Recorded[PinsFact]) -> Sequence[Event]:
    """Tell nobody: pins are their user's own."""
    return []


def publish_secrets(_: Recorded[SecretsFact]) -> Sequence[Event]:
    """Tell nobody: that a secret is set concerns who may set it."""
    return []


def publish_settings(record: Recorded[SettingsFact]) -> Sequence[Event]:
    """Return the message of changed settings."""
    return [settings_message(record.fact, record)]


def restore_settings(_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the fact that the message of changed settings tells."""
    names = (each.removeprefix("platform_") for each in data)
    said = dict(zip(names, data.values(), strict=True))
    fields = Settings.__struct_fields__
    return {
        "version": data["settings_version"],
        "settings": {each: said[each] for each in fields if each in said},
    }


def settings_message(fact: SettingsChanged, record: Recorded[Any]) -> v1.SettingsChanged:
    """Return all settings of a version, as everybody is told them."""
    settings = fact.settings
    return v1.SettingsChanged(
        settings_version=fact.version,
        credits_enabled=settings.credits_enabled,
        credits_per_unit=settings.credits_per_unit,
        credit_bundles=tuple(
            v1.CreditBundle(
                credits=Credits(bundle.credits),
                bonus=Credits(bundle.bonus),
                price_minor=bundle.price_minor,
            )
            for bundle in settings.credit_bundles
        ),
        currency=settings.currency,
        signup_award=Credits(settings.signup_award),
        referral_award=Credits(settings.referral_award),
        award_expiry_days=settings.award_expiry_days,
        shares=tuple(
            v1.Shares(
                effective_from=shares.effective_from,
                partner_basis_points=shares.partner_basis_points,
                agent_basis_points=shares.agent_basis_points,
            )
            for shares in settings.shares
        ),
        retention_days=settings.retention_days,
        project_costs_enabled=settings.project_costs_enabled,
        self_registration=settings.self_registration,
        platform_repository_url=settings.repository_url,
        platform_repository_branch=settings.repository_branch,
        sync_interval_minutes=settings.sync_interval_minutes,
        changed_by=record.actor,
        changed_at=record.at,
    )


def publish_request(record: Recorded[RequestFact]) -> Sequence[Event]:
    """Return the request as it is put to the service that answers it."""
    head: dict[str, Any] = {
        "request_id": _id(record),
        "requested_by": record.actor,
        "requested_at": record.at,
        "expires_at": record.fact.expires_at,
    }
    match record.fact:
        case DeploymentAsked() as fact:
            return [
                v1.DeploymentRequested(
                    **head,
                    deployment_id=fact.deployment_id,
                    user_id=fact.user_id,
                    module_id=fact.module_id,
                    module_version=fact.module_version,
                    project=fact.project,
                    variables=fact.variables,
                    sealed_data_key=fact.sealed_data_key,
                )
            ]
        case CancelAsked() | UpdateAsked() | DestroyAsked() | RetryAsked():
            return [_change(record.fact, head)]
        case SyncAsked() as fact:
            return [
                v1.SyncRequested(
                    **head,
                    sync_id=fact.sync_id,
                    scope=fact.scope,
                    partner_id=fact.partner_id,
                    repository_url=fact.repository_url,
                    branch=fact.branch,
                    sealed_token=fact.sealed_token,
                )
            ]
        case RatingAsked() as fact:
            return [
                v1.RatingRequested(
                    **head,
                    deployment_id=fact.deployment_id,
                    module_id=fact.module_id,
                    stars=fact.stars,
                )
            ]
        case FeatureAsked(module_id=module_id, featured=featured):
            return [v1.FeatureRequested(**head, module_id=module_id, featured=featured)]
        case VerificationAsked():
            return [v1.LedgerVerificationRequested(**head)]
        case CloseAsked(period=period):
            return [v1.PeriodCloseRequested(**head, period=period)]
        case AwardAsked() | AdjustmentAsked() | PurchaseAsked() | RefundAsked():
            return [_movement(record.fact, head)]
        case CheckoutAsked() | CheckoutCheckAsked() | StripeEventTaken():
            return [_about_checkout(record.fact, head)]
        case (
            WebhookAsked()
            | WebhookChangeAsked()
            | WebhookRemovalAsked()
            | WebhookRotationAsked()
            | WebhookTestAsked()
            | WebhookResendAsked()
        ):
            return [_about_webhook(record.fact, head)]
        case _:
            assert_never(record.fact)


def _change(
    fact: CancelAsked | UpdateAsked | DestroyAsked | RetryAsked, head: dict[str, Any]
) -> Event:
    match fact:
        case CancelAsked():
            return v1.DeploymentCancelRequested(**head, deployment_id=fact.deployment_id)
        case UpdateAsked():
            return v1.DeploymentUpdateRequested(
                **head,
                deployment_id=fact.deployment_id,
                module_id=fact.module_id,
                module_version=fact.module_version,
                variables=fact.variables,
            )
        case DestroyAsked():
            return v1.DeploymentDestroyRequested(**head, deployment_id=fact.deployment_id)
        case RetryAsked():
            return v1.DeploymentRetryRequested(
                **head, deployment_id=fact.deployment_id, module_id=fact.module_id
            )
        case _:
            assert_never(fact)


def _movement(
    fact: AwardAsked | AdjustmentAsked | PurchaseAsked | RefundAsked, head: dict[str, Any]
) -> Event:
    match fact:
        case AwardAsked():
            return v1.AwardRequested(
                **head,
                user_id=fact.user_id,
                award_kind=fact.kind,
                credits=Credits(fact.credits),
                reason=fact.reason,
                credits_expire_at=fact.credits_expire_at,
            )
        case AdjustmentAsked():
            return v1.AdjustmentRequested(
                **head, user_id=fact.user_id, credits=Credits(fact.credits), reason=fact.reason
            )
        case PurchaseAsked():
            return v1.PurchaseRequested(
                **head,
                user_id=fact.user_id,
                credits=Credits(fact.credits),
                price_minor=fact.price_minor,
                currency=fact.currency,
                reference=fact.reference,
            )
        case RefundAsked():
            return v1.SettlementRefundRequested(
                **head,
                deployment_id=fact.deployment_id,
                user_id=fact.user_id,
                credits=None if fact.credits is None else Credits(fact.credits),
                reason=fact.reason,
            )
        case _:
            assert_never(fact)


def _about_checkout(
    fact: CheckoutAsked | CheckoutCheckAsked | StripeEventTaken, head: dict[str, Any]
) -> Event:
    match fact:
        case CheckoutAsked():
            return v1.CheckoutRequested(
                **head,
                checkout_id=fact.checkout_id,
                user_id=fact.user_id,
                credits=Credits(fact.credits),
                bonus=Credits(fact.bonus),
                price_minor=fact.price_minor,
                currency=fact.currency,
                success_path=fact.success_path,
                cancel_path=fact.cancel_path,
            )
        case CheckoutCheckAsked(checkout_id=checkout_id):
            return v1.CheckoutCheckRequested(**head, checkout_id=checkout_id)
        case StripeEventTaken():
            return v1.StripeEventReceived(
                **head,
                event_id=head["request_id"],
                event_type=fact.event_type,
                object_id=fact.object_id,
                object_type=fact.object_type,
            )
        case _:
            assert_never(fact)


def _about_webhook(fact: WebhookRequest, head: dict[str, Any]) -> Event:
    head = {**head, "webhook_id": fact.webhook_id}
    match fact:
        case WebhookAsked():
            return v1.WebhookRegistrationRequested(
                **head,
                url=fact.url,
                event_types=fact.event_types,
                description=fact.description,
                sealed_secret=fact.sealed_secret,
            )
        case WebhookChangeAsked():
            return v1.WebhookChangeRequested(
                **head,
                url=fact.url,
                event_types=fact.event_types,
                description=fact.description,
                enabled=fact.enabled,
            )
        case WebhookRemovalAsked():
            return v1.WebhookRemovalRequested(**head)
        case WebhookRotationAsked():
            return v1.WebhookRotationRequested(**head, sealed_secret=fact.sealed_secret)
        case WebhookTestAsked():
            return v1.WebhookTestRequested(**head)
        case WebhookResendAsked():
            return v1.WebhookResendRequested(**head, delivery_id=fact.delivery_id, since=fact.since)
        case _:
            assert_never(fact)


def _id(record: Recorded[Any]) -> str:
    return record.stream.partition("-")[2]


def _nothing(state: Secrets, _: SecretsFact) -> Secrets:
    return state


KINDS: Final = (
    StreamKind("user", UserFact, User, lambda _: User(), evolve_user, publish_user),
    StreamKind("admins", AdminsFact, Admins, lambda _: Admins(), evolve_admins, publish_admins),
    StreamKind("pins", PinsFact, Pins, lambda _: Pins(), evolve_pins, publish_pins),
    StreamKind(
        "settings",
        SettingsFact,
        SettingsState,
        lambda _: SettingsState(),
        evolve_settings,
        publish_settings,
        restore_settings,
    ),
    StreamKind("secrets", SecretsFact, Secrets, lambda _: Secrets(), _nothing, publish_secrets),
    StreamKind(
        "request", RequestFact, Request, lambda _: Request(), evolve_request, publish_request
    ),
)
