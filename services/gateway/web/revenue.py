"""Revenue: what a partner's modules and an agent's users earned, and why."""

from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.downloads import Download
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.revenue_lines import filters, show_lines
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()
PAYEES: Final = ("partner", "agent")
ALL: Final = (*PAYEES, "finance", "admin")
USERS: Final = 25


@pages.get("/revenue", *PAYEES)
async def revenue(visit: Visit) -> Response:
    """Show what the visitor's modules earned; agents begin with the users whom they referred."""
    if not visit.has("partner"):
        return visit.go("/revenue/users")
    return await show_lines(visit, "revenue_modules.html", "/revenue", every=False)


@pages.get("/revenue.csv", "partner")
async def revenue_csv(visit: Visit) -> Response:
    """Download all lines that the filters leave."""
    return Download(visit, "/api/revenue/modules", **filters(visit))


@pages.get("/revenue/users", "agent")
async def referred_users(visit: Visit) -> Response:
    """Show the users whom an agent referred."""
    return await show_users(visit, "revenue_users.html", "/revenue/users", "/revenue/users.csv")


@pages.get("/revenue/users.csv", "agent")
async def referred_users_csv(visit: Visit) -> Response:
    """Download all users whom an agent referred, and whom the filters leave."""
    return users_csv(visit)


@pages.get("/revenue/explain/{deployment_id}", *ALL)
async def explanation(visit: Visit) -> Response:
    """Show how a deployment's revenue came about."""
    deployment_id = visit.request.path_params["deployment_id"]
    path = visit.api.at("/api/revenue/explain/{}", deployment_id)
    found: dict[str, Any] = await visit.api.get(path)
    return visit.show("revenue_explained.html", it=found)


def users_csv(visit: Visit) -> Response:
    """Return all users that the filters leave, as a file."""
    return Download(visit, "/api/revenue/users", **_user_filters(visit))


async def show_users(visit: Visit, template: str, address: str, csv: str) -> Response:
    """Show a page of users with what they earned, and the sums of all."""
    wanted = _user_filters(visit)
    form = Form({name: str(value or "") for name, value in wanted.items()})
    page = None
    try:
        page = await visit.api.get(
            "/api/revenue/users", **wanted, cursor=visit.query.get("cursor"), limit=USERS
        )
    except ApiProblem as problem:
        form.problem = problem
    return visit.show(
        template,
        status=200 if form.problem is None else form.problem.status,
        form=form,
        address=with_query(address, **wanted),
        csv=with_query(csv, **wanted),
        page=page,
        filtered=any(wanted.values()),
    )


def _user_filters(visit: Visit) -> dict[str, str | None]:
    return {name: visit.query.get(name) or None for name in ("from", "to", "search")}
