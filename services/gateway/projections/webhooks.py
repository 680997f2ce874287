"""Webhooks, and how each delivery to them fared."""

from collections.abc import Iterator
from typing import Final

from contracts.envelope import Envelope
from contracts.revenue.v1 import (
    WebhookAttempt,
    WebhookAttemptFailed,
    WebhookChanged,
    WebhookDelivered,
    WebhookEndpointDisabled,
    WebhookRegistered,
    WebhookRemoved,
    WebhookSecretRotated,
)
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_REGISTERED: Final = """
    insert into webhooks (webhook_id, owner_id, url, event_types, description, enabled, created_at,
                          changed_at)
    values ($1, $2, $3, $4, $5, true, $6, $6)
    on conflict (webhook_id) do nothing"""
_CHANGED: Final = """
    update webhooks
    set url = $2, event_types = $3, description = $4, enabled = $5, changed_at = $6,
        disabled_reason = case when $5 then null else disabled_reason end,
        failing_since = case when $5 and not enabled then null else failing_since end
    where webhook_id = $1"""
_DISABLED: Final = """
    update webhooks set enabled = false, disabled_reason = $2, failing_since = $3, changed_at = $4
    where webhook_id = $1"""
_ROTATED: Final = """
    update webhooks set both_secrets_until = $2, changed_at = $3 where webhook_id = $1"""
_REMOVED: Final = "delete from webhooks where webhook_id = $1"
_LOG_REMOVED: Final = "delete from webhook_deliveries where webhook_id = $1"
_ATTEMPTED: Final = """
    insert into webhook_deliveries (
        delivery_id, webhook_id, event_type, event_sequence, status, attempts, answer_status, error,
        duration_ms, queued_at, attempted_at, next_attempt_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    on conflict (delivery_id) do update
    set status = excluded.status, attempts = excluded.attempts,
        answer_status = excluded.answer_status, error = excluded.error,
        duration_ms = excluded.duration_ms, attempted_at = excluded.attempted_at,
        next_attempt_at = excluded.next_attempt_at"""
_FARED: Final = """
    update webhooks set failing_since = case when $2 then coalesce(failing_since, $3) end
    where webhook_id = $1"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope):
        return
    match change.data:
        case WebhookRegistered() as event:
            endpoint = (event.url, list(event.event_types), event.description)
            yield (
                _REGISTERED,
                (event.webhook_id, event.owner_id, *endpoint, event.registered_at),
            )
        case WebhookChanged() as event:
            endpoint = (event.url, list(event.event_types), event.description)
            yield _CHANGED, (event.webhook_id, *endpoint, event.enabled, event.changed_at)
        case WebhookEndpointDisabled() as event:
            reason = event.reason.upper()
            yield _DISABLED, (event.webhook_id, reason, event.failing_since, event.disabled_at)
        case WebhookSecretRotated() as event:
            yield _ROTATED, (event.webhook_id, event.both_until, change.time)
        case WebhookRemoved(webhook_id=webhook_id):
            yield _REMOVED, (webhook_id,)
            yield _LOG_REMOVED, (webhook_id,)
        case WebhookDelivered() | WebhookAttemptFailed() as event:
            yield _ATTEMPTED, _attempt(event)
            failed = isinstance(event, WebhookAttemptFailed)
            yield _FARED, (event.webhook_id, failed, event.attempted_at)
        case _:
            return


def delivery_status(event: WebhookAttempt) -> str:
    """Return how a delivery stands after an attempt."""
    if not isinstance(event, WebhookAttemptFailed):
        return "DELIVERED"
    return "GIVEN_UP" if event.next_attempt_at is None else "RETRYING"


def _attempt(event: WebhookAttempt) -> tuple[object, ...]:
    error, next_attempt_at = None, None
    if isinstance(event, WebhookAttemptFailed):
        error, next_attempt_at = event.error, event.next_attempt_at
    return (
        *(event.delivery_id, event.webhook_id, event.event_type, event.event_sequence),
        *(delivery_status(event), event.attempt, event.answer_status, error, event.duration_ms),
        *(event.queued_at, event.attempted_at, next_attempt_at),
    )


WEBHOOKS = SqlProjection("webhooks", _statements, tables=("webhooks", "webhook_deliveries"))
