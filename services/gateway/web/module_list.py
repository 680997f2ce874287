"""What can be deployed: the platform's modules and those of partners, as cards."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.shortage import Shortage, shortage
from services.gateway.web.visit import Visit, local

pages: Final = Pages()

CARDS: Final = 24
TAGS_MAX: Final = 12
SOURCES: Final = ("admin", "partner")
SORTS: Final = (
    ("", "Best known"),
    ("rating", "Best rated"),
    ("deployments", "Most deployed"),
    ("newest", "Newest"),
    ("cost", "Cheapest"),
    ("title", "Title"),
)
_UNPROCESSABLE: Final = 422


@pages.get("/deploy")
async def modules(visit: Visit) -> Response:
    """Show the modules of one tab, those that fit a search and a tag."""
    asked = {name: visit.query.get(name, "").strip() for name in ("search", "tag", "sort")}
    asked["pinned"] = "true" if visit.query.get("pinned") else ""
    source = visit.query.get("source", "")
    source = source if source in SOURCES else SOURCES[0]
    (found, tags), stats, short = await asyncio.gather(
        _found(visit, source, asked),
        visit.api.get("/api/deployments/stats"),
        _shortage(visit),
    )
    return visit.show(
        "deploy.html",
        source=source,
        asked=asked,
        modules=found["items"],
        next_cursor=found["next_cursor"],
        tags=tags,
        stats=stats,
        short=short,
        sorts=SORTS,
        here=with_query("/deploy", source=source, **asked),
        is_filtered=any(asked[name] for name in ("search", "tag", "pinned")),
    )


@pages.post("/deploy/{module}/pin")
async def pin(visit: Visit) -> Response:
    """Put a module before all others in the visitor's own lists, or no longer."""
    return await _mark(visit, "pin", "pinned")


@pages.post("/deploy/{module}/featured", "admin")
async def feature(visit: Visit) -> Response:
    """Put a module before others for everybody, or no longer."""
    return await _mark(visit, "featured", "featured")


async def _mark(visit: Visit, mark: str, name: str) -> Response:
    form = await visit.form()
    module = visit.request.path_params["module"]
    method = "PUT" if form.value(name) == "1" else "DELETE"
    await visit.api.call(method, visit.api.at(f"/api/modules/{{}}/{mark}", module))
    return visit.go(local(form.given("back"), "/deploy"))


async def _shortage(visit: Visit) -> Shortage | None:
    """Return the hint that a whole page has; no part of it that is fetched anew holds it."""
    return None if visit.is_part else await shortage(visit)


async def _found(
    visit: Visit, source: str, asked: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return a page of modules, and the tags that all of them have, whichever tag is chosen.

    There are none where the API cannot look for what was asked.
    """
    sort = asked["sort"] if asked["sort"] in dict(SORTS) else ""
    wanted = {"source": source, "search": asked["search"], "pinned": asked["pinned"]}
    try:
        found, tags = await asyncio.gather(
            visit.api.get(
                "/api/modules",
                **wanted,
                tag=asked["tag"],
                sort=sort or ("relevance" if asked["search"] else "standing"),
                cursor=visit.query.get("cursor"),
                limit=CARDS,
            ),
            visit.api.get("/api/modules/tags", **wanted, limit=TAGS_MAX),
        )
    except ApiProblem as problem:
        if problem.status != _UNPROCESSABLE or problem.code == "INVALID_CURSOR":
            raise
        return {"items": [], "next_cursor": None}, _tags([], asked["tag"])
    return found, _tags([each["tag"] for each in tags["items"]], asked["tag"])


def _tags(common: list[str], chosen: str) -> list[str]:
    """Return the tags to filter by: the commonest, and before them a chosen one that is none."""
    return common if not chosen or chosen in common else [chosen, *common]
