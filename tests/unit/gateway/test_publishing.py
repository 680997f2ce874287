"""Every fact of the gateway becomes the messages that others know, or none."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from contracts.envelope import Envelope
from contracts.registry import decode
from runtime.ids import new_id
from runtime.sealing import DataKey, generate_sealing_key, seal
from runtime.store import Recorded
from services.gateway.decider.requests import decide_request
from services.gateway.events import (
    AdjustmentAsked,
    AdminAdded,
    AdminRemoved,
    AwardAsked,
    CancelAsked,
    CheckoutAsked,
    CheckoutCheckAsked,
    CloseAsked,
    CreditBundle,
    DeploymentAsked,
    DestroyAsked,
    FeatureAsked,
    PurchaseAsked,
    RatingAsked,
    RefundAsked,
    Request,
    RequestFact,
    RetryAsked,
    SecretChanged,
    Settings,
    SettingsChanged,
    SettingsFact,
    Shares,
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
from services.gateway.publishing import KINDS
from services.gateway.webhook_requests import (
    WebhookAsked,
    WebhookChangeAsked,
    WebhookRemovalAsked,
    WebhookResendAsked,
    WebhookRotationAsked,
    WebhookTestAsked,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PUBLISH = {kind.name: kind.publish for kind in KINDS}
CIPHERTEXT = DataKey.generate().encrypt_json({"region": "europe"})
SEALED = seal(b"secret", generate_sealing_key()[1])

USERS: list[Any] = [
    UserRegistered(roles=("user", "agent"), referred_by="eve"),
    UserRolesChanged(roles=("user",)),
    UserReferrerChanged(referred_by=None),
    UserDeactivated(),
    UserReactivated(),
]
REQUESTS: list[Any] = [
    DeploymentAsked(
        expires_at=NOON,
        deployment_id="d-1",
        user_id="ada",
        module_id="m-1",
        module_version=2,
        project="intranet",
        variables=CIPHERTEXT,
        sealed_data_key=SEALED,
    ),
    CancelAsked(expires_at=NOON, deployment_id="d-1"),
    UpdateAsked(
        expires_at=NOON,
        deployment_id="d-1",
        module_id="m-1",
        module_version=3,
        variables=CIPHERTEXT,
    ),
    DestroyAsked(expires_at=NOON, deployment_id="d-1"),
    RetryAsked(expires_at=NOON, deployment_id="d-1", module_id="m-1"),
    SyncAsked(
        expires_at=NOON,
        sync_id="s-1",
        scope="partner",
        partner_id="ada",
        repository_url="https://example.com/modules.git",
        branch="main",
        sealed_token=SEALED,
    ),
    RatingAsked(expires_at=NOON, deployment_id="d-1", module_id="m-1", stars=4),
    FeatureAsked(expires_at=NOON, module_id="m-1", featured=True),
    AwardAsked(
        expires_at=NOON,
        user_id="ada",
        kind="award.admin",
        credits=30,
        reason="welcome",
        credits_expire_at=None,
    ),
    AdjustmentAsked(expires_at=NOON, user_id="ada", credits=3, reason="by mistake"),
    VerificationAsked(expires_at=NOON),
    PurchaseAsked(
        expires_at=NOON,
        user_id="ada",
        credits=100,
        price_minor=10_000,
        currency="USD",
        reference="invoice 7",
    ),
    RefundAsked(
        expires_at=NOON, deployment_id="d-1", user_id="ada", credits=None, reason="it was down"
    ),
    CheckoutAsked(
        expires_at=NOON,
        checkout_id="c-1",
        user_id="ada",
        credits=100,
        bonus=10,
        price_minor=900,
        currency="USD",
        success_path="/paid",
        cancel_path="/not-paid",
    ),
    CheckoutCheckAsked(expires_at=NOON, checkout_id="c-1"),
    StripeEventTaken(
        expires_at=NOON,
        event_type="charge.refunded",
        object_id="ch_1",
        object_type="charge",
    ),
    CloseAsked(expires_at=NOON, period="2026-10"),
    WebhookAsked(
        expires_at=NOON,
        webhook_id="w-1",
        url="https://hooks.partner.dev/",
        event_types=("revenue.share_accrued",),
        description=None,
        sealed_secret=SEALED,
    ),
    WebhookChangeAsked(
        expires_at=NOON,
        webhook_id="w-1",
        url=None,
        event_types=None,
        description="",
        enabled=True,
    ),
    WebhookRemovalAsked(expires_at=NOON, webhook_id="w-1"),
    WebhookRotationAsked(expires_at=NOON, webhook_id="w-1", sealed_secret=SEALED),
    WebhookTestAsked(expires_at=NOON, webhook_id="w-1"),
    WebhookResendAsked(expires_at=NOON, webhook_id="w-1", delivery_id=None, since=NOON),
]
SETTINGS: list[Any] = [
    SettingsChanged(
        version=3,
        settings=Settings(
            credit_bundles=(CreditBundle(credits=100, bonus=10, price_minor=9_000),),
            shares=(Shares(effective_from=NOON, partner_basis_points=3000, agent_basis_points=0),),
        ),
    )
]


def recorded(stream: str, fact: Any) -> Recorded[Any]:
    return Recorded(
        stream=stream,
        version=1,
        at=NOON,
        fact=fact,
        id=new_id(),
        correlation_id=new_id(),
        causation_id=None,
        actor="ada",
    )


@pytest.mark.parametrize(
    ("stream", "fact"),
    [
        *(("user-ada", fact) for fact in USERS),
        *(("request-r1", fact) for fact in REQUESTS),
        *(("settings", fact) for fact in SETTINGS),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_what_is_published_is_what_others_can_read(stream: str, fact: Any) -> None:
    [event] = PUBLISH[stream.partition("-")[0]](recorded(stream, fact))
    model: Any = Envelope
    body = model[type(event)](
        id=new_id(),
        source="/tollgate/gateway",
        type=event.type_name(),
        subject=stream,
        partitionkey=stream,
        time=NOON,
        dataschema=event.schema_id(),
        sequence=1,
        correlationid=new_id(),
        data=event,
    ).to_bytes()

    assert decode(event.type_name(), body).data == event


def test_every_fact_that_there_is_was_tried() -> None:
    tried = {type(fact) for fact in (*USERS, *REQUESTS, *SETTINGS)}

    assert tried == {*get_args(UserFact), *get_args(RequestFact), SettingsFact}


@pytest.mark.parametrize(
    ("stream", "fact"),
    [
        ("admins", AdminAdded(user_id="ada")),
        ("admins", AdminRemoved(user_id="ada")),
        ("secrets", SecretChanged(secret="platform_webhook_secret", configured=True)),
    ],
)
def test_what_concerns_nobody_else_is_not_published(stream: str, fact: Any) -> None:
    assert PUBLISH[stream](recorded(stream, fact)) == []


@pytest.mark.parametrize("fact", REQUESTS, ids=lambda fact: type(fact).__name__)
def test_a_request_that_is_put_twice_counts_once(fact: RequestFact) -> None:
    assert decide_request(fact, Request()) == [fact]
    assert decide_request(fact, Request(asked=True)) == []


def test_nobody_who_never_registered_has_a_role() -> None:
    assert User().roles == ()
