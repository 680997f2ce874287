"""A private module of a partner's does not exist for anybody else, whatever is asked.

What a call says of it is compared with what it says of a module that there never was.
"""

import re
from typing import Any, Final

import pytest

from contracts.catalog.v1 import ModuleFeatured, ModuleRated, ModuleWithdrawn
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.listening import listening
from tests.integration.gateway.neighbours import NOON, deploys, publishes, rates

PRIVATE: Final = "private-module"
NOWHERE: Final = "nowhere-module"

CALLS: Final[list[tuple[str, str, Any]]] = [
    ("GET", "/api/modules/{id}", None),
    ("GET", "/api/modules/{id}?version=1", None),
    ("GET", "/api/modules/{id}?version=99", None),
    ("PUT", "/api/modules/{id}/pin", None),
    ("DELETE", "/api/modules/{id}/pin", None),
    ("PUT", "/api/modules/{id}/featured", None),
    ("DELETE", "/api/modules/{id}/featured", None),
    ("POST", "/api/quotes", {"module_id": "{id}"}),
    ("POST", "/api/quotes", {"module_id": "{id}", "version": 1, "variables": {"region": "x"}}),
    ("POST", "/api/deployments", {"module_id": "{id}", "variables": {"region": "x"}}),
    ("POST", "/api/deployments", {"module_id": "{id}", "variables": {}, "version": 7}),
    ("GET", "/api/deployments?module_id={id}", None),
    ("GET", "/api/modules?search={id}", None),
]
LISTS: Final[list[dict[str, Any]]] = [
    {},
    {"source": "partner"},
    {"search": "secret"},
    {"search": "secrte"},
    {"search": "hush"},
    {"tag": "web"},
    {"pinned": True},
    {"pinned": False},
    *({"sort": sort, "search": "secret", "limit": 1} for sort in ("relevance", "name")),
    *(
        {"sort": sort}
        for sort in ("title", "name", "cost", "newest", "deployments", "rating", "standing")
    ),
]
_REQUEST_ID: Final = re.compile(r'"request_id":"[^"]+"')


async def said(person: Person, method: str, path: str, body: Any, module_id: str) -> Any:
    """Return what a call says, without what differs by the call or by the name of the module."""
    if body is not None:
        body = {**body, "module_id": module_id}
    answer = await person.asks(method, path.replace("{id}", module_id), body)
    text = _REQUEST_ID.sub("", answer.text).replace(module_id, "{id}")
    return answer.status_code, text


@pytest.mark.parametrize("role", ["user", "partner", "agent", "finance", "support", "admin"])
async def test_no_call_tells_a_private_module_from_one_that_never_was(api: Api, role: str) -> None:
    owner, other = await api.person("partner"), await api.person(role)
    await publishes(api, PRIVATE, title="Secret", description="Hush.", partner_id=owner.id,
                    public=False)  # fmt: skip
    await publishes(api, PRIVATE, title="Secret", description="Hush.", partner_id=owner.id,
                    public=False, version=2)  # fmt: skip
    await publishes(api, "open", title="Open")
    await owner.asks("PUT", f"/api/modules/{PRIVATE}/pin")
    for call in CALLS:
        assert await said(other, *call, PRIVATE) == await said(other, *call, NOWHERE), call
    for parameters in LISTS:
        shown = (await other.gets("/api/modules", **parameters))["items"]
        assert PRIVATE not in {item["id"] for item in shown}, parameters
        own = (await owner.gets("/api/modules", **parameters))["items"]
        if parameters not in ({"pinned": False}, {"search": "secrte"}):
            assert PRIVATE in {item["id"] for item in own}, parameters


async def test_for_its_owner_a_private_module_is_as_any(api: Api) -> None:
    owner = await api.person("partner")
    await publishes(api, PRIVATE, partner_id=owner.id, public=False)
    for method, path, status in (
        ("GET", "/api/modules/{id}", 200),
        ("GET", "/api/modules/{id}?version=1", 200),
        ("GET", "/api/modules/{id}?version=99", 404),
        ("PUT", "/api/modules/{id}/pin", 204),
        ("DELETE", "/api/modules/{id}/pin", 204),
        ("PUT", "/api/modules/{id}/featured", 403),
    ):
        answer = await owner.asks(method, path.replace("{id}", PRIVATE))
        assert answer.status_code == status, (method, path, answer.text)


async def test_a_module_that_becomes_private_is_gone_for_others_but_their_deployments_live(
    api: Api,
) -> None:
    owner, ada = await api.person("partner"), await api.person()
    await publishes(api, PRIVATE, partner_id=owner.id)
    await ada.asks("PUT", f"/api/modules/{PRIVATE}/pin")
    deployer = await deploys(api, ada, module_id=PRIVATE)
    await deployer.succeeds({})
    deployment_id = deployer.asked.deployment_id
    await publishes(api, PRIVATE, partner_id=owner.id, public=False, version=2)

    assert (await ada.gets("/api/modules"))["items"] == []
    assert (await ada.gets("/api/modules", pinned=True))["items"] == []
    for call in CALLS[:-2]:
        assert await said(ada, *call, PRIVATE) == await said(ada, *call, NOWHERE), call
    # What she has deployed is hers: she sees it, and may rate it.
    await rates(api, ada, deployment_id, 2, total=(2, 1), module_id=PRIVATE)
    assert (await ada.gets(f"/api/deployments/{deployment_id}"))["rating"] == 2
    assert (await owner.gets(f"/api/modules/{PRIVATE}"))["rating"]["count"] == 1


async def test_nothing_of_a_private_module_is_told_live_to_others(api: Api) -> None:
    owner, admin = await api.person("partner"), await api.person("admin")
    stream = f"module-{PRIVATE}"
    rated = ModuleRated(
        module_id=PRIVATE,
        deployment_id="d",
        stars=5,
        rating_sum=5,
        rating_count=1,
        rated_at=NOON,
    )
    async with listening(owner) as heard, listening(admin) as others:
        await publishes(api, PRIVATE, partner_id=owner.id, public=False)
        await api.tells(stream, rated)
        await api.tells(stream, ModuleFeatured(module_id=PRIVATE, featured_at=NOON))
        await api.tells(stream, ModuleWithdrawn(module_id=PRIVATE, withdrawn_at=NOON))
        await publishes(api, "open", title="Open")
        changes = [(await heard.until("module"))["change"] for _ in range(5)]
        await others.until("module", id="open")
    assert changes == ["PUBLISHED", "RATED", "FEATURED", "WITHDRAWN", "PUBLISHED"]
    assert [kind for kind, _, _ in others.heard] == ["module"]


async def test_stars_of_a_public_module_are_told_live(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    rated = ModuleRated(
        module_id="m-1", deployment_id="d", stars=5, rating_sum=9, rating_count=2, rated_at=NOON
    )
    async with listening(ada) as heard:
        await api.tells("module-m-1", rated)
        told = await heard.until("module", change="RATED")
    assert told["rating"] == {"average": "4.50", "count": 2}


async def test_who_may_update_a_deployment_sees_its_module_for_that(api: Api) -> None:
    owner, ada = await api.person("partner"), await api.person()
    admin, nosy = await api.person("admin"), await api.person("support")
    await publishes(api, PRIVATE, partner_id=owner.id)
    deployed = {}
    for person in (owner, ada):
        deployer = await deploys(api, person, module_id=PRIVATE)
        await deployer.succeeds({})
        deployed[person.id] = deployer.asked.deployment_id
    await publishes(api, PRIVATE, partner_id=owner.id, public=False, version=2)
    path = f"/api/modules/{PRIVATE}"

    async def versions(person: Person, whose: Person) -> list[int]:
        module = await person.gets(path, deployment_id=deployed[whose.id])
        return [each["version"] for each in module["versions"]]

    # For the owner's own deployment there is every version; for hers only the one that she has.
    assert await versions(admin, owner) == await versions(owner, owner) == [2, 1]
    assert await versions(admin, ada) == await versions(ada, ada) == [1]
    for person, whose, version, status in (
        (admin, owner, 2, 200), (admin, ada, 1, 200), (ada, ada, 1, 200),
        (admin, ada, 2, 404), (ada, ada, 2, 404), (ada, owner, 1, 404), (nosy, ada, 1, 404),
    ):  # fmt: skip
        about = {"deployment_id": deployed[whose.id], "version": version}
        assert (await person.asks("GET", path, params=about)).status_code == status
        quote = await person.asks("POST", "/api/quotes", {**about, "module_id": PRIVATE})
        assert quote.status_code == status
        if status == 200:
            assert (quote.json()["cost"], quote.json()["allowed"]) == (0, True)
    other = await publishes(api, "other", partner_id=owner.id, public=False)
    about = {"deployment_id": deployed[ada.id]}
    assert (await ada.asks("GET", f"/api/modules/{other}", params=about)).status_code == 404
    checked = {**about, "module_id": PRIVATE, "variables": {"region": 7}}
    await admin.is_refused("POST", "/api/quotes", checked, status=422, code="INVALID_VARIABLES")
