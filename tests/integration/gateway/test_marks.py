"""Pins, stars and what admins feature, as the API has them."""

import asyncio

import pytest

from contracts.catalog.v1 import ModuleUnfeatured, ModuleWithdrawn, RequestRefused
from contracts.deployer.v1 import DeploymentErased
from contracts.gateway.v1 import FeatureRequested, RatingRequested
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import (
    NOON,
    Deployer,
    deploys,
    features,
    publishes,
    rates,
)


async def succeeded(api: Api, person: Person, module_id: str = "m-1") -> Deployer:
    deployer = await deploys(api, person, module_id=module_id)
    await deployer.starts()
    await deployer.succeeds({})
    return deployer


async def card(person: Person, module_id: str = "m-1") -> dict[str, object]:
    items = (await person.gets("/api/modules"))["items"]
    return next(item for item in items if item["id"] == module_id)


async def test_stars_are_shown_on_the_card_the_details_and_the_deployment(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    await publishes(api)
    first, second = await succeeded(api, ada), await succeeded(api, bob)
    ids = [each.asked.deployment_id for each in (first, second)]

    assert (await ada.gets(f"/api/deployments/{ids[0]}"))["rating"] is None
    await rates(api, ada, ids[0], 5, total=(5, 1))
    await rates(api, bob, ids[1], 2, total=(7, 2), before=1)
    assert (await card(ada))["rating"] == {"average": "3.50", "count": 2}
    await rates(api, bob, ids[1], 4, total=(9, 2), before=2)

    assert (await card(ada))["rating"] == {"average": "4.50", "count": 2}
    assert (await bob.gets("/api/modules/m-1"))["rating"] == {"average": "4.50", "count": 2}
    assert (await bob.gets(f"/api/deployments/{ids[1]}"))["rating"] == 4
    # The same again is answered without anybody being asked.
    again = await bob.asks("PUT", f"/api/deployments/{ids[1]}/rating", {"stars": 4})
    assert again.status_code == 204
    asked = RatingRequested.bus_subject()
    count = await api.running.pool.fetchval("select count(*) from outbox where subject = $1", asked)
    assert count == 3


@pytest.mark.parametrize("stars", [0, 6, -1, 2.5, "5", True, None])
async def test_stars_are_whole_and_from_one_to_five(api: Api, stars: object) -> None:
    ada = await api.person()
    await publishes(api)
    deployment_id = (await succeeded(api, ada)).asked.deployment_id
    path = f"/api/deployments/{deployment_id}/rating"
    problem = await ada.is_refused("PUT", path, {"stars": stars}, status=422, code="INVALID_INPUT")
    assert problem["errors"][0]["pointer"] == "/stars"


async def test_only_the_owner_rates_and_the_catalogue_has_the_last_word(api: Api) -> None:
    ada, bob, admin = await api.person(), await api.person(), await api.person("admin")
    await publishes(api)
    deployment_id = (await deploys(api, ada)).asked.deployment_id
    path = f"/api/deployments/{deployment_id}/rating"
    for other in (bob, admin):
        await other.is_refused("PUT", path, {"stars": 5}, status=404, code="NOT_FOUND")
    await ada.is_refused(
        "PUT", "/api/deployments/none/rating", {"stars": 5}, status=404, code="NOT_FOUND"
    )

    asking = asyncio.create_task(
        ada.is_refused("PUT", path, {"stars": 5}, status=409, code="DEPLOYMENT_NOT_SUCCEEDED")
    )
    request = await api.asked(RatingRequested)
    refused = RequestRefused(
        request_id=request.correlationid,
        code="DEPLOYMENT_NOT_SUCCEEDED",
        detail="it has not",
        details={},
    )
    await api.tells(
        f"refusal-{request.correlationid}", refused, correlation_id=request.correlationid
    )
    await asking
    assert (request.data.module_id, request.data.requested_by) == ("m-1", ada.id)


async def test_a_pin_is_ones_own_and_setting_it_twice_changes_nothing(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    await publishes(api)
    for method, pinned in (("PUT", True), ("PUT", True), ("DELETE", False), ("DELETE", False)):
        answer = await ada.asks(method, "/api/modules/m-1/pin")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await card(ada))["pinned"] is pinned
        assert (await ada.gets("/api/modules/m-1"))["pinned"] is pinned
        assert (await card(bob))["pinned"] is False


async def test_there_is_an_end_to_pins(api: Api) -> None:
    ada = await api.person()
    for number in range(201):
        await publishes(api, f"m-{number}", title=f"Module {number}")
    for number in range(200):
        assert (await ada.asks("PUT", f"/api/modules/m-{number}/pin")).status_code == 204
    await ada.is_refused("PUT", "/api/modules/m-200/pin", status=409, code="TOO_MANY_PINS")
    assert (await ada.asks("PUT", "/api/modules/m-7/pin")).status_code == 204


async def test_an_admin_features_a_module_for_everybody(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    await publishes(api)
    await ada.is_refused("PUT", "/api/modules/m-1/featured", status=403, code="FORBIDDEN")
    await features(api, admin)
    assert (await card(ada))["featured"] is True
    assert (await admin.asks("PUT", "/api/modules/m-1/featured")).status_code == 204

    asking = asyncio.create_task(admin.asks("DELETE", "/api/modules/m-1/featured"))
    request = await api.asked(FeatureRequested, after=1)
    assert request.data.featured is False
    event = ModuleUnfeatured(module_id="m-1", unfeatured_at=NOON)
    await api.tells("module-m-1", event, correlation_id=request.correlationid)
    assert (await asking).status_code == 204
    assert (await card(ada))["featured"] is False


async def test_a_module_counts_the_deployments_that_succeeded_each_once(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    await deployer.starts()
    assert (await card(ada))["deployment_count"] == 0
    await deployer.succeeds({})
    await deployer.succeeds({})
    await (await deploys(api, ada)).fails("no such zone")
    assert (await card(ada))["deployment_count"] == 1
    await publishes(api, version=2)
    assert (await card(ada))["deployment_count"] == 1


async def test_what_others_hide_cannot_be_pinned_featured_or_rated(api: Api) -> None:
    admin, ada, partner = await api.person("admin"), await api.person(), await api.person("partner")
    await publishes(api, "private", partner_id=partner.id, public=False)
    for person in (ada, admin):
        for method in ("PUT", "DELETE"):
            for path in ("/api/modules/private/pin", "/api/modules/none/pin"):
                await person.is_refused(method, path, status=404, code="UNKNOWN_MODULE")
    for method in ("PUT", "DELETE"):
        path = "/api/modules/private/featured"
        await admin.is_refused(method, path, status=404, code="UNKNOWN_MODULE")
    assert (await partner.asks("PUT", "/api/modules/private/pin")).status_code == 204
    assert (await card(partner, "private"))["pinned"] is True


async def test_what_is_withdrawn_keeps_its_stars_and_can_still_be_unpinned(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployment_id = (await succeeded(api, ada)).asked.deployment_id
    await ada.asks("PUT", "/api/modules/m-1/pin")
    await api.tells("module-m-1", ModuleWithdrawn(module_id="m-1", withdrawn_at=NOON))
    await rates(api, ada, deployment_id, 3, total=(3, 1))
    module = await ada.gets("/api/modules/m-1")
    assert (module["rating"], module["pinned"]) == ({"average": "3.00", "count": 1}, True)
    assert (await ada.asks("DELETE", "/api/modules/m-1/pin")).status_code == 204


async def test_what_a_deployment_was_given_goes_with_it_and_the_counts_stay(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployment_id = (await succeeded(api, ada)).asked.deployment_id
    await rates(api, ada, deployment_id, 4, total=(4, 1))
    erased = DeploymentErased(deployment_id=deployment_id, user_id=ada.id)
    await api.tells(f"deployment-{deployment_id}", erased)
    assert await api.running.pool.fetchval("select count(*) from ratings") == 0
    shown = await card(ada)
    assert (shown["rating"], shown["deployment_count"]) == ({"average": "4.00", "count": 1}, 1)
