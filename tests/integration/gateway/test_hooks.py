"""Pushes that GitHub tells of, and syncs by schedule."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from contracts.catalog.v1 import SyncFinished
from contracts.gateway.v1 import SyncRequested
from runtime.clock import ManualClock, system_clock
from services.gateway.sync_schedule import ask_for_what_is_due
from tests.integration.gateway.api import Api, Person, running_api
from tests.integration.gateway.neighbours import NOON
from tests.support.environment import Database

SECRET = "it's a secret"  # noqa: S105 - a test's own
URL = "https://github.com/Acme/modules.git"
PUSH: dict[str, Any] = {
    "ref": "refs/heads/main",
    "deleted": False,
    "repository": {
        "clone_url": URL,
        "html_url": "https://github.com/Acme/modules",
        "default_branch": "main",
    },
}


async def delivers(
    api: Api,
    payload: Any = PUSH,
    *,
    event: str = "push",
    secret: str = SECRET,
    delivery: str | None = "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    **headers: str,
) -> Any:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signature = "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    sent = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": signature,
        **({} if delivery is None else {"X-GitHub-Delivery": delivery}),
        **headers,
    }
    return await api.client().post("/api/hooks/github", content=body, headers=sent)


async def syncs_asked(api: Api) -> int:
    subject = SyncRequested.bus_subject()
    count: int = await api.running.pool.fetchval(
        "select count(*) from outbox where subject = $1", subject
    )
    return count


async def platform_is_set(api: Api, **changes: Any) -> Person:
    admin = await api.person("admin")
    repository = {"url": URL, "branch": "main", "webhook_secret": SECRET, **changes}
    answer = await admin.asks("PATCH", "/api/settings", {"platform_repository": repository})
    assert answer.status_code == 200, answer.text
    return admin


async def test_a_push_ends_in_the_same_request_as_a_sync_by_hand(api: Api) -> None:
    admin = await platform_is_set(api, token="hush")
    answer = await delivers(api)
    assert answer.status_code == 202, answer.text
    [sync_id] = answer.json()["syncs"]
    request = (await api.asked(SyncRequested)).data
    assert (request.sync_id, request.scope, request.partner_id) == (sync_id, "platform", None)
    assert (request.repository_url, request.branch) == (URL, "main")
    assert request.sealed_token is not None
    sync = await admin.gets(f"/api/syncs/{sync_id}")
    assert (sync["status"], sync["requested_by"]) == ("RUNNING", "github")


async def test_a_delivery_that_is_repeated_does_one_sync_and_another_push_another(
    api: Api,
) -> None:
    await platform_is_set(api)
    answers = await asyncio.gather(*(delivers(api) for _ in range(4)))
    assert len({answer.text for answer in answers}) == 1
    assert await syncs_asked(api) == 1
    assert (await delivers(api, delivery="another")).status_code == 202
    assert await syncs_asked(api) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "another"},
        {"secret": ""},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha1=" + "0" * 40},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"payload": {**PUSH, "repository": {"clone_url": "https://github.com/acme/other"}}},
        {"payload": {**PUSH, "repository": {"clone_url": 7, "html_url": ["x"]}}},
        {"payload": {**PUSH, "repository": "x"}},
        {"payload": {}},
        {"payload": []},
        {"payload": b""},
        {"payload": b"{"},
        {"payload": b"\xff"},
        {"payload": b"[" * 100_000},
        {"payload": b"payload=%7B", "Content-Type": "application/x-www-form-urlencoded"},
        {"event": "ping", "secret": "another"},
        {"delivery": None, "secret": "another"},
    ],
)
async def test_what_is_not_signed_as_it_should_be_is_answered_alike_and_does_nothing(
    api: Api, options: dict[str, Any]
) -> None:
    await platform_is_set(api)
    answer = await delivers(api, **options)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "BAD_SIGNATURE")
    assert problem["detail"] == "the delivery is not signed as it should be"
    assert await syncs_asked(api) == 0


async def test_a_repository_without_a_secret_takes_no_pushes(api: Api) -> None:
    await platform_is_set(api, webhook_secret=None)
    for secret in (SECRET, "", "None"):
        assert (await delivers(api, secret=secret)).json()["code"] == "BAD_SIGNATURE"


@pytest.mark.parametrize(
    ("event", "change", "reason"),
    [
        ("push", {"ref": "refs/heads/feature"}, "the push is to another branch than the one"),
        ("push", {"ref": "refs/tags/main"}, "the push is to another branch than the one"),
        ("push", {"ref": None}, "the push is to another branch than the one"),
        ("push", {"deleted": True}, "the branch was deleted"),
        ("issues", {}, "only pushes are of interest"),
        ("", {}, "only pushes are of interest"),
    ],
)
async def test_what_is_no_push_to_the_branch_that_is_read_is_ignored_and_says_why(
    api: Api, event: str, change: dict[str, Any], reason: str
) -> None:
    await platform_is_set(api)
    answer = await delivers(api, {**PUSH, **change}, event=event)
    said = answer.json()
    assert (answer.status_code, said["outcome"], said["syncs"]) == (200, "IGNORED", [])
    assert said["reason"].startswith(reason)
    assert await syncs_asked(api) == 0


async def test_a_ping_is_answered(api: Api) -> None:
    await platform_is_set(api)
    answer = await delivers(api, {**PUSH, "zen": "Keep it logically awesome."}, event="ping")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "PONG")


async def test_a_delivery_in_a_form_is_one_too(api: Api) -> None:
    await platform_is_set(api)
    body = urlencode({"payload": json.dumps(PUSH)}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await delivers(api, body, **form)).status_code == 202


async def test_without_a_branch_that_is_set_the_repositorys_own_counts(api: Api) -> None:
    await platform_is_set(api, branch=None)
    repository = {**PUSH["repository"], "default_branch": "trunk"}
    assert (await delivers(api, {**PUSH, "repository": repository})).status_code == 200
    trunk = {**PUSH, "repository": repository, "ref": "refs/heads/trunk"}
    assert (await delivers(api, trunk)).status_code == 202


async def test_a_delivery_has_an_id_and_an_end(api: Api) -> None:
    await platform_is_set(api)
    answer = await delivers(api, delivery=None)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    answer = await delivers(api, {**PUSH, "commits": ["x" * 1_100_000]})
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_a_partners_push_is_believed_for_their_own_secret(api: Api) -> None:
    await platform_is_set(api)
    partner, leaver = await api.person("partner"), await api.person("user")
    for person, secret in ((partner, "pia's"), (leaver, "no partner's")):
        own = {"url": "https://github.com/ACME/Modules", "webhook_secret": secret}
        answer = await person.asks("PATCH", "/api/me", {"repository": own})
        assert answer.json()["repository"]["webhook_secret_configured"] is True
    answer = await delivers(api, secret="pia's")
    request = (await api.asked(SyncRequested)).data
    assert (answer.status_code, request.scope, request.partner_id) == (202, "partner", partner.id)
    assert (await delivers(api, secret="no partner's")).json()["code"] == "BAD_SIGNATURE"

    await partner.asks("PATCH", "/api/me", {"repository": {"webhook_secret": None}})
    assert (await delivers(api, secret="pia's")).json()["code"] == "BAD_SIGNATURE"


async def test_a_deactivated_partners_repository_is_read_by_nobodys_asking(api: Api) -> None:
    admin, partner = await api.person("admin"), await api.person("partner")
    own = {"url": "https://github.com/acme/modules", "webhook_secret": "pia's"}
    await partner.asks("PATCH", "/api/me", {"repository": own})
    await admin.asks("PATCH", "/api/settings", {"sync_interval_minutes": 5})
    await admin.asks("PATCH", f"/api/users/{partner.id}", {"active": False})

    assert (await delivers(api, secret="pia's")).json()["code"] == "BAD_SIGNATURE"
    assert await ask_for_what_is_due(api.running) == 0
    await partner.is_refused(
        "POST", "/api/syncs", {"scope": "partner"}, status=401, code="UNAUTHENTICATED"
    )
    assert await syncs_asked(api) == 0

    await admin.asks("PATCH", f"/api/users/{partner.id}", {"active": True})
    assert (await delivers(api, secret="pia's", delivery="later")).status_code == 202


@pytest_asyncio.fixture
async def clock() -> ManualClock:
    """Give a clock that the test moves."""
    return ManualClock(system_clock.now())


@pytest_asyncio.fixture
async def pair(gateway_database: Database, clock: ManualClock) -> AsyncIterator[tuple[Api, Api]]:
    """Give two gateways with one database, one master key and one clock."""
    async with running_api(gateway_database, clock=clock) as one:
        key = one.running.settings.master_key
        async with running_api(gateway_database, clock=clock, master_key=key) as other:
            other.sequences = one.sequences
            yield one, other


async def ends(api: Api, number: int) -> None:
    """Have the catalogue end the sync that was asked for as this one."""
    request = await api.asked(SyncRequested, after=number)
    finished = SyncFinished(
        sync_id=request.data.sync_id,
        scope=request.data.scope,
        partner_id=request.data.partner_id,
        status="DONE",
        commit="c0ffee",
        error=None,
        modules=(),
        started_at=NOON,
        finished_at=NOON,
    )
    await api.tells(f"sync-{request.data.sync_id}", finished, correlation_id=request.correlationid)


async def test_a_schedule_asks_once_whoever_looks_and_not_while_a_sync_runs(
    pair: tuple[Api, Api], clock: ManualClock
) -> None:
    one, other = pair

    async def turn() -> None:
        await asyncio.gather(*(ask_for_what_is_due(each.running) for each in (one, other) * 2))

    admin = await platform_is_set(one)
    await turn()
    assert await syncs_asked(one) == 0
    await admin.asks("PATCH", "/api/settings", {"sync_interval_minutes": 60})
    await turn()
    clock.advance(timedelta(hours=3))
    await turn()
    assert await syncs_asked(one) == 1

    await ends(one, 0)
    await turn()
    await turn()
    assert await syncs_asked(one) == 2
    await ends(one, 1)
    clock.advance(timedelta(minutes=59))
    await turn()
    # A sync by hand counts as one.
    await admin.posts("/api/syncs", {"scope": "platform"}, status=202)
    await ends(one, 2)
    clock.advance(timedelta(minutes=59))
    await turn()
    assert await syncs_asked(one) == 3
    clock.advance(timedelta(minutes=1))
    await turn()
    assert await syncs_asked(one) == 4
    await ends(one, 3)
    await admin.asks("PATCH", "/api/settings", {"sync_interval_minutes": None})
    clock.advance(timedelta(hours=3))
    await turn()
    assert await syncs_asked(one) == 4


async def test_a_schedule_is_for_partners_repositories_too(
    pair: tuple[Api, Api], clock: ManualClock
) -> None:
    one, _ = pair
    admin, partner, leaver = (
        await one.person("admin"), await one.person("partner"), await one.person("user")
    )  # fmt: skip
    await one.person("partner")
    for person in (partner, leaver):
        await person.asks("PATCH", "/api/me", {"repository": {"url": "/srv/mine"}})
    await admin.asks("PATCH", "/api/settings", {"sync_interval_minutes": 5})
    await asyncio.gather(*(ask_for_what_is_due(each.running) for each in pair))
    request = await one.asked(SyncRequested)
    assert (await syncs_asked(one), request.data.partner_id) == (1, partner.id)
    assert request.data.requested_by == "schedule"
    shown = (await partner.gets("/api/syncs"))["items"]
    assert [sync["id"] for sync in shown] == [request.data.sync_id]


@pytest.mark.parametrize("minutes", [0, 4, -5, 10_081, 5.5, "60", True])
async def test_a_schedule_is_in_whole_minutes_from_five_to_a_week(
    api: Api, minutes: object
) -> None:
    admin = await api.person("admin")
    changes = {"sync_interval_minutes": minutes}
    await admin.is_refused("PATCH", "/api/settings", changes, status=422, code="INVALID_INPUT")
