"""Deployments that are updated, destroyed, tried again and, in the end, erased."""

import asyncio
from typing import Any

import pytest

from contracts.deployer.v1 import RequestRefused
from contracts.gateway.v1 import (
    DeploymentDestroyRequested,
    DeploymentRetryRequested,
    DeploymentUpdateRequested,
)
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.changes import destroys, erases, has_destroyed, updates
from tests.integration.gateway.neighbours import Deployer, deploys, publishes, rates


async def live(api: Api, person: Person, **more: Any) -> tuple[Deployer, str]:
    """Have somebody deploy a module well; return who plays the deployer, and the path."""
    await publishes(api)
    deployer = await deploys(api, person, **more)
    await deployer.starts()
    await deployer.succeeds({"url": {"value": "https://x", "type": "string", "sensitive": False}})
    return deployer, f"/api/deployments/{deployer.asked.deployment_id}"


async def test_an_update_is_queued_runs_and_gives_the_deployment_its_variables(api: Api) -> None:
    ada = await api.person()
    deployer, path = await live(api, ada)
    await publishes(api, version=2)

    body = {"variables": {"region": "asia"}, "version": 2}
    asking = asyncio.create_task(ada.asks("PUT", path, body))
    request = await api.asked(DeploymentUpdateRequested)
    assert deployer.key.decrypt_json(request.data.variables) == {"region": "asia"}
    assert (request.data.module_version, request.data.module_id) == (2, "m-1")
    deployer.follows(request, "UPDATE")
    await updates(deployer, {"region": "asia"}, 2)
    answer = await asking

    shown = answer.json()
    assert (answer.status_code, shown["status"], shown["version"]) == (202, "UPDATING", 1)
    assert shown["queue"]["position"] == 1
    assert [build["action"] for build in shown["builds"]] == ["CREATE", "UPDATE"]
    await deployer.starts()
    shown = await ada.gets(path)
    assert (shown["status"], shown["builds"][1]["status"]) == ("UPDATING", "PROVISIONING")
    await deployer.succeeds({"url": {"value": "y", "type": "string", "sensitive": False}})
    shown = await ada.gets(path)
    assert (shown["status"], shown["version"]) == ("SUCCESS", 2)
    assert (shown["variables"], shown["outputs"]["url"]["value"]) == ({"region": "asia"}, "y")
    assert [each["status"] for each in shown["status_history"]] == [
        "QUEUED", "PROVISIONING", "SUCCESS", "UPDATING", "SUCCESS",
    ]  # fmt: skip


@pytest.mark.parametrize(("changed", "version"), [(False, 1), (True, 2)])
async def test_an_update_that_fails_leaves_it_live_and_says_so(
    api: Api, changed: bool, version: int
) -> None:
    ada = await api.person()
    deployer, path = await live(api, ada)
    await publishes(api, version=2)
    asking = asyncio.create_task(ada.asks("PUT", path, {"variables": {}, "version": 2}))
    deployer.follows(await api.asked(DeploymentUpdateRequested), "UPDATE")
    await updates(deployer, {}, 2)
    await asking
    await deployer.starts()
    await deployer.fails(
        "no quota", owns_resources=True, state_changed=changed, deployment_status="SUCCESS"
    )

    shown = await ada.gets(path)

    assert (shown["status"], shown["owns_resources"]) == ("SUCCESS", True)
    assert shown["error"]["message"] == "no quota"
    assert (shown["version"], shown["builds"][1]["status"]) == (version, "FAILED")
    assert (await ada.gets("/api/deployments/stats"))["active_count"] == 1


async def test_what_is_destroyed_owns_nothing_and_has_no_outputs(api: Api) -> None:
    ada = await api.person()
    deployer, path = await live(api, ada)
    asking = asyncio.create_task(ada.asks("DELETE", path))
    deployer.follows(await api.asked(DeploymentDestroyRequested), "DESTROY")
    await destroys(deployer)
    answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (202, "DESTROYING")
    await deployer.starts()
    await has_destroyed(deployer)

    shown = await ada.gets(path)

    assert (shown["status"], shown["owns_resources"], shown["outputs"]) == (
        "DESTROYED", False, None,
    )  # fmt: skip
    assert (shown["builds"][1]["status"], shown["builds"][1]["version"]) == ("SUCCESS", None)
    stats = await ada.gets("/api/deployments/stats")
    assert (stats["deployment_count"], stats["active_count"]) == (1, 0)


async def test_a_retry_is_another_build_of_the_same_deployment(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    path = f"/api/deployments/{deployer.asked.deployment_id}"
    await deployer.starts()
    await deployer.fails("no such zone")
    asking = asyncio.create_task(ada.asks("POST", f"{path}/retry"))
    request = await api.asked(DeploymentRetryRequested)
    deployer.follows(request, "CREATE")
    await deployer.queues(cost=20, awarded=20)
    answer = await asking

    shown = answer.json()
    assert (answer.status_code, shown["status"], shown["error"]) == (202, "QUEUED", None)
    assert (shown["credit_cost"], len(shown["builds"])) == (20, 2)
    assert (await ada.gets("/api/deployments/stats"))["deployment_count"] == 1


CALLS: list[tuple[str, str, Any, Any]] = [
    ("PUT", "", {"variables": {}}, DeploymentUpdateRequested),
    ("DELETE", "", None, DeploymentDestroyRequested),
    ("POST", "/retry", None, DeploymentRetryRequested),
]


@pytest.mark.parametrize(("method", "tail", "body", "kind"), CALLS, ids=[c[0] for c in CALLS])
async def test_what_the_deployer_refuses_is_refused_by_name(
    api: Api, method: str, tail: str, body: Any, kind: Any
) -> None:
    ada = await api.person()
    _, path = await live(api, ada)
    asking = asyncio.create_task(ada.asks(method, path + tail, body))
    request = await api.asked(kind)
    refusal = RequestRefused(
        request_id=request.correlationid,
        code="ILLEGAL_TRANSITION",
        detail="not now",
        details={"status": "UPDATING"},
    )
    stream = f"refusal-{request.correlationid}"
    await api.tells(stream, refusal, correlation_id=request.correlationid)

    answer = await asking

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "ILLEGAL_TRANSITION")
    assert problem["current_status"] == "UPDATING"


@pytest.mark.parametrize(("method", "tail", "body", "kind"), CALLS, ids=[c[0] for c in CALLS])
async def test_who_may_change_a_deployment(
    api: Api, method: str, tail: str, body: Any, kind: Any
) -> None:
    ada, bob, support = await api.person(), await api.person(), await api.person("support")
    _, path = await live(api, ada)

    await bob.is_refused(method, path + tail, body, status=404, code="NOT_FOUND")
    await support.is_refused(method, path + tail, body, status=403, code="FORBIDDEN")

    count = "select count(*) from outbox where subject = $1"
    assert await api.running.pool.fetchval(count, kind.bus_subject()) == 0


async def test_an_update_of_what_has_changed_since_it_was_read_is_refused(api: Api) -> None:
    ada = await api.person()
    _, path = await live(api, ada)

    answer = await ada.asks("PUT", path, {"variables": {}}, headers={"If-Match": '"before"'})

    assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")


async def test_of_an_erased_deployment_nothing_is_left_but_the_counts(api: Api) -> None:
    ada = await api.person()
    deployer, path = await live(api, ada)
    await rates(api, ada, deployer.asked.deployment_id, 4, total=(4, 1))
    await erases(deployer)

    await ada.is_refused("GET", path, status=404, code="NOT_FOUND")

    assert (await ada.gets("/api/deployments"))["items"] == []
    assert (await ada.gets("/api/deployments/stats"))["deployment_count"] == 1
    assert (await ada.gets("/api/modules/m-1"))["rating"]["count"] == 1
    for table in ("deployments", "builds", "deployment_statuses", "log_chunks", "data_keys"):
        assert await api.running.pool.fetchval(f"select count(*) from {table}") == 0
