"""What others are told of webhooks."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

from contracts.events import Event
from contracts.revenue import v1
from runtime.store import Recorded, StreamKind
from services.revenue.webhooks.decider import evolve_webhook
from services.revenue.webhooks.facts import (
    AttemptFailed,
    Delivered,
    DeliveryQueued,
    EndpointChanged,
    EndpointDisabled,
    EndpointRegistered,
    EndpointRemoved,
    Endpoints,
    SecretRotated,
    WebhookFact,
)

WEBHOOK_STREAM: Final = "webhook"


def webhook_stream(owner_id: str) -> str:
    """Return the name of the stream of an owner's webhooks."""
    return f"{WEBHOOK_STREAM}-{owner_id}"


def owner_of(record: Recorded[Any]) -> str:
    """Return whose webhook a fact is of."""
    return record.stream.partition("-")[2]


def publish_webhook(record: Recorded[WebhookFact]) -> Sequence[Event]:
    """Return the message of a fact; each has one."""
    fact, at = record.fact, record.at
    head: dict[str, Any] = {"webhook_id": fact.webhook_id, "owner_id": owner_of(record)}
    match fact:
        case EndpointRegistered() | EndpointChanged():
            head |= {
                "url": fact.url,
                "event_types": fact.event_types,
                "description": fact.description,
            }
            if isinstance(fact, EndpointChanged):
                return [v1.WebhookChanged(**head, enabled=fact.enabled, changed_at=at)]
            return [v1.WebhookRegistered(**head, registered_at=at)]
        case SecretRotated(both_until=until):
            return [v1.WebhookSecretRotated(**head, both_until=until)]
        case EndpointRemoved():
            return [v1.WebhookRemoved(**head)]
        case EndpointDisabled():
            disabled = v1.WebhookEndpointDisabled(
                **head, reason=fact.reason, failing_since=fact.failing_since, disabled_at=at
            )
            return [disabled]
        case DeliveryQueued():
            queued = v1.WebhookDeliveryQueued(
                **head, queued=fact.queued, delivery_id=fact.delivery_id, since=fact.since
            )
            return [queued]
        case Delivered() | AttemptFailed():
            head |= {
                "delivery_id": fact.delivery_id,
                "event_type": fact.event_type,
                "event_sequence": fact.event_sequence,
                "attempt": fact.attempt,
                "answer_status": fact.answer_status,
                "duration_ms": fact.duration_ms,
                "queued_at": fact.queued_at,
                "attempted_at": at,
            }
            if isinstance(fact, AttemptFailed):
                again = fact.next_attempt_at
                return [v1.WebhookAttemptFailed(**head, error=fact.error, next_attempt_at=again)]
            return [v1.WebhookDelivered(**head)]
        case _:
            assert_never(fact)


_FACTS: Final = {
    "webhook_registered": "endpoint_registered",
    "webhook_changed": "endpoint_changed",
    "webhook_secret_rotated": "secret_rotated",
    "webhook_removed": "endpoint_removed",
    "webhook_endpoint_disabled": "endpoint_disabled",
    "webhook_delivery_queued": "delivery_queued",
    "webhook_delivered": "delivered",
    "webhook_attempt_failed": "attempt_failed",
}


def restore_webhook(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the fact that a message tells."""
    return {**data, "fact": _FACTS[name], "failed_at": data.get("attempted_at")}


WEBHOOK: Final = StreamKind(
    name=WEBHOOK_STREAM,
    facts=WebhookFact,
    state=Endpoints,
    initial=lambda _: Endpoints(),
    evolve=evolve_webhook,
    publish=publish_webhook,
    restore=restore_webhook,
)
"""`webhook-<owner id>`: an owner's endpoints, and how each delivery to them fared."""
