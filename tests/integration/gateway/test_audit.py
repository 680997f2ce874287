"""Who did what when, and what projects cost."""

import asyncio
import gzip

import pytest

from contracts.gateway.v1 import AwardRequested
from tests.integration.gateway.api import PASSWORD, Api, Person, running_api
from tests.integration.gateway.neighbours import deploys, publishes
from tests.integration.gateway.wallets import Ledger, awarded_slice
from tests.support.environment import Database

SITE = "https://app.example.com"


async def test_the_audit_tells_who_did_what_and_no_secret(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person(name="Ada Lovelace")
    await admin.asks("PATCH", f"/api/users/{ada.id}", {"roles": ["agent"]})
    repository = {"url": "/srv/modules", "token": "hush-hush"}
    await admin.asks("PATCH", "/api/settings", {"platform_repository": repository})
    await ada.asks("PATCH", "/api/me", {"repository": repository, "name": "Countess"})
    token = await ada.posts("/api/tokens", {"name": "ci"})
    await ada.asks("DELETE", f"/api/tokens/{token['id']}")

    answer = await admin.asks("GET", "/api/audit", params={"limit": 100})
    entries = answer.json()["items"]

    of_ada = [each["action"] for each in entries if each["actor"] == ada.id]
    assert of_ada == ["token_revoked", "token_created", "profile_changed", "signed_in"]
    [change] = [each for each in entries if each["action"] == "user_roles_changed"]
    assert (change["actor"], change["subject"]) == (admin.id, ada.id)
    assert change["details"] == {"roles": ["user", "agent"]}
    assert "settings_changed" in {each["action"] for each in entries}
    for secret in ("hush-hush", token["token"], PASSWORD, "Countess", "Lovelace", "example.com"):
        assert secret not in answer.text


async def test_the_audit_is_filtered_and_paged_without_gaps(api: Api) -> None:
    admin = await api.person("admin")
    people = [await api.person() for _ in range(4)]

    whole = (await admin.gets("/api/audit", limit=100))["items"]
    seen, cursor = [], None
    while True:
        part = await admin.gets("/api/audit", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += part["items"]
        cursor = part["next_cursor"]
        if cursor is None:
            break
    one = (await admin.gets("/api/audit", actor=people[0].id, action="signed_in"))["items"]

    assert seen == whole
    assert [each["actor"] for each in one] == [people[0].id]
    assert (await admin.gets("/api/audit", to="2000-01-01"))["items"] == []
    await people[0].is_refused("GET", "/api/audit", status=403, code="FORBIDDEN")


async def test_projects_cost_what_was_spent_less_what_was_given_back(api: Api) -> None:
    ada, finance, bob = await api.person(), await api.person("finance"), await api.person()
    wallet = Ledger(api, ada.id)
    lot = await wallet.awards(90)
    await publishes(api)
    for number, project in enumerate(("site", "site", None)):
        deployer = await deploys(api, ada, project=project, cost=20, awarded=20)
        piece = awarded_slice(lot, number * 20, number * 20 + 20, 90)
        hold = await wallet.holds(deployer.asked.deployment_id, (piece,))
        await wallet.settles(hold)

    costs = (await ada.gets("/api/projects/costs"))["items"]

    assert [(c["project"], c["credits"], c["deployments"]) for c in costs] == [
        ("site", 40, 2),
        (None, 20, 1),
    ]
    assert sum(month["credits"] for month in costs[0]["by_month"]) == 40
    assert (await finance.gets("/api/projects/costs", user_id=ada.id))["items"] == costs
    assert (await ada.gets("/api/projects/costs", to="2000-01-01"))["items"] == []
    first = await ada.gets("/api/projects/costs", limit=1)
    rest = await ada.gets("/api/projects/costs", limit=1, cursor=first["next_cursor"])
    assert first["items"] + rest["items"] == costs
    await bob.is_refused(
        "GET", "/api/projects/costs", status=403, code="FORBIDDEN", params={"user_id": ada.id}
    )


async def test_project_costs_can_be_switched_off(api: Api) -> None:
    admin = await api.person("admin")
    await admin.asks("PATCH", "/api/settings", {"project_costs_enabled": False})

    await admin.is_refused("GET", "/api/projects/costs", status=409, code="PROJECT_COSTS_DISABLED")


async def test_a_history_is_downloaded_whole_and_no_cell_is_a_formula(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    body = {"user_id": ada.id, "credits": 30, "reason": "=1+1\r\nwelcome"}
    asking = asyncio.create_task(finance.posts("/api/credits/awards", body))
    request = await api.asked(AwardRequested)
    await Ledger(api, ada.id).awards(30, correlation_id=request.correlationid)
    await asking

    answer = await ada.asks("GET", "/api/credits/history", headers={"accept": "text/csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    head, line, _ = answer.text.split("\r\n")
    assert head.startswith("id,at,type,credits,awarded_delta,purchased_delta,balance_after")
    assert ",AWARD,30,30,0,30," in line


async def test_a_long_answer_is_compressed_for_who_reads_that(api: Api) -> None:
    raw = Person(api.client())
    plain = await raw.asks("GET", "/api/openapi.json", headers={"accept-encoding": "identity"})
    async with raw.client.stream(
        "GET", "/api/openapi.json", headers={"accept-encoding": "gzip"}
    ) as answer:
        packed = b"".join([piece async for piece in answer.aiter_raw()])

    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) < len(plain.content) / 4
    assert gzip.decompress(packed) == plain.content
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert "cookie" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SITE, True),
        ("https://app.example.com.evil.example", False),
        ("http://app.example.com", False),
        ("https://other.example.com", False),
        ("null", False),
    ],
)
async def test_only_pages_of_named_sites_may_read(
    *, gateway_database: Database, origin: str, allowed: bool
) -> None:
    async with running_api(gateway_database, cors_origins=f"{SITE}, https://b.example") as api:
        person = Person(api.client())
        asks = {"origin": origin, "access-control-request-method": "POST"}
        preflight = await person.asks("OPTIONS", "/api/deployments", headers=asks)
        answer = await person.asks("GET", "/api/me", headers={"origin": origin})

    for each in (preflight, answer):
        assert each.headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert "access-control-allow-credentials" not in each.headers
        assert "origin" in each.headers["vary"].lower()
    assert preflight.status_code == (204 if allowed else 405)
