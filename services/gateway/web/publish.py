"""Publishing modules: the repository, its syncs, and what each of them found."""

from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.looking import again_in, looks
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()

PUBLISHERS: Final = ("partner", "admin")
SYNCS_SHOWN: Final = 10


@pages.get("/publish", *PUBLISHERS)
async def publish(visit: Visit) -> Response:
    """Show the repositories that one may publish from, and the latest syncs."""
    return await _shown(visit, Form())


@pages.post("/publish", *PUBLISHERS)
async def start_sync(visit: Visit) -> Response:
    """Read a repository, and go to the report, which fills while the sync runs."""
    form = await visit.form()
    try:
        sync = await visit.api.post("/api/syncs", {"scope": form.value("scope")}, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, form, status=problem.status)
    return visit.go(f"/publish/{sync['id']}")


@pages.get("/publish/{id}", *PUBLISHERS)
async def sync_report(visit: Visit) -> Response:
    """Show what a sync found, module by module."""
    sync = await visit.api.get(visit.api.at("/api/syncs/{}", visit.request.path_params["id"]))
    look = looks(visit)
    return visit.show("sync.html", sync=sync, form=Form(), look=look, again_in=again_in(look))


async def _shown(visit: Visit, form: Form, *, status: int = 200) -> Response:
    page = await visit.api.get("/api/syncs", limit=SYNCS_SHOWN, cursor=visit.query.get("cursor"))
    sources: list[dict[str, Any]] = []
    if visit.has("admin"):
        settings = await visit.api.get("/api/settings")
        sources.append(
            {
                "scope": "platform",
                "title": "Platform modules",
                "repository": settings["platform_repository"],
                "change": "/settings#repository",
            }
        )
    if visit.has("partner"):
        sources.append(
            {
                "scope": "partner",
                "title": "Your modules",
                "repository": (visit.me or {})["repository"],
                "change": "/profile#repository",
            }
        )
    return visit.show(
        "publish.html",
        status=status,
        sources=sources,
        syncs=page["items"],
        next_cursor=page["next_cursor"],
        address=with_query("/publish"),
        form=form,
    )
