"""The ledger: its events as they are, whether all of it fits, and what it came to at an instant."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.billing import ROLES
from services.gateway.web.looking import again_in, looks
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.visit import Form, Visit
from services.gateway.web.webhooks import instant

pages: Final = Pages()
EVENTS: Final = 50
USERS: Final = 5

CREDITS: Final = {
    "awarded": "Awarded credits",
    "purchased": "Purchased credits",
    "total": "All credits",
    "held": "held of them",
    "frozen": "frozen of them",
    "debt": "Debt",
    "available": "Available credits",
}
REVENUE: Final = {
    "true_revenue": "True revenue",
    "partner_share": "Partners\u2019 share",
    "agent_share": "Agents\u2019 share",
}


@pages.get("/ledger", *ROLES)
async def events(visit: Visit) -> Response:
    """List the ledger's messages, the oldest first."""
    form = Form({"user": visit.query.get("user", "")})
    user, others = await _user(visit, form)
    found: dict[str, Any] = {"items": [], "next_after": None, "more": False}
    if user is not None or form.given("user") is None:
        try:
            found = await visit.api.get(
                "/api/ledger/events",
                user_id=None if user is None else user["id"],
                after=visit.query.get("after"),
                limit=EVENTS,
            )
        except ApiProblem as problem:
            form.problem = problem
    return visit.show(
        "ledger.html",
        status=200 if form.problem is None else form.problem.status,
        form=form,
        found=found,
        user=user,
        others=others,
    )


@pages.get("/ledger/verify", *ROLES)
async def verification(visit: Visit) -> Response:
    """Show what a verification found, or that it still runs."""
    request_id = visit.query.get("request")
    asked = None
    if request_id is not None:
        asked = await visit.api.get(visit.api.at("/api/requests/{}", request_id))
    return _shown(visit, Form(), asked)


@pages.post("/ledger/verify", *ROLES)
async def verify(visit: Visit) -> Response:
    """Have the whole ledger checked."""
    form = await visit.form()
    try:
        done = await visit.api.post("/api/ledger/verify", key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return _shown(visit, form, None)
    if done.get("status") == "PENDING":
        return visit.go(f"/ledger/verify?request={done['id']}")
    return _shown(visit, Form(), {"status": "DONE", "result": done})


def _shown(visit: Visit, form: Form, asked: dict[str, Any] | None) -> Response:
    """Return the page of a verification; one that still runs is looked for again."""
    look = looks(visit)
    pending = asked is not None and asked["status"] == "PENDING"
    return visit.show(
        "ledger_verify.html",
        status=200 if form.problem is None else form.problem.status,
        form=form,
        asked=asked,
        here=with_query("/ledger/verify", request=visit.query.get("request")),
        look=look,
        again_in=again_in(look) if pending else None,
    )


@pages.get("/ledger/replay", *ROLES)
async def replay(visit: Visit) -> Response:
    """Show what the ledger came to at an instant, beside what it comes to now."""
    form = Form({name: visit.query.get(name, "") for name in ("as_of", "user")})
    user, others = await _user(visit, form)
    at = form.given("as_of")
    known = user is not None or form.given("user") is None
    then = now = None
    if at is not None and known:
        try:
            then, now = await asyncio.gather(
                _figures(visit, user, instant(at)), _figures(visit, user, None)
            )
        except ApiProblem as problem:
            form.problem = problem
    return visit.show(
        "ledger_replay.html",
        status=200 if form.problem is None else form.problem.status,
        form=form,
        user=user,
        others=others,
        at=None if at is None else instant(at),
        then=then,
        now=now,
        names={**CREDITS, **REVENUE},
    )


async def _figures(visit: Visit, user: dict[str, Any] | None, at: str | None) -> dict[str, Any]:
    """Return what one user has, or what all have and earned; now, or as of an instant."""
    if user is not None:
        balance = await visit.api.get("/api/credits/balance", user_id=user["id"], as_of=at)
        return {name: balance[name] for name in CREDITS}
    totals, revenue = await asyncio.gather(
        visit.api.get("/api/ledger/totals", as_of=at),
        visit.api.get("/api/revenue/summary", group_by="month", to=at),
    )
    return {
        **{name: totals[name] for name in CREDITS},
        **{name: revenue["totals"][name] for name in REVENUE},
    }


async def _user(visit: Visit, form: Form) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return the one user whom a filter means; where it may mean several, these."""
    search = form.given("user")
    if search is None:
        return None, []
    found = (await visit.api.get("/api/users", search=search, limit=USERS))["items"]
    exact = [each for each in found if search in (each["id"], each["email"])]
    if len(exact) == 1 or len(found) == 1:
        return (exact or found)[0], []
    return None, found
