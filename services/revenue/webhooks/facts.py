"""What revenue stores of an owner's webhooks, in one stream; no secret is in it."""

from datetime import datetime
from typing import Literal

import msgspec

from contracts.webhook_rules import WebhookEvent

DisabledReason = Literal["gone", "failing", "role_lost", "deactivated"]


class _Fact(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", forbid_unknown_fields=True
):
    webhook_id: str


class EndpointRegistered(_Fact, frozen=True, tag="endpoint_registered"):
    """There is an endpoint, and it is enabled."""

    url: str
    event_types: tuple[WebhookEvent, ...]
    description: str | None


class EndpointChanged(_Fact, frozen=True, tag="endpoint_changed"):
    """The endpoint is this, whole."""

    url: str
    event_types: tuple[WebhookEvent, ...]
    description: str | None
    enabled: bool


class SecretRotated(_Fact, frozen=True, tag="secret_rotated"):
    """The endpoint has a new secret; those before sign along until then."""

    both_until: datetime


class EndpointRemoved(_Fact, frozen=True, tag="endpoint_removed"):
    """There is no such endpoint any more."""


class EndpointDisabled(_Fact, frozen=True, tag="endpoint_disabled"):
    """Nothing is sent until the owner, who may have to be a payee again, enables the endpoint."""

    reason: DisabledReason
    failing_since: datetime | None


class DeliveryQueued(_Fact, frozen=True, tag="delivery_queued"):
    """The owner wants something sent: a test, a delivery again, or all since an instant."""

    queued: Literal["test", "again", "since"]
    delivery_id: str | None
    since: datetime | None


class _Attempted(_Fact, frozen=True):
    delivery_id: str
    event_type: str
    event_sequence: int | None
    attempt: int
    answer_status: int | None
    duration_ms: int
    queued_at: datetime


class Delivered(_Attempted, frozen=True, tag="delivered"):
    """The endpoint has taken a delivery."""


class AttemptFailed(_Attempted, frozen=True, tag="attempt_failed"):
    """The endpoint has not taken it; without a next attempt it was the last."""

    error: str
    failed_at: datetime
    next_attempt_at: datetime | None


WebhookFact = (
    EndpointRegistered
    | EndpointChanged
    | SecretRotated
    | EndpointRemoved
    | EndpointDisabled
    | DeliveryQueued
    | Delivered
    | AttemptFailed
)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint; `failing_since` is its first failure after it last took something."""

    url: str
    event_types: tuple[WebhookEvent, ...]
    description: str | None
    enabled: bool = True
    failing_since: datetime | None = None


class Endpoints(msgspec.Struct, frozen=True):
    """An owner's endpoints, by id."""

    endpoints: dict[str, Endpoint] = {}
