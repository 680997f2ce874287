"""The rules of webhooks: who may have how many, when something is tried again, when it ends.

A delivery that an endpoint does not take is tried again after `RETRY_AFTER`, spread by up to a
tenth; the endpoint may ask for more time, up to a day. One that says it is gone (410), and one that
has taken nothing for five days, is disabled, and so are all of an owner who is no partner or agent
any more, or was deactivated. What waits for them is kept.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, assert_never

from msgspec.structs import replace

from contracts.webhook_rules import ENDPOINTS_MAX, WebhookEvent, WebhookUrlError, check_url
from runtime.refusal import Refusal
from services.revenue.webhooks.facts import (
    AttemptFailed,
    Delivered,
    DeliveryQueued,
    Endpoint,
    EndpointChanged,
    EndpointDisabled,
    EndpointRegistered,
    EndpointRemoved,
    Endpoints,
    SecretRotated,
    WebhookFact,
)

RETRY_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long after each failed attempt but the last; the first attempt is at once."""
JITTER: Final = 0.1
RETRY_AFTER_MAX: Final = timedelta(hours=24)
"""How much time an endpoint may ask for."""
FAILING_MAX: Final = timedelta(days=5)
BOTH_SECRETS_FOR: Final = timedelta(hours=24)
GONE: Final = 410


class WebhookRefusal(Refusal):
    """A request that is not carried out: `UNKNOWN_WEBHOOK`, `TOO_MANY_WEBHOOKS`, and the like."""


@dataclass(frozen=True, kw_only=True)
class Register:
    """Have an endpoint."""

    webhook_id: str
    url: str
    event_types: tuple[WebhookEvent, ...]
    description: str | None
    allow_loopback: bool


@dataclass(frozen=True, kw_only=True)
class Change:
    """Have an endpoint changed; what is None stays, an empty description goes."""

    webhook_id: str
    url: str | None
    event_types: tuple[WebhookEvent, ...] | None
    description: str | None
    enabled: bool | None
    allow_loopback: bool


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Have an endpoint no more."""

    webhook_id: str


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """Have another secret."""

    webhook_id: str


@dataclass(frozen=True, kw_only=True)
class Test:
    """Have a test sent, under this id."""

    __test__ = False

    webhook_id: str
    delivery_id: str


@dataclass(frozen=True, kw_only=True)
class Resend:
    """Have a delivery sent again, or all since an instant."""

    webhook_id: str
    delivery_id: str | None
    since: datetime | None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of sending something; without an `error` the endpoint has taken it.

    `retry_after_seconds` is what the endpoint asked for, `chance` is from 0 up to 1.
    """

    delivery_id: str
    event_type: str
    event_sequence: int | None
    attempt: int
    answer_status: int | None
    error: str | None
    duration_ms: int
    queued_at: datetime
    retry_after_seconds: float | None
    chance: float


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """What came of sending some things to an endpoint, in this order."""

    webhook_id: str
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, kw_only=True)
class EndOwner:
    """Have nothing sent to an owner any more, who has lost what it takes to be told."""

    lost: Literal["role_lost", "deactivated"]


WebhookCommand = Register | Change | Remove | Rotate | Test | Resend | Attempts | EndOwner


def decide_webhook(command: WebhookCommand, state: Endpoints, at: datetime) -> list[WebhookFact]:
    """Return what a command brings; raises `WebhookRefusal`."""
    match command:
        case Register():
            return _register(command, state)
        case Attempts():
            return _attempts(command, state, at)
        case EndOwner(lost=lost):
            return [
                EndpointDisabled(
                    webhook_id=webhook_id, reason=lost, failing_since=endpoint.failing_since
                )
                for webhook_id, endpoint in state.endpoints.items()
                if endpoint.enabled
            ]
        case _:
            endpoint = state.endpoints.get(command.webhook_id)
            if endpoint is None:
                raise WebhookRefusal("UNKNOWN_WEBHOOK", "there is no such webhook")
            return _with_endpoint(command, endpoint, at)


def _register(command: Register, state: Endpoints) -> list[WebhookFact]:
    if command.webhook_id in state.endpoints:
        return []
    if len(state.endpoints) >= ENDPOINTS_MAX:
        raise WebhookRefusal(
            "TOO_MANY_WEBHOOKS", f"{ENDPOINTS_MAX} are registered, and that is all there may be"
        )
    _check(command.url, command.allow_loopback)
    registered = EndpointRegistered(
        webhook_id=command.webhook_id,
        url=command.url,
        event_types=command.event_types,
        description=command.description or None,
    )
    return [registered]


def _with_endpoint(
    command: Change | Remove | Rotate | Test | Resend, endpoint: Endpoint, at: datetime
) -> list[WebhookFact]:
    webhook_id = command.webhook_id
    match command:
        case Change():
            if command.url is not None:
                _check(command.url, command.allow_loopback)
            changed = EndpointChanged(
                webhook_id=webhook_id,
                url=command.url or endpoint.url,
                event_types=command.event_types or endpoint.event_types,
                description=endpoint.description
                if command.description is None
                else command.description or None,
                enabled=endpoint.enabled if command.enabled is None else command.enabled,
            )
            return [changed]
        case Remove():
            return [EndpointRemoved(webhook_id=webhook_id)]
        case Rotate():
            return [SecretRotated(webhook_id=webhook_id, both_until=at + BOTH_SECRETS_FOR)]
        case Test(delivery_id=delivery_id):
            _enabled(endpoint)
            test = DeliveryQueued(
                webhook_id=webhook_id, queued="test", delivery_id=delivery_id, since=None
            )
            return [test]
        case Resend():
            _enabled(endpoint)
            again = DeliveryQueued(
                webhook_id=webhook_id,
                queued="since" if command.delivery_id is None else "again",
                delivery_id=command.delivery_id,
                since=command.since,
            )
            return [again]
        case _:
            assert_never(command)


def _attempts(command: Attempts, state: Endpoints, at: datetime) -> list[WebhookFact]:
    """Return how attempts fared; of an endpoint that was removed meanwhile nobody wants to know."""
    endpoint = state.endpoints.get(command.webhook_id)
    if endpoint is None:
        return []
    facts: list[WebhookFact] = []
    failing_since, gone = endpoint.failing_since, False
    for each in command.attempts:
        same: dict[str, Any] = {
            "webhook_id": command.webhook_id,
            "delivery_id": each.delivery_id,
            "event_type": each.event_type,
            "event_sequence": each.event_sequence,
            "attempt": each.attempt,
            "answer_status": each.answer_status,
            "duration_ms": each.duration_ms,
            "queued_at": each.queued_at,
        }
        if each.error is None:
            failing_since = None
            facts.append(Delivered(**same))
            continue
        failing_since = failing_since or at
        gone = gone or each.answer_status == GONE
        next_at = at if each.answer_status == GONE else next_attempt_at(each, at)
        failed = AttemptFailed(**same, error=each.error, failed_at=at, next_attempt_at=next_at)
        facts.append(failed)
    failing = failing_since is not None and at - failing_since >= FAILING_MAX
    if endpoint.enabled and (gone or failing):
        disabled = EndpointDisabled(
            webhook_id=command.webhook_id,
            reason="gone" if gone else "failing",
            failing_since=failing_since or at,
        )
        facts.append(disabled)
    return facts


def next_attempt_at(failed: Attempt, at: datetime) -> datetime | None:
    """Return when something that failed is tried again; nothing after the last attempt."""
    if failed.attempt > len(RETRY_AFTER):
        return None
    wait = RETRY_AFTER[failed.attempt - 1]
    wait += wait * (JITTER * failed.chance)
    asked = timedelta(seconds=failed.retry_after_seconds or 0)
    return at + max(wait, min(asked, RETRY_AFTER_MAX))


def evolve_webhook(state: Endpoints, fact: WebhookFact) -> Endpoints:
    """Return an owner's endpoints after a fact."""
    webhook_id = fact.webhook_id
    before = state.endpoints.get(webhook_id)
    match fact:
        case EndpointRegistered():
            endpoint = Endpoint(
                url=fact.url, event_types=fact.event_types, description=fact.description
            )
            return Endpoints({**state.endpoints, webhook_id: endpoint})
        case EndpointRemoved():
            return Endpoints({k: v for k, v in state.endpoints.items() if k != webhook_id})
        case _:
            pass
    if before is None:
        return state
    after = before
    match fact:
        case EndpointChanged():
            enabled_again = fact.enabled and not before.enabled
            after = Endpoint(
                url=fact.url,
                event_types=fact.event_types,
                description=fact.description,
                enabled=fact.enabled,
                failing_since=None if enabled_again else before.failing_since,
            )
        case EndpointDisabled():
            after = replace(before, enabled=False)
        case Delivered():
            after = replace(before, failing_since=None)
        case AttemptFailed() if before.failing_since is None:
            after = replace(before, failing_since=fact.failed_at)
        case _:
            pass
    return Endpoints({**state.endpoints, webhook_id: after})


def _check(url: str, allow_loopback: bool) -> None:  # noqa: FBT001 - the only other argument
    try:
        check_url(url, allow_loopback=allow_loopback)
    except WebhookUrlError as error:
        raise WebhookRefusal("INVALID_WEBHOOK_URL", str(error)) from None


def _enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise WebhookRefusal("WEBHOOK_DISABLED", "enable it first")
