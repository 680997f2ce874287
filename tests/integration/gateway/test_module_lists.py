"""The order of modules, its pages, and the search that forgives a typo."""

from typing import Any

import asyncpg
import pytest

from contracts.catalog.v1 import ModuleRated, ModuleWithdrawn
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import NOON, deploys, features, publishes
from tests.support.environment import Database


async def names(person: Person, **parameters: Any) -> list[str]:
    """Return the names of all modules in a list, page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await person.gets("/api/modules", **parameters, **cursor)
        found += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def rated(api: Api, module_id: str, total: int, count: int) -> None:
    event = ModuleRated(
        module_id=module_id,
        deployment_id="d",
        stars=5,
        rating_sum=total,
        rating_count=count,
        rated_at=NOON,
    )
    await api.tells(f"module-{module_id}", event)


async def a_shop(api: Api, ada: Person) -> None:
    """Publish modules whose order each is decided by another key."""
    admin = await api.person("admin")
    titles = ("Pinned", "Featured", "Deployed", "Better", "Good", "Alpha", "Beta")
    for title in titles:
        await publishes(api, title.lower(), title=title)
    await ada.asks("PUT", "/api/modules/pinned/pin")
    await features(api, admin, "featured")
    deployer = await deploys(api, ada, module_id="deployed")
    await deployer.succeeds({})
    await rated(api, "better", 9, 2)
    await rated(api, "good", 4, 1)


ORDER = ["pinned", "featured", "deployed", "better", "good", "alpha", "beta"]


async def test_pinned_featured_deployments_rating_name_in_this_order(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    await a_shop(api, ada)
    for limit in (1, 2, 3, 100):
        assert await names(ada, limit=limit) == ORDER, limit
    assert await names(bob, limit=2) == [*ORDER[1:], "pinned"]
    assert await names(ada, pinned=True, limit=1) == ["pinned"]
    assert await names(ada, pinned=False, limit=4) == ORDER[1:]
    assert await names(ada, pinned=True, sort="name") == ["pinned"]
    assert await names(ada, search="beta") == ["beta"]
    assert (await names(ada, sort="rating"))[:2] == ["better", "good"]
    assert (await names(ada, sort="deployments", limit=2))[0] == "deployed"
    assert await names(ada, sort="name", limit=3) == sorted(ORDER)


async def test_what_is_put_in_between_pages_moves_nothing(api: Api) -> None:
    ada = await api.person()
    await a_shop(api, ada)
    first = await ada.gets("/api/modules", limit=5)
    await publishes(api, "aaa", title="Aaa")
    await publishes(api, "zzz", title="Zzz")
    rest = await ada.gets("/api/modules", limit=5, cursor=first["next_cursor"])
    assert [item["name"] for item in first["items"]] == ORDER[:5]
    # What comes before the place is missed; what comes after it is seen.
    assert [item["name"] for item in rest["items"]] == ["aaa", "alpha", "beta", "zzz"]


async def test_a_cursor_is_good_for_its_own_list_only(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    await a_shop(api, ada)
    cursor = (await ada.gets("/api/modules", limit=1))["next_cursor"]
    for person, query in (
        (bob, f"cursor={cursor}"),
        (ada, f"cursor={cursor}&sort=name"),
        (ada, f"cursor={cursor}&pinned=true"),
        (ada, f"cursor={cursor}&search=a"),
        (ada, f"cursor={cursor[:-1]}"),
    ):
        await person.is_refused("GET", f"/api/modules?{query}", status=422, code="INVALID_CURSOR")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("kubernetes", ["gke-cluster"]),
        ("KUBER", ["gke-cluster"]),
        ("kubernets", ["gke-cluster"]),  # codespell:ignore
        ("kubrenetes", ["gke-cluster"]),
        ("clutser gke", ["gke-cluster"]),  # codespell:ignore
        ("wesbite", ["static-website"]),  # codespell:ignore
        ("postgers", ["postgres"]),
        ("databse", ["postgres"]),  # codespell:ignore
        ("ready use", ["gke-cluster", "postgres", "static-website"]),
        ("static", ["gke-cluster", "postgres", "static-website"]),  # a tag of all of them
        ("xyz", []),
        ("gke postgres", []),
        # What has a meaning in a pattern has none here.
        ("%", []),
        ("_", []),
        ("\\", []),
        ("'; drop table modules", []),
        ("   ", ["gke-cluster", "postgres", "static-website"]),
    ],
)
async def test_a_search_forgives_a_typo(api: Api, search: str, found: list[str]) -> None:
    ada = await api.person()
    await publishes(api, "m-1", title="GKE Cluster", description="Kubernetes, ready to use.")
    await publishes(api, "m-2", title="Static Website")
    await publishes(api, "m-3", title="Postgres", description="A database, ready to use.")
    assert await names(ada, search=search) == found
    assert sorted(await names(ada, search=search, sort="relevance", limit=1)) == found


async def test_the_nearest_comes_first_by_relevance(api: Api) -> None:
    ada = await api.person()
    await publishes(api, "m-1", title="Audit of clusters")
    await publishes(api, "m-2", title="Cluster")
    await publishes(api, "m-3", title="Network", description="For a cluster.")
    assert await names(ada, search="cluster", sort="relevance", limit=1) == [
        "cluster", "audit-of-clusters", "network",
    ]  # fmt: skip


async def test_nothing_follows_from_what_others_hide(api: Api) -> None:
    ada, partner = await api.person(), await api.person("partner")
    await publishes(api, "m-1", title="Clusters", partner_id=partner.id, public=False)
    await publishes(api, "m-2", title="Cluster")
    # "clusters" occurs in the hidden module alone: for others it is a typo as any other.
    assert await names(partner, search="clusters") == ["clusters"]
    assert await names(ada, search="clusters") == ["cluster"]
    for search in ("nul\x00l", ""):
        await ada.is_refused(
            "GET", "/api/modules", params={"search": search}, status=422, code="INVALID_INPUT"
        )


async def test_the_indexes_are_used(api: Api, gateway_database: Database) -> None:
    """With ten thousand modules and statistics of them, nothing is read row by row."""
    pool = api.running.pool
    await publishes(api, "m", title="Needle")
    await pool.execute(
        """insert into modules (module_id, source, version, name, title, description, tags,
                                credit_cost, premium, public_access, published_at, updated_at,
                                search_text)
           select 'm-' || n, 'admin', 1, 'n-' || n, 't-' || n, md5(n::text), array['t' || n % 100],
                  1, false, true, now(), now(), md5(n::text) || ' ' || md5((n + 1)::text)
           from generate_series(1, 10000) as n"""
    )
    await pool.execute(
        "insert into module_words select distinct md5(n::text) from generate_series(1, 10000) as n"
    )
    owner = await asyncpg.connect(gateway_database.admin_dsn)
    await owner.execute("vacuum analyze modules, module_words")
    await owner.close()
    for query, index in (
        (
            """select module_id from modules m where m.withdrawn_at is null
               order by (not m.featured), (-m.deployment_count), (-m.rating_milli), m.name,
                        m.module_id limit 25""",
            "modules_by_standing",
        ),
        ("select module_id from modules where search_text like '%needle%'", "modules_by_text"),
        ("select word from module_words where word % 'neelde'", "module_words_alike"),
        ("select module_id from modules where tags @> array['t7']", "modules_by_tag"),
    ):
        plan = await pool.fetch(f"explain {query}")
        assert any(index in row[0] for row in plan), (query, plan)


async def test_tags_are_of_all_modules_that_are_listed_the_commonest_first(api: Api) -> None:
    ada, pia = await api.person(), await api.person("partner")
    for number in range(30):
        tags = ("net", "rare") if number == 0 else ("net",)
        await publishes(api, f"m-{number}", title=f"Net {number}", tags=tags)
    await publishes(api, "own", title="Own", tags=("hush", "net"), partner_id=pia.id, public=False)
    await publishes(api, "gone", title="Gone", tags=("gone",))
    gone = ModuleWithdrawn(module_id="gone", withdrawn_at=NOON)
    await api.tells("module-gone", gone)
    await ada.asks("PUT", "/api/modules/m-0/pin")

    async def tags_of(person: Person, **filters: Any) -> list[tuple[str, int]]:
        found = await person.gets("/api/modules/tags", **filters)
        return [(each["tag"], each["module_count"]) for each in found["items"]]

    assert await tags_of(ada) == [("net", 30), ("rare", 1)]
    assert await tags_of(pia) == [("net", 31), ("hush", 1), ("rare", 1)]
    assert await tags_of(pia, source="partner") == [("hush", 1), ("net", 1)]
    assert await tags_of(ada, limit=1) == [("net", 30)]
    assert await tags_of(ada, pinned=True) == [("net", 1), ("rare", 1)]
    assert await tags_of(ada, search="net 17") == [("net", 1)]
    assert await tags_of(ada, search="hush") == []
    # Its module is the last of the list's second page.
    page = (await ada.asks("GET", "/deploy?sort=deployments")).text
    assert '/deploy/m-0"' not in page
    assert "tag=rare" in page
    chosen = (await ada.asks("GET", "/deploy?tag=nobody-has-it&search=%20")).text
    assert "nobody-has-it" in chosen
    assert "tag=rare" in chosen
