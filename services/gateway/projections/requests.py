"""Requests, and how they were answered.

Everything that a request causes carries its id as correlation id, so an answer is known by that,
and by being of a kind that answers this kind of request.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from contracts.catalog.v1 import ModuleFeatured, ModuleRated, ModuleUnfeatured, SyncFinished
from contracts.deployer.v1 import (
    DeploymentCancelled,
    DeploymentDestroyed,
    DeploymentDestroying,
    DeploymentFailed,
    DeploymentQueued,
    DeploymentRefused,
    DeploymentSucceeded,
    DeploymentTimedOut,
    DeploymentUpdating,
)
from contracts.envelope import Envelope
from contracts.events import RequestRefused
from contracts.ledger.v1 import (
    CheckoutOpened,
    CreditsAdjusted,
    CreditsAwarded,
    CreditsPurchased,
    LedgerVerified,
    SettlementRefunded,
)
from contracts.revenue.v1 import (
    PeriodClosed,
    WebhookChanged,
    WebhookDeliveryQueued,
    WebhookRegistered,
    WebhookRemoved,
    WebhookSecretRotated,
)
from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import (
    AdjustmentAsked,
    AwardAsked,
    CancelAsked,
    CheckoutAsked,
    CloseAsked,
    DeploymentAsked,
    DestroyAsked,
    FeatureAsked,
    PurchaseAsked,
    RatingAsked,
    RefundAsked,
    RetryAsked,
    SyncAsked,
    UpdateAsked,
    VerificationAsked,
)
from services.gateway.projections.statements import SqlProjection, Statement, id_in
from services.gateway.webhook_requests import (
    WebhookAsked,
    WebhookChangeAsked,
    WebhookRemovalAsked,
    WebhookResendAsked,
    WebhookRotationAsked,
    WebhookTestAsked,
)

_ASKED = """
    insert into requests (request_id, kind, requested_by, resource_id, status, requested_at,
                          expires_at)
    values ($1, $2, $3, $4, 'PENDING', $5, $6)
    on conflict (request_id) do nothing"""
_DONE = """
    update requests set status = 'DONE', resource_id = $3, ended_at = $4
    where request_id = $1 and kind = any ($2::text[]) and status = 'PENDING'"""
_REFUSED = """
    update requests set status = 'REFUSED', problem = $2, ended_at = $3
    where request_id = $1 and status = 'PENDING'"""
_CANCEL_ENDED = """
    update requests set status = 'DONE', ended_at = $2
    where resource_id = $1 and kind = 'cancel' and status = 'PENDING'"""

ENDS: Final = (
    DeploymentSucceeded,
    DeploymentFailed,
    DeploymentCancelled,
    DeploymentTimedOut,
    DeploymentDestroyed,
)
"""After these there is nothing left to cancel."""


def _statements(change: Change) -> Iterator[Statement]:
    if isinstance(change, Recorded):
        put = put_by(change)
        if put is not None:
            kind, resource_id = put
            head = (id_in(change.stream), kind, change.actor, resource_id)
            yield _ASKED, (*head, change.at, change.fact.expires_at)
        return
    event = change.data
    answer = _answer(change)
    if answer is not None:
        yield _DONE, (change.correlationid, *answer, change.time)
    problem = problem_of(event)
    if problem is not None:
        yield _REFUSED, (change.correlationid, json.dumps(problem), change.time)
    if isinstance(event, ENDS):
        yield _CANCEL_ENDED, (event.deployment_id, change.time)


def may_answer(message: Envelope[Any]) -> bool:
    """Return whether a request may have waited for this message; for most, none has."""
    return next(_statements(message), None) is not None


@dataclass(frozen=True)
class Told:
    """How a message answers a request: well, if it is of these kinds, or by a problem."""

    kinds: tuple[str, ...]
    resource_id: str
    problem: dict[str, Any] | None


def told_by(message: Envelope[Any]) -> Told | None:
    """Return how a message answers the request that it names as its cause, if it does."""
    answer = _answer(message)
    if answer is not None:
        return Told(*answer, None)
    problem = problem_of(message.data)
    return None if problem is None else Told((), "", problem)


def put_by(record: Recorded[Any]) -> tuple[str, str] | None:
    """Return the kind of a request that was put, and the id of what it is about."""
    kind = _asked(record.fact)
    return None if kind is None else (kind, _resource(record.fact, id_in(record.stream)))


def _asked(fact: Any) -> str | None:
    match fact:
        case DeploymentAsked():
            return "deployment"
        case CancelAsked():
            return "cancel"
        case UpdateAsked():
            return "update"
        case DestroyAsked():
            return "destroy"
        case RetryAsked():
            return "retry"
        case SyncAsked():
            return "sync"
        case RatingAsked():
            return "rating"
        case FeatureAsked():
            return "feature"
        case AwardAsked():
            return "award"
        case AdjustmentAsked():
            return "adjustment"
        case PurchaseAsked():
            return "purchase"
        case RefundAsked():
            return "refund"
        case CheckoutAsked():
            return "checkout"
        case VerificationAsked():
            return "verification"
        case CloseAsked():
            return "close"
        case WebhookAsked() | WebhookChangeAsked() | WebhookRotationAsked():
            return "webhook"
        case WebhookRemovalAsked():
            return "webhook_removal"
        case WebhookTestAsked():
            return "webhook_delivery"
        case WebhookResendAsked(delivery_id=delivery_id):
            return "webhook" if delivery_id is None else "webhook_delivery"
        case _:
            return None


def _resource(fact: Any, request_id: str) -> str:
    """Return what the request is about, as far as it is known before the answer."""
    match fact:
        case DeploymentAsked(deployment_id=deployment_id):
            return deployment_id
        case (
            CancelAsked(deployment_id=deployment_id)
            | UpdateAsked(deployment_id=deployment_id)
            | DestroyAsked(deployment_id=deployment_id)
            | RetryAsked(deployment_id=deployment_id)
        ):
            return deployment_id
        case SyncAsked(sync_id=sync_id):
            return sync_id
        case RatingAsked(deployment_id=deployment_id):
            return deployment_id
        case FeatureAsked(module_id=module_id):
            return module_id
        case CloseAsked(period=period):
            return period
        case (
            WebhookAsked(webhook_id=webhook_id)
            | WebhookChangeAsked(webhook_id=webhook_id)
            | WebhookRemovalAsked(webhook_id=webhook_id)
            | WebhookRotationAsked(webhook_id=webhook_id)
            | WebhookTestAsked(webhook_id=webhook_id)
            | WebhookResendAsked(webhook_id=webhook_id)
        ):
            return webhook_id
        case _:
            return request_id


def _answer(change: Envelope[Any]) -> tuple[tuple[str, ...], str] | None:
    """Return which kinds of requests a message answers well, and the id of what came of it."""
    match change.data:
        case DeploymentQueued(deployment_id=deployment_id):
            return ("deployment", "retry"), deployment_id
        case DeploymentUpdating(deployment_id=deployment_id):
            return ("update", "retry"), deployment_id
        case DeploymentDestroying(deployment_id=deployment_id):
            return ("destroy", "retry"), deployment_id
        case CreditsAwarded(lot=lot):
            return ("award",), lot.lot_id
        case CreditsPurchased(lot=lot):
            return ("purchase",), lot.lot_id
        case CheckoutOpened(checkout_id=checkout_id):
            return ("checkout",), checkout_id
        case CreditsAdjusted():
            return ("adjustment",), change.id
        case LedgerVerified(request_id=request_id):
            return ("verification",), request_id
        case PeriodClosed(period=period):
            return ("close",), period
        case (
            WebhookRegistered(webhook_id=webhook_id)
            | WebhookChanged(webhook_id=webhook_id)
            | WebhookSecretRotated(webhook_id=webhook_id)
            | WebhookDeliveryQueued(webhook_id=webhook_id, delivery_id=None)
        ):
            return ("webhook",), webhook_id
        case WebhookRemoved(webhook_id=webhook_id):
            return ("webhook_removal",), webhook_id
        case WebhookDeliveryQueued(delivery_id=str() as delivery_id):
            return ("webhook_delivery",), delivery_id
        case SettlementRefunded():
            return ("refund",), change.id
        case SyncFinished(sync_id=sync_id):
            return ("sync",), sync_id
        case ModuleRated(deployment_id=deployment_id):
            return ("rating",), deployment_id
        case ModuleFeatured(module_id=module_id) | ModuleUnfeatured(module_id=module_id):
            return ("feature",), module_id
        case _:
            return None


def problem_of(event: Any) -> dict[str, Any] | None:
    """Return why a request is refused, where the event says so: code, detail, errors, members."""
    match event:
        case DeploymentRefused():
            return {
                "code": event.code,
                "detail": event.detail,
                "errors": [each.model_dump() for each in event.errors],
                "members": {
                    name: value
                    for name in ("required", "available")
                    if (value := getattr(event, name)) is not None
                },
            }
        case RequestRefused():
            return {
                "code": event.code,
                "detail": event.detail,
                "errors": [each.model_dump() for each in event.errors],
                "members": dict(event.details),
            }
        case _:
            return None


REQUESTS = SqlProjection("requests", _statements, tables=("requests",))
