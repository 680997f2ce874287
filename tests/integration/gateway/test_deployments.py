"""Deployments: asked for, answered, watched, cancelled; and nothing secret ever shown."""

import asyncio
from typing import Any

import pytest

from contracts.deployer.v1 import RequestRefused
from contracts.events import Problem
from contracts.gateway.v1 import DeploymentCancelRequested, DeploymentRequested
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import Deployer, deploys, publishes
from tests.integration.gateway.wallets import Ledger, awarded_slice, purchased_slice

BODY = {
    "module_id": "m-1",
    "variables": {"region": "europe", "token": "hush-hush"},
    "project": "intranet",
}


async def test_a_deployment_is_answered_once_it_is_queued(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    asking = asyncio.create_task(ada.asks("POST", "/api/deployments", BODY))
    request = await api.asked(DeploymentRequested)
    deployer = Deployer(api, request)
    await deployer.queues(cost=50, awarded=30)

    answer = await asking

    shown = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/deployments/{shown['id']}"
    assert deployer.variables == BODY["variables"]
    assert "module-m-1=1" in request.seen
    assert {name: shown[name] for name in ("status", "credit_cost", "awarded_part", "project")} == {
        "status": "QUEUED", "credit_cost": 50, "awarded_part": 30, "project": "intranet",
    }  # fmt: skip
    assert shown["variables"] == {"region": "europe", "token": "(sensitive value)"}
    assert shown["queue"] == {
        "position": 1, "reason": "WAITING_FOR_A_RUNNER", "expected_start_at": None,
    }  # fmt: skip


async def test_what_is_secret_is_nowhere_in_the_clear(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada, BODY["variables"])
    await deployer.succeeds(
        {
            "url": {"value": "https://x.example", "type": "string", "sensitive": False},
            "key": {"value": "hush-hush", "type": "string", "sensitive": True},
        }
    )
    shown = await ada.asks("GET", f"/api/deployments/{deployer.asked.deployment_id}")
    kept = await api.running.pool.fetch(
        """select body from facts union all select body from outbox
           union all select deployments::text from deployments
           union all select client_events::text from client_events"""
    )

    assert shown.json()["outputs"] == {
        "url": {"value": "https://x.example", "type": "string", "sensitive": False},
        "key": {"value": None, "type": "string", "sensitive": True},
    }
    assert "hush-hush" not in shown.text
    assert not any("hush-hush" in row[0] or "europe" in row[0] for row in kept)


async def test_to_destroy_the_key_erases_the_values(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    await api.running.pool.execute("delete from data_keys")

    shown = await ada.gets(f"/api/deployments/{deployer.asked.deployment_id}")

    assert (shown["variables"], shown["outputs"]) == (None, None)


async def test_a_deployment_is_followed_to_its_end(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    wallet = Ledger(api, ada.id)
    lot = await wallet.awards(50)
    deployer = await deploys(api, ada, cost=50, awarded=50)
    hold = await wallet.holds(deployer.asked.deployment_id, (awarded_slice(lot, 0, 50, 50),))
    path = f"/api/deployments/{deployer.asked.deployment_id}"
    held = (await ada.gets(path))["settlement"]
    await deployer.starts()
    running = await ada.gets(path)
    await deployer.succeeds({})
    await wallet.settles(hold)
    done = await ada.gets(path)

    assert (held["status"], held["credits"]) == ("HELD", 50)
    assert (running["status"], running["queue"]) == ("PROVISIONING", None)
    assert (done["status"], done["owns_resources"]) == ("SUCCESS", True)
    assert done["settlement"]["status"] == "SETTLED"
    assert [each["status"] for each in done["status_history"]] == [
        "QUEUED",
        "PROVISIONING",
        "SUCCESS",
    ]
    [build] = done["builds"]
    assert (build["action"], build["status"], build["executor"]) == ("CREATE", "SUCCESS", "local")
    assert build["finished_at"] is not None
    stats = await ada.gets("/api/deployments/stats")
    assert (stats["deployment_count"], stats["active_count"]) == (1, 1)


async def test_a_failed_deployment_says_why(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    await deployer.starts()
    await deployer.fails("no such zone")

    shown = await ada.gets(f"/api/deployments/{deployer.asked.deployment_id}")

    assert (shown["status"], shown["error"]["message"]) == ("FAILED", "no such zone")
    assert shown["builds"][0]["error"]["code"] == "APPLY_FAILED"
    assert (await ada.gets("/api/deployments/stats"))["active_count"] == 0


REFUSALS: list[tuple[str, dict[str, Any], int]] = [
    ("INSUFFICIENT_TOTAL_CREDITS", {"required": 50, "available": 30}, 402),
    ("INSUFFICIENT_PURCHASED_CREDITS", {"required": 50, "available": 0}, 402),
    (
        "INVALID_VARIABLES",
        {"errors": (Problem(pointer="/variables/size", message="is no option", code="X"),)},
        422,
    ),
    ("MODULE_WITHDRAWN", {}, 409),
    ("UNKNOWN_MODULE", {}, 404),
    ("REQUEST_EXPIRED", {}, 503),
]


@pytest.mark.parametrize(("code", "values", "status"), REFUSALS, ids=[r[0] for r in REFUSALS])
async def test_a_refusal_is_the_deployers_own(
    api: Api, code: str, values: dict[str, Any], status: int
) -> None:
    ada = await api.person()
    await publishes(api)
    asking = asyncio.create_task(ada.asks("POST", "/api/deployments", BODY))
    await Deployer(api, await api.asked(DeploymentRequested)).refuses(code, **values)

    answer = await asking

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    if "required" in values:
        assert (problem["required"], problem["available"]) == (50, values["available"])
    if "errors" in values:
        assert problem["errors"][0]["pointer"] == "/variables/size"
    assert (await ada.gets("/api/deployments"))["items"] == []


async def test_a_module_or_a_version_that_is_not_there_is_a_404_at_once(api: Api) -> None:
    ada = await api.person()
    await publishes(api)

    problem = await ada.is_refused(
        "POST", "/api/deployments", {**BODY, "module_id": "m-7"}, status=404, code="UNKNOWN_MODULE"
    )
    await ada.is_refused(
        "POST", "/api/deployments", {**BODY, "version": 7},
        status=404, code="UNKNOWN_MODULE_VERSION",
    )  # fmt: skip

    assert "m-7" in problem["detail"]
    assert await api.running.pool.fetchval("select count(*) from requests") == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"variables": {}}, "/module_id"),
        ({"module_id": "m-1"}, "/variables"),
        ({"module_id": "m-1", "variables": []}, "/variables"),
        ({"module_id": "m-1", "variables": {}, "version": "1"}, "/version"),
        ({"module_id": "m-1", "variables": {}, "version": 0}, "/version"),
        ({"module_id": "m-1", "variables": {}, "project": ""}, "/project"),
        ({"module_id": "m-1", "variables": {}, "projekt": "x"}, "/projekt"),
        ({"module_id": "m 1", "variables": {}}, "/module_id"),
    ],
)
async def test_a_request_that_is_none_is_refused_by_name(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    ada = await api.person()

    problem = await ada.is_refused(
        "POST", "/api/deployments", body, status=422, code="INVALID_INPUT"
    )

    assert [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_who_sees_a_deployment(api: Api) -> None:
    ada, bob = await api.person(email="ada@example.com"), await api.person()
    await publishes(api)
    path = f"/api/deployments/{(await deploys(api, ada)).asked.deployment_id}"

    for role in ("admin", "finance", "support"):
        reader = await api.person(role)
        assert (await reader.gets(path))["user_id"] == ada.id
        [card] = (await reader.gets("/api/deployments", scope="all", search="ADA@"))["items"]
        assert card["user_email"] == "ada@example.com"
        assert (await reader.gets("/api/deployments"))["items"] == []
    for person in (bob, await api.person("partner", "agent")):
        await person.is_refused("GET", path, status=404, code="NOT_FOUND")
        await person.is_refused("GET", f"{path}/logs", status=404, code="NOT_FOUND")
        await person.is_refused("POST", f"{path}/cancel", status=404, code="NOT_FOUND")
        for query in ("scope=all", f"user_id={ada.id}", "user_id=nobody"):
            await person.is_refused(
                "GET", f"/api/deployments?{query}", status=403, code="FORBIDDEN"
            )


async def test_deployments_are_searched_and_paged(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    made = [await deploys(api, ada) for _ in range(3)]
    await made[0].fails("no")
    ids = [each.asked.deployment_id for each in made]

    async def found(**parameters: str) -> set[str]:
        items = (await ada.gets("/api/deployments", **parameters))["items"]
        return {item["id"] for item in items}

    assert await found(search=ids[1]) == {ids[1]}
    assert await found(search="websi") == set(ids)
    assert await found(search="failed") == await found(status="FAILED") == {ids[0]}
    assert await found(module_id="m-7") == await found(project="other") == set()
    first = await ada.gets("/api/deployments", limit=2)
    rest = await ada.gets("/api/deployments", limit=2, cursor=first["next_cursor"])
    assert {item["id"] for item in first["items"] + rest["items"]} == set(ids)


async def test_a_cancellation_is_answered_when_the_build_has_ended(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    path = f"/api/deployments/{deployer.asked.deployment_id}"

    asking = asyncio.create_task(ada.asks("POST", f"{path}/cancel"))
    request = await api.asked(DeploymentCancelRequested)
    deployer.correlation_id = request.correlationid
    await deployer.cancels(ada.id)
    answer = await asking

    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLED")
    assert request.data.requested_by == ada.id
    problem = await ada.is_refused("POST", f"{path}/cancel", status=409, code="ILLEGAL_TRANSITION")
    assert problem["current_status"] == "CANCELLED"


async def test_a_cancellation_that_comes_too_late_is_refused(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    path = f"/api/deployments/{deployer.asked.deployment_id}"

    asking = asyncio.create_task(admin.asks("POST", f"{path}/cancel"))
    request = await api.asked(DeploymentCancelRequested)
    await api.tells(
        f"refusal-{request.correlationid}",
        RequestRefused(
            request_id=request.correlationid,
            code="ILLEGAL_TRANSITION",
            detail="it has ended",
            details={"status": "SUCCESS"},
        ),
        correlation_id=request.correlationid,
    )
    answer = await asking

    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (409, 409)
    assert problem["current_status"] == "SUCCESS"


async def test_who_sees_a_deployment_may_not_cancel_it_for_that(api: Api) -> None:
    ada, support = await api.person(), await api.person("support")
    await publishes(api)
    path = f"/api/deployments/{(await deploys(api, ada)).asked.deployment_id}"

    await support.is_refused("POST", f"{path}/cancel", status=403, code="FORBIDDEN")


async def test_a_quote_says_what_the_ledger_would(api: Api) -> None:
    ada, partner = await api.person(), await api.person("partner")
    await publishes(api, "standard", cost=50)
    await publishes(api, "premium", cost=50, premium=True)
    await publishes(api, "own", cost=50, premium=True, partner_id=partner.id)
    wallet = Ledger(api, ada.id)

    async def quote(person: Person, module_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = await person.posts(
            "/api/quotes", {"module_id": module_id}, status=200
        )
        return {
            name: shown[name]
            for name in ("cost", "awarded_part", "purchased_part", "refusal", "balance_after")
        }

    def quoted(*values: Any) -> dict[str, Any]:
        names = ("cost", "awarded_part", "purchased_part", "refusal", "balance_after")
        return dict(zip(names, values, strict=True))

    assert await quote(ada, "standard") == quoted(50, 0, 0, "INSUFFICIENT_TOTAL_CREDITS", 0)
    lot = await wallet.awards(60)
    assert await quote(ada, "standard") == quoted(50, 50, 0, None, 10)
    assert await quote(ada, "premium") == quoted(50, 0, 0, "INSUFFICIENT_PURCHASED_CREDITS", 60)
    await wallet.sells(100, 10_000)
    await wallet.holds("d-1", (awarded_slice(lot, 0, 30, 60),))
    assert await quote(ada, "standard") == quoted(50, 30, 20, None, 80)
    assert await quote(ada, "premium") == quoted(50, 0, 50, None, 80)
    assert await quote(partner, "own") == quoted(0, 0, 0, None, 0)
    await (await api.person("admin")).asks("PATCH", "/api/settings", {"credits_enabled": False})
    assert await quote(ada, "premium") == quoted(0, 0, 0, None, 130)


async def test_a_quote_checks_variables_where_there_are_any(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    body = {"module_id": "m-1", "variables": {"region": "x", "size": 9, "colour": "red"}}

    problem = await ada.is_refused(
        "POST", "/api/quotes", body, status=422, code="INVALID_VARIABLES"
    )

    assert {error["pointer"] for error in problem["errors"]} == {
        "/variables/size",
        "/variables/colour",
    }


async def test_slices_of_what_was_bought_are_told_apart(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    wallet = Ledger(api, ada.id)
    lot = await wallet.sells(100, 10_000)
    deployer = await deploys(api, ada, cost=40, awarded=0)
    await wallet.holds(deployer.asked.deployment_id, (purchased_slice(lot, 0, 40, 100, 10_000),))

    shown = await ada.gets(f"/api/deployments/{deployer.asked.deployment_id}")

    assert shown["settlement"]["purchased_part"] == 40
