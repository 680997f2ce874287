"""Webhooks: a payee's endpoints, their secrets, and what was sent to them."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from contracts.webhook_rules import ENDPOINTS_MAX, WEBHOOK_EVENTS
from services.gateway.web.api import ApiProblem
from services.gateway.web.pages import Pages
from services.gateway.web.revenue import PAYEES
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()
DELIVERIES: Final = 25
LIST: Final = "/revenue/webhooks"
_TAKEN: Final = "Taken; it will be done in a moment."
EVENTS: Final = {
    "revenue.share_accrued": "A share accrued: a deployment earned you something",
    "revenue.share_reversed": "A share was taken back, by a refund or a reversed payment",
    "revenue.statement_closed": "A month was closed, and your statement is there",
}


@pages.get(LIST, *PAYEES)
async def webhooks(visit: Visit) -> Response:
    """List the visitor's endpoints."""
    found = await visit.api.get("/api/webhooks", limit=ENDPOINTS_MAX)
    return visit.show("webhooks.html", webhooks=found["items"], most=ENDPOINTS_MAX)


@pages.get(f"{LIST}/new", *PAYEES)
async def new_webhook(visit: Visit) -> Response:
    """Show the form of a new endpoint."""
    return _new(visit, Form(lists={"events": list(WEBHOOK_EVENTS)}))


@pages.post(f"{LIST}/new", *PAYEES)
async def register_webhook(visit: Visit) -> Response:
    """Register an endpoint, and show its secret this once."""
    form = await visit.form()
    body = {
        "url": form.value("url").strip(),
        "events": form.lists.get("events", []),
        "description": form.given("description"),
    }
    try:
        made = await visit.api.post("/api/webhooks", body, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return _new(visit, form)
    return _secret(visit, made, new=True)


@pages.get(f"{LIST}/{{webhook_id}}", *PAYEES)
async def webhook(visit: Visit) -> Response:
    """Show an endpoint, and what was sent to it."""
    return await _shown(visit, Form())


@pages.post(f"{LIST}/{{webhook_id}}", *PAYEES)
async def change_webhook(visit: Visit) -> Response:
    """Change where and of what an endpoint is told."""
    form = await visit.form()
    body = {
        "url": form.value("url").strip(),
        "events": form.lists.get("events", []),
        "description": form.given("description"),
    }
    return await _asked(visit, form, "PATCH", "", notice="Saved.", body=body)


@pages.post(f"{LIST}/{{webhook_id}}/rotate", *PAYEES)
async def rotate_secret(visit: Visit) -> Response:
    """Give an endpoint a new secret, and show it this once."""
    form = await visit.form()
    try:
        made = await visit.api.post(_path(visit, "/rotate"), key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, form)
    return _secret(visit, made, new=False)


@pages.post(f"{LIST}/{{webhook_id}}/test", *PAYEES)
async def test_webhook(visit: Visit) -> Response:
    """Send an endpoint a test."""
    sent = "A test event is on its way; it appears among the deliveries."
    return await _asked(visit, await visit.form(), "POST", "/test", notice=sent)


@pages.post(f"{LIST}/{{webhook_id}}/enable", *PAYEES)
async def enable_webhook(visit: Visit) -> Response:
    """Have an endpoint told again."""
    form = await visit.form()
    told = "Enabled. What waited is being sent."
    return await _asked(visit, form, "POST", "/enable", notice=told)


@pages.post(f"{LIST}/{{webhook_id}}/disable", *PAYEES)
async def disable_webhook(visit: Visit) -> Response:
    """Have an endpoint told nothing for the while."""
    form = await visit.form()
    kept = "Disabled. What happens meanwhile waits until you enable it again."
    return await _asked(visit, form, "PATCH", "", notice=kept, body={"enabled": False})


@pages.post(f"{LIST}/{{webhook_id}}/resend", *PAYEES)
async def resend_since(visit: Visit) -> Response:
    """Send all again since an instant, which the form has in UTC."""
    form = await visit.form()
    since = form.given("since")
    body = {"since": None if since is None else instant(since)}
    sent = "All since then is being sent again."
    return await _asked(visit, form, "POST", "/resend", notice=sent, body=body)


@pages.post(f"{LIST}/{{webhook_id}}/deliveries/{{delivery_id}}/resend", *PAYEES)
async def resend_delivery(visit: Visit) -> Response:
    """Send one thing again."""
    path = "/deliveries/{}/resend"
    sent = "It is being sent again."
    return await _asked(visit, await visit.form(), "POST", path, notice=sent)


@pages.post(f"{LIST}/{{webhook_id}}/delete", *PAYEES)
async def remove_webhook(visit: Visit) -> Response:
    """Remove an endpoint with all that waits for it."""
    form = await visit.form()
    return await _asked(visit, form, "DELETE", "", notice="The webhook is deleted.", to=LIST)


def instant(text: str) -> str:
    """Return what a field of date and time has, as an instant in UTC; another text as it is."""
    if text.endswith("Z"):
        return text
    return f"{text}:00Z" if text.count(":") == 1 else f"{text}Z"


def _path(visit: Visit, rest: str = "") -> str:
    """Return the API's path of the endpoint, or of what of it a page's own path names."""
    found = visit.request.path_params
    ids = [found[name] for name in ("webhook_id", "delivery_id") if name in found]
    return visit.api.at(f"/api/webhooks/{{}}{rest}", *ids)


async def _asked(  # noqa: PLR0913 - what a call is made of, and where it leads
    visit: Visit,
    form: Form,
    method: str,
    path: str,
    *,
    notice: str,
    body: Any = None,
    to: str | None = None,
) -> Response:
    """Ask for a change of an endpoint, and go to a page that says that it is done."""
    key = form.key if method == "POST" else None
    try:
        answer = await visit.api.call(method, _path(visit, path), body=body, key=key)
    except ApiProblem as problem:
        if problem.code == "NOT_FOUND":
            raise
        form.problem = problem
        return await _shown(visit, form)
    pending = answer.json is not None and answer.json.get("status") == "PENDING"
    return visit.go(to or visit_page(visit), _TAKEN if pending else notice)


def visit_page(visit: Visit) -> str:
    """Return the address of the page of the endpoint that a visit is about."""
    return f"{LIST}/{visit.request.path_params['webhook_id']}"


def _new(visit: Visit, form: Form) -> Response:
    status = 200 if form.problem is None else form.problem.status
    return visit.show("webhook_new.html", status=status, form=form, events=EVENTS)


def _secret(visit: Visit, made: dict[str, Any], *, new: bool) -> Response:
    if "secret" not in made:
        told = "Taken; it takes a moment. If you need its secret, rotate it then."
        return visit.go(LIST, told)
    return visit.show("webhook_secret.html", made=made, new=new)


async def _shown(visit: Visit, form: Form) -> Response:
    found, deliveries = await asyncio.gather(
        visit.api.get(_path(visit)),
        visit.api.get(
            _path(visit, "/deliveries"), cursor=visit.query.get("cursor"), limit=DELIVERIES
        ),
    )
    return visit.show(
        "webhook.html",
        status=200 if form.problem is None else form.problem.status,
        it=found,
        form=form,
        chosen=form.lists.get("events", found["events"]),
        deliveries=deliveries,
        events=EVENTS,
        here=visit_page(visit),
    )
