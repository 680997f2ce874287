"""Payees register endpoints over the API, and see only their own and how deliveries fared."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from contracts.gateway import v1 as gateway
from contracts.revenue import v1 as revenue
from contracts.webhook_rules import WEBHOOK_EVENTS
from runtime.sealing import open_sealed
from tests.integration.gateway.api import REVENUE_KEY, Api, Person, running_api
from tests.integration.gateway.neighbours import NOON
from tests.support.environment import Database

URL = "https://hooks.partner.dev/tollgate"
BODY: dict[str, Any] = {"url": URL, "events": ["revenue.share_accrued"]}


def shape(webhook_id: str, owner: str, **changes: Any) -> dict[str, Any]:
    values = {
        "webhook_id": webhook_id,
        "owner_id": owner,
        "url": URL,
        "event_types": ("revenue.share_accrued",),
        "description": None,
    }
    return values | changes


async def answers(api: Api, person: Person, call: asyncio.Task[Any], kind: Any, event: Any) -> Any:
    """Have revenue answer a call that puts a request of this kind; return what the call answers."""
    request = await api.asked(kind)
    assert request.data.requested_by == person.id
    await api.tells(f"webhook-{person.id}", event, correlation_id=request.correlationid)
    return await call


async def registers(api: Api, person: Person, **changes: Any) -> dict[str, Any]:
    call = asyncio.create_task(person.posts("/api/webhooks", BODY | changes))
    request = await api.asked(gateway.WebhookRegistrationRequested)
    registered = revenue.WebhookRegistered(
        **shape(request.data.webhook_id, person.id), registered_at=NOON
    )
    answer: dict[str, Any] = await answers(
        api, person, call, gateway.WebhookRegistrationRequested, registered
    )
    return answer


def attempt(webhook_id: str, owner: str, **changes: Any) -> dict[str, Any]:
    values = {
        "webhook_id": webhook_id,
        "owner_id": owner,
        "delivery_id": "delivery-1",
        "event_type": "revenue.share_accrued",
        "event_sequence": 3,
        "attempt": 1,
        "answer_status": 200,
        "duration_ms": 12,
        "queued_at": NOON,
        "attempted_at": NOON,
    }
    return values | changes


async def test_the_secret_is_shown_once_and_travels_sealed_for_revenue(api: Api) -> None:
    pia = await api.person("partner")
    shown = await registers(api, pia)
    assert shown["secret"].startswith("whsec_")
    assert (shown["status"], shown["url"]) == ("ENABLED", URL)
    request = await api.asked(gateway.WebhookRegistrationRequested)
    assert open_sealed(request.data.sealed_secret, REVENUE_KEY[0]).decode() == shown["secret"]
    again = await pia.gets(f"/api/webhooks/{shown['id']}")
    assert "secret" not in again
    [listed] = (await pia.gets("/api/webhooks"))["items"]
    assert listed == again
    kept = await api.running.pool.fetchval(
        "select count(*) from outbox where body like '%' || $1 || '%'", shown["secret"]
    )
    assert kept == 0


async def test_no_secret_is_shown_that_the_endpoint_does_not_have(api: Api) -> None:
    pia = await api.person("partner")
    pia.client.headers["Idempotency-Key"] = "register-once"
    first = await registers(api, pia)
    # As a gateway leaves it that dies after the request was put, before it has answered.
    await api.running.pool.execute("update idempotency_keys set answer = null, busy_until = now()")

    again = await pia.asks("POST", "/api/webhooks", BODY)

    assert again.status_code == 202
    assert "secret" not in again.json()["result"]
    assert again.json()["result"]["id"] == first["id"]
    shown = await pia.gets(again.headers["location"])
    assert (shown["status"], shown["result"]) == ("DONE", again.json()["result"])


async def test_another_payees_endpoint_is_not_there(api: Api) -> None:
    pia, arno = await api.person("partner"), await api.person("agent")
    webhook_id = (await registers(api, pia))["id"]
    assert (await arno.gets("/api/webhooks"))["items"] == []
    path = f"/api/webhooks/{webhook_id}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("PATCH", path, {"enabled": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", None),
        ("POST", f"{path}/test", None),
        ("POST", f"{path}/enable", None),
        ("GET", f"{path}/deliveries", None),
        ("POST", f"{path}/deliveries/delivery-1/resend", None),
        ("POST", f"{path}/resend", {"since": "2026-01-01T00:00:00Z"}),
    ]
    for method, where, body in calls:
        await arno.is_refused(method, where, body, status=404, code="NOT_FOUND")
    user = await api.person()
    for method, where, body in [*calls, ("POST", "/api/webhooks", BODY)]:
        await user.is_refused(method, where, body, status=403, code="FORBIDDEN")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.partner.dev/", "INVALID_WEBHOOK_URL"),
        ("https://hooks.partner.dev:8443/", "INVALID_WEBHOOK_URL"),
        ("https://user:password@hooks.partner.dev/", "INVALID_WEBHOOK_URL"),
        ("https://10.0.0.1/", "INVALID_WEBHOOK_URL"),
        ("https://[::ffff:10.0.0.1]/", "INVALID_WEBHOOK_URL"),
        ("https://127.0.0.1/", "INVALID_WEBHOOK_URL"),
        ("nothing", "INVALID_WEBHOOK_URL"),
        ("", "INVALID_INPUT"),
    ],
)
async def test_an_address_that_no_webhook_goes_to_is_refused(api: Api, url: str, code: str) -> None:
    pia = await api.person("partner")
    problem = await pia.is_refused(
        "POST", "/api/webhooks", BODY | {"url": url}, status=422, code=code
    )
    assert problem["errors"][0]["pointer"] == "/url"
    assert "password" not in problem["detail"] or "user or a password" in problem["detail"]


@pytest.mark.parametrize(
    "events", [[], ["revenue.everything"], ["revenue.share_accrued"] * 4, None, "all"]
)
async def test_what_cannot_be_told_is_refused(api: Api, events: Any) -> None:
    pia = await api.person("partner")
    body = BODY | {"events": events}
    await pia.is_refused("POST", "/api/webhooks", body, status=422, code="INVALID_INPUT")


async def test_an_endpoint_is_changed_and_only_what_is_given_of_it(api: Api) -> None:
    pia = await api.person("partner")
    webhook_id = (await registers(api, pia))["id"]
    path = f"/api/webhooks/{webhook_id}"
    stale = {"if-match": '"0"'}
    await pia.is_refused(
        "PATCH", path, {"enabled": False}, status=412, code="PRECONDITION_FAILED", headers=stale
    )
    body = {"events": list(WEBHOOK_EVENTS), "enabled": False}
    call = asyncio.create_task(pia.asks("PATCH", path, body))
    changed = revenue.WebhookChanged(
        **shape(webhook_id, pia.id, event_types=WEBHOOK_EVENTS), enabled=False, changed_at=NOON
    )
    answer = await answers(api, pia, call, gateway.WebhookChangeRequested, changed)
    request = await api.asked(gateway.WebhookChangeRequested)
    assert (request.data.url, request.data.description, request.data.enabled) == (None, None, False)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["events"]) == ("DISABLED", list(WEBHOOK_EVENTS))
    assert shown["disabled_reason"] is None


async def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_along(api: Api) -> None:
    pia = await api.person("partner")
    before = await registers(api, pia)
    path = f"/api/webhooks/{before['id']}/rotate"
    call = asyncio.create_task(pia.posts(path, None, status=200))
    until = NOON + timedelta(hours=24)
    rotated = revenue.WebhookSecretRotated(
        webhook_id=before["id"], owner_id=pia.id, both_until=until
    )
    shown = await answers(api, pia, call, gateway.WebhookRotationRequested, rotated)
    assert shown["secret"] != before["secret"]
    assert shown["both_secrets_until"] == f"{until:%Y-%m-%dT%H:%M:%SZ}"


async def test_deliveries_are_listed_with_how_they_fared_and_sent_again(api: Api) -> None:
    pia = await api.person("partner")
    webhook_id = (await registers(api, pia))["id"]
    path = f"/api/webhooks/{webhook_id}"
    failed = revenue.WebhookAttemptFailed(
        **attempt(webhook_id, pia.id, answer_status=503),
        error="answered 503",
        next_attempt_at=NOON + timedelta(seconds=5),
    )
    await api.tells(f"webhook-{pia.id}", failed)
    [delivery] = (await pia.gets(f"{path}/deliveries"))["items"]
    assert (delivery["status"], delivery["error"]) == ("RETRYING", "answered 503")
    assert (await pia.gets(path))["failing_since"] is not None
    delivered = revenue.WebhookDelivered(**attempt(webhook_id, pia.id, attempt=2))
    await api.tells(f"webhook-{pia.id}", delivered)
    [delivery] = (await pia.gets(f"{path}/deliveries"))["items"]
    assert (delivery["status"], delivery["attempts"], delivery["error"]) == ("DELIVERED", 2, None)
    assert (await pia.gets(path))["failing_since"] is None
    told = await api.running.pool.fetch(
        "select user_id, everyone, roles, data from client_events where kind = 'webhook'"
    )
    assert {(row["user_id"], row["everyone"], *row["roles"]) for row in told} == {(pia.id, False)}
    fared = [json.loads(row["data"]) for row in told]
    assert {each["id"] for each in fared} == {webhook_id}
    assert [each["delivery_status"] for each in fared] == ["RETRYING", "DELIVERED"]

    again = f"{path}/deliveries/delivery-1/resend"
    call = asyncio.create_task(pia.posts(again, None, status=200))
    queued = revenue.WebhookDeliveryQueued(
        webhook_id=webhook_id, owner_id=pia.id, queued="again", delivery_id="delivery-1", since=None
    )
    shown = await answers(api, pia, call, gateway.WebhookResendRequested, queued)
    assert shown == {"delivery_id": "delivery-1"}
    nobodys = f"{path}/deliveries/delivery-2/resend"
    await pia.is_refused("POST", nobodys, status=404, code="NOT_FOUND")


async def test_a_removed_endpoint_is_gone_with_its_log(api: Api) -> None:
    pia = await api.person("partner")
    webhook_id = (await registers(api, pia))["id"]
    path = f"/api/webhooks/{webhook_id}"
    call = asyncio.create_task(pia.asks("DELETE", path))
    removed = revenue.WebhookRemoved(webhook_id=webhook_id, owner_id=pia.id)
    answer = await answers(api, pia, call, gateway.WebhookRemovalRequested, removed)
    assert answer.status_code == 204
    await pia.is_refused("GET", path, status=404, code="NOT_FOUND")


async def test_an_owner_sees_why_an_endpoint_was_disabled(api: Api) -> None:
    pia = await api.person("partner")
    webhook_id = (await registers(api, pia))["id"]
    disabled = revenue.WebhookEndpointDisabled(
        webhook_id=webhook_id, owner_id=pia.id, reason="gone", failing_since=NOON, disabled_at=NOON
    )
    await api.tells(f"webhook-{pia.id}", disabled)
    shown = await pia.gets(f"/api/webhooks/{webhook_id}")
    assert (shown["status"], shown["disabled_reason"]) == ("DISABLED", "GONE")
    told = await api.running.pool.fetchrow("select * from client_events where kind = 'webhook'")
    assert told is not None
    assert (told["user_id"], told["everyone"], told["roles"]) == (pia.id, False, [])


async def test_without_a_key_to_seal_for_revenue_none_is_registered(
    gateway_database: Database,
) -> None:
    async with running_api(gateway_database, revenue_sealing_public_key=None) as api:
        pia = await api.person("partner")
        await pia.is_refused(
            "POST", "/api/webhooks", BODY, status=503, code="WEBHOOKS_NOT_CONFIGURED"
        )
