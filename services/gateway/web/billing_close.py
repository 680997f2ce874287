"""The close of months: what stands in the way, and what every payee is due."""

import asyncio
import re
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.billing import ROLES
from services.gateway.web.looking import again_in, looks
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()
LIST: Final = "/billing/close"
MONTHS: Final = 24
STATEMENTS: Final = 50
_PERIOD: Final = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])")
_UNPROCESSABLE: Final = 422
_NOT_FOUND: Final = 404
_OK: Final = 200


@pages.get(LIST, *ROLES)
async def months(visit: Visit) -> Response:
    """List the months that are over, and how they were closed; or how a close stands."""
    form = Form({"period": visit.query.get("period", "")})
    request_id = visit.query.get("request")
    if request_id is None:
        return await _months(visit, form)
    asked = await visit.api.get(visit.api.at("/api/requests/{}", request_id))
    if asked["problem"] is not None:
        form.problem = ApiProblem(_OK, asked["problem"])
    return await _months(visit, form, asked)


@pages.post(LIST, *ROLES)
async def close(visit: Visit) -> Response:
    """Say what closing a month does; and, once that is confirmed, close it."""
    form = await visit.form()
    period = form.value("period").strip()
    if _PERIOD.fullmatch(period) is None:
        error = {"pointer": "/period", "message": "is no month: 2026-01"}
        body = {"code": "INVALID_INPUT", "title": "Check what you entered", "errors": [error]}
        form.problem = ApiProblem(_UNPROCESSABLE, body)
        return await _months(visit, form)
    if not form.given("confirmed"):
        return visit.show("billing_close_month.html", form=form, period=period)
    try:
        path = visit.api.at("/api/revenue/periods/{}/close", period)
        closed = await visit.api.post(path, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return await _months(visit, form)
    if closed.get("status") == "PENDING":
        return visit.go(with_query(LIST, period=period, request=closed["id"]))
    return visit.go(f"{LIST}/{period}", f"{period} is closed.")


@pages.get(f"{LIST}/{{period}}", *ROLES)
async def month(visit: Visit) -> Response:
    """Show a closed month with the statements of all payees."""
    period = visit.request.path_params["period"]
    if _PERIOD.fullmatch(period) is None:
        raise ApiProblem(_NOT_FOUND, {"code": "NOT_FOUND"})
    found, statements, partners, agents = await asyncio.gather(
        _find(visit, period),
        visit.api.get(
            "/api/revenue/statements",
            period=period,
            cursor=visit.query.get("cursor"),
            limit=STATEMENTS,
        ),
        visit.api.get("/api/revenue/summary", group_by="partner"),
        visit.api.get("/api/revenue/summary", group_by="agent"),
    )
    names = {each["key"]: each["name"] for each in partners["items"] + agents["items"]}
    return visit.show(
        "billing_month.html", it=found, period=period, statements=statements, names=names
    )


async def _find(visit: Visit, period: str) -> dict[str, Any] | None:
    """Return a month, if it is over."""
    found = await visit.api.get("/api/revenue/periods", period=period)
    return next(iter(found["items"]), None)


async def _months(visit: Visit, form: Form, asked: dict[str, Any] | None = None) -> Response:
    found = await visit.api.get(
        "/api/revenue/periods", cursor=visit.query.get("cursor"), limit=MONTHS
    )
    look = looks(visit)
    return visit.show(
        "billing_close.html",
        status=200 if form.problem is None else form.problem.status,
        form=form,
        page=found,
        asked=asked,
        here=with_query(LIST, period=form.value("period"), request=asked and asked["id"]),
        look=look,
        again_in=again_in(look) if asked is not None and asked["status"] == "PENDING" else None,
    )
