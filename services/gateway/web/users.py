"""Users: who there is, what they may, and who brought them."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.visit import BadFormError, Form, Visit

pages: Final = Pages()

STAFF: Final = ("admin", "finance", "support")
ROLES: Final = ("user", "partner", "agent", "finance", "support", "admin")
MEANINGS: Final = {
    "user": "deploys modules",
    "partner": "publishes modules, and earns of them",
    "agent": "earns of the users they refer",
    "finance": "sees all revenue, gives credits, closes months",
    "support": "sees all users and deployments",
    "admin": "may do everything",
}
AGENTS_MAX: Final = 100


@pages.get("/users", *STAFF)
async def users(visit: Visit) -> Response:
    """List the users."""
    asked = {name: visit.query.get(name, "") for name in ("search", "role", "active")}
    page = await visit.api.get("/api/users", **asked, cursor=visit.query.get("cursor"))
    return visit.show(
        "users.html",
        users=page["items"],
        next_cursor=page["next_cursor"],
        asked=asked,
        form=Form(asked),
        roles=ROLES,
        address=with_query("/users", **asked),
    )


@pages.get("/users/{id}", "admin")
async def user(visit: Visit) -> Response:
    """Show a user, and what of them can be changed."""
    return await _shown(visit, Form())


@pages.post("/users/{id}", "admin")
async def change_user(visit: Visit) -> Response:
    """Change a user's roles, referrer, and whether they are active."""
    form = await visit.form()
    path = _path(visit)
    change: dict[str, Any]
    match form.given("what"):
        case "roles":
            change = {
                "roles": ["user", *(each for each in form.lists.get("roles", []) if each != "user")]
            }
        case "referrer":
            change = {"referred_by": form.given("referred_by")}
        case "activate":
            change = {"active": True}
        case "deactivate":
            change = {"active": False}
        case _:
            raise BadFormError("it does not say what to change")
    try:
        await visit.api.call("PATCH", path, body=change, if_match=form.given("etag"))
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, form, status=problem.status)
    return visit.go(visit.path, "Saved. It holds from their next request on.")


async def _shown(visit: Visit, form: Form, *, status: int = 200) -> Response:
    found, agents = await asyncio.gather(
        visit.api.call("GET", _path(visit)),
        visit.api.get("/api/users", role="agent", active=True, limit=AGENTS_MAX),
    )
    person = found.json
    others = [each for each in agents["items"] if each["id"] != person["id"]]
    if person["referred_by"] and person["referred_by"] not in {each["id"] for each in others}:
        others.append({"id": person["referred_by"], "email": f"now: {person['referred_by']}"})
    balance, deployments = await asyncio.gather(
        visit.api.get("/api/credits/balance", user_id=person["id"]),
        visit.api.get("/api/deployments", scope="all", user_id=person["id"], limit=5),
    )
    return visit.show(
        "user.html",
        status=status,
        person=person,
        etag=found.header("etag"),
        form=form,
        roles=ROLES,
        meanings=MEANINGS,
        agents=[("", "nobody"), *((each["id"], each["email"]) for each in others)],
        balance=balance,
        deployments=deployments["items"],
    )


def _path(visit: Visit) -> str:
    return visit.api.at("/api/users/{}", visit.request.path_params["id"])
