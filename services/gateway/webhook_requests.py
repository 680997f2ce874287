"""What payees ask for of their webhooks, as the gateway stores it; part of `events.py`."""

from datetime import datetime

import msgspec

from contracts.webhook_rules import WebhookEvent


class _Asked(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", forbid_unknown_fields=True
):
    expires_at: datetime
    webhook_id: str


class WebhookAsked(_Asked, frozen=True, tag="webhook_asked"):
    """A payee wants to be told of what they earn; the secret is sealed for revenue."""

    url: str
    event_types: tuple[WebhookEvent, ...]
    description: str | None
    sealed_secret: str


class WebhookChangeAsked(_Asked, frozen=True, tag="webhook_change_asked"):
    """An endpoint should be another; what is None stays, an empty description goes."""

    url: str | None
    event_types: tuple[WebhookEvent, ...] | None
    description: str | None
    enabled: bool | None


class WebhookRemovalAsked(_Asked, frozen=True, tag="webhook_removal_asked"):
    """An endpoint should be removed."""


class WebhookRotationAsked(_Asked, frozen=True, tag="webhook_rotation_asked"):
    """An endpoint should have this secret, which is sealed for revenue."""

    sealed_secret: str


class WebhookTestAsked(_Asked, frozen=True, tag="webhook_test_asked"):
    """An endpoint should be sent a test."""


class WebhookResendAsked(_Asked, frozen=True, tag="webhook_resend_asked"):
    """A delivery, or all that were queued from an instant on, should be sent again."""

    delivery_id: str | None
    since: datetime | None


WebhookRequest = (
    WebhookAsked
    | WebhookChangeAsked
    | WebhookRemovalAsked
    | WebhookRotationAsked
    | WebhookTestAsked
    | WebhookResendAsked
)
