"""Facts that are told under other names, or in another shape, are read back from their messages."""

import json
from datetime import UTC, datetime
from typing import Any, Final, get_args

import pytest

from runtime.restored_messages import SentMessage, fact_told
from runtime.store import Recorded, StreamKind
from services.catalog import handlers as catalog
from services.catalog.definition import Definition, Output, Validation, Variable
from services.catalog.events import (
    Change,
    Content,
    ModuleFeatured,
    ModulePublished,
    ModuleRated,
    ModuleUpdated,
    ModuleWithdrawn,
)
from services.gateway import publishing as gateway
from services.gateway.events import CreditBundle, Settings, SettingsChanged, Shares
from services.revenue.webhooks.facts import (
    AttemptFailed,
    Delivered,
    DeliveryQueued,
    EndpointChanged,
    EndpointDisabled,
    EndpointRegistered,
    EndpointRemoved,
    SecretRotated,
    WebhookFact,
)
from services.revenue.webhooks.publishing import WEBHOOK

NOON: Final = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
[MODULE] = [kind for kind in catalog.KINDS if kind.name == "module"]
[SETTINGS] = [kind for kind in gateway.KINDS if kind.name == "settings"]
ATTEMPTED: Final[dict[str, Any]] = {
    "webhook_id": "w",
    "delivery_id": "d",
    "event_type": "revenue.share_accrued",
    "event_sequence": 3,
    "attempt": 2,
    "answer_status": None,
    "duration_ms": 12,
    "queued_at": NOON,
}
ENDPOINT: Final[dict[str, Any]] = {
    "webhook_id": "w",
    "url": "https://example.org/",
    "event_types": ("revenue.share_accrued",),
    "description": None,
}
WEBHOOKS: Final[list[Any]] = [
    EndpointRegistered(**ENDPOINT),
    EndpointChanged(**ENDPOINT, enabled=False),
    EndpointRemoved(webhook_id="w"),
    EndpointDisabled(webhook_id="w", reason="failing", failing_since=NOON),
    SecretRotated(webhook_id="w", both_until=NOON),
    DeliveryQueued(webhook_id="w", queued="since", delivery_id=None, since=NOON),
    Delivered(**ATTEMPTED),
    AttemptFailed(**ATTEMPTED, error="timed out", failed_at=NOON, next_attempt_at=None),
]
CONTENT: Final = Content(
    definition=Definition(
        name="web",
        title="Web",
        credit_cost=5,
        variables=(
            Variable(
                name="zones",
                type="list(string)",
                required=False,
                default=["a", None, 1.5, {"b": True}],
                validations=(Validation(condition="true", message="no", decidable=True),),
            ),
        ),
        outputs=(Output(name="url"),),
    ),
    repository="https://git.example.com/modules",
    path="web",
    commit="c1",
    archive_digest="sha256:" + "0" * 64,
    archive_folder="",
    fingerprint="f1",
    fingerprint_paths=("web", "shared"),
)
MODULES: Final[list[Any]] = [
    ModulePublished(source="partner", partner_id="p", version=1, content=CONTENT),
    ModuleUpdated(
        source="admin",
        partner_id=None,
        version=2,
        content=CONTENT,
        changes=(Change(variable="zones", change="a default", breaking=False),),
    ),
    ModuleWithdrawn(),
    ModuleRated(deployment_id="d", stars=4, rating_sum=9, rating_count=2),
    ModuleFeatured(),
]
CHANGED: Final = SettingsChanged(
    version=3,
    settings=Settings(
        credit_bundles=(CreditBundle(credits=100, bonus=10, price_minor=9_000),),
        shares=(Shares(effective_from=NOON, partner_basis_points=3000, agent_basis_points=0),),
        repository_url="https://example.org/modules.git",
        sync_interval_minutes=15,
    ),
)


@pytest.mark.parametrize(
    ("kind", "fact"),
    [
        *((WEBHOOK, fact) for fact in WEBHOOKS),
        *((MODULE, fact) for fact in MODULES),
        (SETTINGS, CHANGED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fact_is_read_back_from_what_it_is_told_as(kind: StreamKind[Any, Any], fact: Any) -> None:
    record = Recorded(
        stream=f"{kind.name}-u",
        version=1,
        at=NOON,
        fact=fact,
        id="1",
        correlation_id="2",
        causation_id=None,
        actor="u",
    )
    [event] = kind.publish(record)
    sent = SentMessage(
        id="3",
        type=event.type_name(),
        subject=record.stream,
        sequence=1,
        time=NOON,
        correlationid="2",
        data=json.loads(event.model_dump_json()),
    )
    assert fact_told(kind, sent) == fact


def test_every_fact_of_webhooks_was_tried() -> None:
    assert {type(fact) for fact in WEBHOOKS} == set(get_args(WebhookFact))
