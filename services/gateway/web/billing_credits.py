"""Anybody's credits: what they have, and what finance does about it, said before it is done."""

import asyncio
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.amounts import minor_units
from services.gateway.web.api import ApiProblem
from services.gateway.web.billing import ROLES
from services.gateway.web.downloads import Download
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()
LIST: Final = "/billing/credits"
USERS: Final = 10
LOTS: Final = 50
LINES: Final = 25
_UNPROCESSABLE: Final = 422
_NOT_FOUND: Final = 404
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

ACTS: Final = {
    "award": ("Award credits", "/api/credits/awards"),
    "adjust": ("Take credits away", "/api/credits/adjustments"),
    "purchase": ("Record a purchase", "/api/credits/purchases"),
    "refund": ("Refund a deployment", "/api/deployments/{}/refund"),
}
"""What finance can do: its title, and the call that does it."""

_NEEDS: Final = {
    "award": ("credits", "reason"),
    "adjust": ("credits", "reason"),
    "purchase": ("credits", "price", "reference"),
    "refund": ("deployment_id", "reason"),
}
_DONE: Final = {
    "award": "The credits are awarded.",
    "adjust": "The credits are taken away.",
    "purchase": "The purchase is recorded.",
    "refund": "The refund is made.",
}


@pages.get(LIST, *ROLES)
async def find_user(visit: Visit) -> Response:
    """Find the user whose credits it is about."""
    search = visit.query.get("search", "").strip()
    found = await visit.api.get("/api/users", search=search, limit=USERS)
    form = Form({"search": search})
    return visit.show("billing_credits.html", form=form, users=found["items"], search=search)


@pages.get(f"{LIST}/{{user_id}}", *ROLES)
async def user_credits(visit: Visit) -> Response:
    """Show what somebody has, where it came from, and where it went."""
    user_id = _user_id(visit)
    user, balance, lots, history = await asyncio.gather(
        _user(visit),
        visit.api.get("/api/credits/balance", user_id=user_id),
        visit.api.get("/api/credits/lots", user_id=user_id, limit=LOTS),
        visit.api.get(
            "/api/credits/history",
            user_id=user_id,
            limit=LINES,
            **_filters(visit),
            cursor=visit.query.get("cursor"),
        ),
    )
    return visit.show(
        "billing_user.html",
        user=user,
        balance=balance,
        lots=lots,
        history=history,
        form=Form({name: value or "" for name, value in _filters(visit).items()}),
        address=with_query(f"{LIST}/{user_id}", **_filters(visit)),
        csv=with_query(f"{LIST}/{user_id}/history.csv", **_filters(visit)),
        acts=ACTS,
    )


@pages.get(f"{LIST}/{{user_id}}/history.csv", *ROLES)
async def history_csv(visit: Visit) -> Response:
    """Download all of somebody's history that the filters leave."""
    return Download(visit, "/api/credits/history", user_id=_user_id(visit), **_filters(visit))


@pages.get(f"{LIST}/{{user_id}}/{{act}}", *ROLES)
async def begin(visit: Visit) -> Response:
    """Show the form of something that finance can do."""
    return await _form(visit, Form(dict(visit.query)))


@pages.post(f"{LIST}/{{user_id}}/{{act}}", *ROLES)
async def act(visit: Visit) -> Response:
    """Say what will be done; and, once that is confirmed, do it."""
    form = await visit.form()
    act = _act(visit)
    body = _body(visit, act, form)
    form.problem = _missing(act, form, visit.platform.currency)
    if form.problem is None and act == "refund" and not await _is_theirs(visit, form):
        error = {"pointer": "/deployment_id", "message": "is no deployment of this user"}
        form.problem = _problem("Check what you entered", [error])
    if form.problem is not None or form.given("change"):
        return await _form(visit, form)
    if not form.given("confirmed"):
        return await _form(visit, form, confirm=True)
    about = [str(form.given("deployment_id"))] if act == "refund" else []
    try:
        path = visit.api.at(ACTS[act][1], *about)
        done = await visit.api.post(path, body, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return await _form(visit, form)
    pending = done.get("status") == "PENDING"
    notice = "Taken; it will be done in a moment." if pending else _DONE[act]
    return visit.go(f"{LIST}/{_user_id(visit)}", notice)


async def _form(visit: Visit, form: Form, *, confirm: bool = False) -> Response:
    act, user_id = _act(visit), _user_id(visit)
    user, balance = await asyncio.gather(
        _user(visit), visit.api.get("/api/credits/balance", user_id=user_id)
    )
    deployment = await _deployment(visit, form) if act == "refund" else None
    return visit.show(
        "billing_act.html",
        status=200 if form.problem is None else form.problem.status,
        act=act,
        title=ACTS[act][0],
        user=user,
        balance=balance,
        deployment=deployment,
        form=form,
        confirm=confirm,
        body=_body(visit, act, form),
    )


def _body(visit: Visit, act: str, form: Form) -> dict[str, Any]:
    """Return what the API is asked with; what cannot be read it refuses, at its field."""
    count = form.number("credits")
    currency = visit.platform.currency
    body: dict[str, Any]
    match act:
        case "award":
            day = form.given("expires_at")
            expires_at = None if day is None else f"{day}T00:00:00Z"
            body = {"credits": count, "reason": form.given("reason"), "expires_at": expires_at}
        case "adjust":
            taken = -abs(count) if isinstance(count, int) else count
            body = {"credits": taken, "reason": form.given("reason")}
        case "purchase":
            price = minor_units(form.value("price"), currency)
            body = {
                "credits": count,
                "price": {"amount_minor": price, "currency": currency},
                "reference": form.given("reference"),
            }
        case _:
            return {"credits": count, "reason": form.given("reason")}
    return {"user_id": _user_id(visit), **body}


def _missing(act: str, form: Form, currency: str) -> ApiProblem | None:
    """Return what is wrong before anything is asked: the confirmation says only what can be."""
    errors = [
        {"pointer": f"/{name}", "message": "is required"}
        for name in _NEEDS[act]
        if form.given(name) is None
    ]
    count = form.number("credits")
    if count is not None and (isinstance(count, str) or count <= 0):
        errors.append({"pointer": "/credits", "message": "is no whole number of credits above 0"})
    if act == "purchase" and isinstance(minor_units(form.value("price"), currency), str):
        errors.append({"pointer": "/price", "message": f"is no amount of {currency}"})
    day = form.given("expires_at") if act == "award" else None
    if day is not None and not _is_day(day):
        errors.append({"pointer": "/expires_at", "message": "is no date: 2026-12-31"})
    return _problem("Check what you entered", errors) if errors else None


def _is_day(text: str) -> bool:
    if _DAY.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _problem(title: str, errors: list[dict[str, str]]) -> ApiProblem:
    return ApiProblem(_UNPROCESSABLE, {"code": "INVALID_INPUT", "title": title, "errors": errors})


async def _user(visit: Visit) -> Mapping[str, Any]:
    """Return a user; finance finds them in the list, which alone is theirs to read."""
    user_id = _user_id(visit)
    found = await visit.api.get("/api/users", search=user_id, limit=USERS)
    for user in found["items"]:
        if user["id"] == user_id:
            return dict(user)
    raise ApiProblem(_NOT_FOUND, {"code": "NOT_FOUND", "detail": "There is no such user."})


async def _is_theirs(visit: Visit, form: Form) -> bool:
    found = await _deployment(visit, form)
    return found is not None and found["user_id"] == _user_id(visit)


async def _deployment(visit: Visit, form: Form) -> dict[str, Any] | None:
    deployment_id = form.given("deployment_id")
    if deployment_id is None:
        return None
    try:
        path = visit.api.at("/api/deployments/{}", deployment_id)
        found: dict[str, Any] = await visit.api.get(path)
    except ApiProblem:
        return None
    return found


def _act(visit: Visit) -> str:
    act = str(visit.request.path_params["act"])
    if act not in ACTS:
        raise ApiProblem(_NOT_FOUND, {"code": "NOT_FOUND"})
    return act


def _user_id(visit: Visit) -> str:
    return str(visit.request.path_params["user_id"])


def _filters(visit: Visit) -> dict[str, str | None]:
    return {name: visit.query.get(name) or None for name in ("type", "from", "to")}
