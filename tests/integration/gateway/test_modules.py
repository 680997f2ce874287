"""Modules and syncs, as those see them who may."""

from contracts.catalog.v1 import FileProblem, ModuleReport, ModuleWithdrawn, SyncFinished
from contracts.gateway.v1 import SyncRequested
from runtime.sealing import open_sealed
from tests.integration.gateway.api import CATALOG_KEY, Api
from tests.integration.gateway.neighbours import NOON, publishes


async def test_a_module_is_shown_with_what_a_form_needs(api: Api) -> None:
    ada = await api.person()
    await publishes(api, title="Website", cost=50)

    [card] = (await ada.gets("/api/modules"))["items"]
    module = await ada.gets(f"/api/modules/{card['id']}")

    assert (card["title"], card["credit_cost"], card["your_cost"], card["version"]) == (
        "Website",
        50,
        50,
        1,
    )
    assert card["rating"] == {"average": None, "count": 0}
    assert [v["name"] for v in module["variables"]] == ["region", "size", "token"]
    size = next(v for v in module["variables"] if v["name"] == "size")
    assert (size["default"], size["options"], size["update_safe"]) == (1, [1, 2, 3], True)
    assert (module["commit"], module["readme"]) == ("c0ffee", "# Read me")
    assert [v["version"] for v in module["versions"]] == [1]


async def test_a_new_version_takes_the_place_of_the_old_which_is_told_of(api: Api) -> None:
    ada = await api.person()
    await publishes(api, cost=50)
    await publishes(api, cost=60, version=2)

    module = await ada.gets("/api/modules/m-1")

    assert (module["version"], module["credit_cost"]) == (2, 60)
    assert [(v["version"], len(v["changes"])) for v in module["versions"]] == [(2, 1), (1, 0)]


async def test_what_is_withdrawn_is_listed_no_more_and_can_be_read(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    await api.tells("module-m-1", ModuleWithdrawn(module_id="m-1", withdrawn_at=NOON))

    assert (await ada.gets("/api/modules"))["items"] == []
    assert (await ada.gets("/api/modules/m-1"))["withdrawn"] is True
    body = {"module_id": "m-1", "variables": {"region": "x"}}
    await ada.is_refused("POST", "/api/deployments", body, status=409, code="MODULE_WITHDRAWN")
    quote = await ada.posts("/api/quotes", {"module_id": "m-1"}, status=200)
    assert (quote["allowed"], quote["refusal"]) == (False, "MODULE_WITHDRAWN")


async def test_a_partners_module_is_seen_by_its_owner_and_if_public_by_others(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    partner = await api.person("partner", name="Modules Inc")
    await publishes(api, "private", title="Private", partner_id=partner.id, public=False)
    await publishes(api, "public", title="Public", partner_id=partner.id, public=True, cost=20)
    await publishes(api, "platform", title="Platform")

    async def titles(person: object) -> list[str]:
        items = (await person.gets("/api/modules"))["items"]  # type: ignore[attr-defined]  # a Person
        return [item["title"] for item in items]

    assert await titles(partner) == ["Platform", "Private", "Public"]
    for other in (ada, admin):
        assert await titles(other) == ["Platform", "Public"]
        await other.is_refused("GET", "/api/modules/private", status=404, code="UNKNOWN_MODULE")
        await other.is_refused(
            "POST", "/api/quotes", {"module_id": "private"}, status=404, code="UNKNOWN_MODULE"
        )
        await other.is_refused(
            "POST", "/api/deployments", {"module_id": "private", "variables": {}},
            status=404, code="UNKNOWN_MODULE",
        )  # fmt: skip
    own = await partner.gets("/api/modules/public")
    assert (own["credit_cost"], own["your_cost"], own["partner_name"]) == (20, 0, "Modules Inc")


async def test_modules_are_filtered_sorted_and_paged(api: Api) -> None:
    ada = await api.person()
    for number, (title, cost) in enumerate([("Beta", 30), ("Alpha", 10), ("Gamma", 20)]):
        await publishes(api, f"m-{number}", title=title, cost=cost)

    async def pages(**parameters: str) -> list[str]:
        titles: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await ada.gets("/api/modules", limit=1, **parameters, **cursor)
            titles += [item["title"] for item in page["items"]]
            if page["next_cursor"] is None:
                return titles
            cursor = {"cursor": page["next_cursor"]}

    assert await pages() == ["Alpha", "Beta", "Gamma"]
    assert await pages(sort="cost") == ["Alpha", "Gamma", "Beta"]
    assert sorted(await pages(sort="newest")) == ["Alpha", "Beta", "Gamma"]
    assert await pages(search="ALPHA") == ["Alpha"]
    assert await pages(tag="web", source="admin") == ["Alpha", "Beta", "Gamma"]
    assert await pages(tag="none") == []
    first = await ada.gets("/api/modules", limit=1)
    await ada.is_refused(
        "GET", f"/api/modules?limit=1&sort=cost&cursor={first['next_cursor']}",
        status=422, code="INVALID_CURSOR",
    )  # fmt: skip


async def test_a_sync_runs_until_the_catalogue_says_how_it_went(api: Api) -> None:
    admin = await api.person("admin")
    repository = {"url": "/srv/modules", "branch": "main", "token": "hush-hush"}
    await admin.asks("PATCH", "/api/settings", {"platform_repository": repository})

    answer = await admin.asks("POST", "/api/syncs", {"scope": "platform"})
    sync = answer.json()
    request = await api.asked(SyncRequested)
    await api.tells(
        f"sync-{sync['id']}",
        SyncFinished(
            sync_id=sync["id"],
            scope="platform",
            partner_id=None,
            status="DONE",
            commit="c0ffee",
            error=None,
            modules=(
                ModuleReport(
                    path="website",
                    name="website",
                    outcome="REFUSED",
                    module_id=None,
                    module_version=None,
                    problems=(FileProblem(file="module.yaml", line=3, message="no price"),),
                ),
            ),
            passed_over=("shared",),
            started_at=NOON,
            finished_at=NOON,
        ),
        correlation_id=request.correlationid,
    )
    done = await admin.gets(f"/api/syncs/{sync['id']}")

    assert (answer.status_code, sync["status"]) == (202, "RUNNING")
    assert answer.headers["location"] == f"/api/syncs/{sync['id']}"
    assert (request.data.repository_url, request.data.branch) == ("/srv/modules", "main")
    assert open_sealed(request.data.sealed_token or "", CATALOG_KEY[0]) == b"hush-hush"
    assert (done["status"], done["commit"]) == ("DONE", "c0ffee")
    assert done["passed_over"] == ["shared"]
    assert done["modules"] == [
        {
            "path": "website",
            "name": "website",
            "outcome": "REFUSED",
            "module_id": None,
            "version": None,
            "problems": [{"file": "module.yaml", "line": 3, "message": "no price"}],
            "changes": [],
            "live_deployments": 0,
        }
    ]
    assert [s["id"] for s in (await admin.gets("/api/syncs"))["items"]] == [sync["id"]]


async def test_who_may_ask_for_a_sync_and_see_it(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    partner, other = await api.person("partner"), await api.person("partner")
    await admin.is_refused(
        "POST", "/api/syncs", {"scope": "platform"}, status=409, code="NO_REPOSITORY"
    )
    await partner.asks("PATCH", "/api/me", {"repository": {"url": "/srv/mine"}})

    sync = await partner.posts("/api/syncs", {"scope": "partner"}, status=202)

    request = await api.asked(SyncRequested)
    assert (request.data.partner_id, request.data.repository_url) == (partner.id, "/srv/mine")
    for person, scope in ((ada, "platform"), (ada, "partner"), (partner, "platform")):
        await person.is_refused(
            "POST", "/api/syncs", {"scope": scope}, status=403, code="FORBIDDEN"
        )
    for person in (ada, other):
        await person.is_refused("GET", f"/api/syncs/{sync['id']}", status=404, code="NOT_FOUND")
        assert (await person.gets("/api/syncs"))["items"] == []
    assert (await admin.gets(f"/api/syncs/{sync['id']}"))["scope"] == "partner"
