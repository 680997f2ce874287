"""Oneself: name, repository, tokens, the referral link, and leaving."""

from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from services.gateway.gateway import Gateway
from services.gateway.web.api import ApiProblem
from services.gateway.web.pages import Pages
from services.gateway.web.repository_form import repository_change
from services.gateway.web.visit import Form, Visit, named_forms

pages: Final = Pages()

LIFETIMES: Final = ((30, "30 days"), (90, "90 days"), (365, "A year"))
TOKENS_SHOWN_MAX: Final = 100


@pages.get("/profile")
async def profile(visit: Visit) -> Response:
    """Show oneself."""
    return await _shown(visit)


@pages.post("/profile")
async def change_profile(visit: Visit) -> Response:
    """Change name and notifications."""
    form = await visit.form()
    change: dict[str, Any] = {
        "name": form.given("name"),
        "notifications": {name: name in form.values for name in ("deployments", "credits")},
    }
    return await _changed(visit, form, change, "profile")


@pages.post("/profile/repository", "partner", "admin")
async def change_repository(visit: Visit) -> Response:
    """Change where one's modules are; a secret that is left empty stays as it is."""
    form = await visit.form()
    return await _changed(visit, form, {"repository": repository_change(form)}, "repository")


@pages.post("/profile/tokens")
async def create_token(visit: Visit) -> Response:
    """Create a token, and show its text this once."""
    form = await visit.form()
    gateway: Gateway = visit.request.app.state.gateway
    days = form.number("days")
    lifetime = timedelta(days=days if isinstance(days, int) and 0 < days <= 365 else 0)  # noqa: PLR2004 - a year, the longest that is offered
    body = {
        "name": form.value("name").strip(),
        "scopes": form.lists.get("scopes", []),
        "expires_at": (gateway.now + lifetime).isoformat().replace("+00:00", "Z"),
    }
    try:
        made = await visit.api.post("/api/tokens", body, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, {"token": form}, status=problem.status)
    return await _shown(visit, made=made)


@pages.post("/profile/tokens/{id}/delete")
async def delete_token(visit: Visit) -> Response:
    """Revoke a token."""
    path = visit.api.at("/api/tokens/{}", visit.request.path_params["id"])
    await visit.api.call("DELETE", path)
    return visit.go("/profile#tokens", "The token is revoked. What used it is refused from now on.")


@pages.post("/profile/leave")
async def leave(visit: Visit) -> Response:
    """Deactivate oneself, once one's own address is typed."""
    form = await visit.form()
    if form.value("email").strip().lower() != str((visit.me or {})["email"]).lower():
        message = "is not your e-mail address; nothing was changed"
        error = {"pointer": "/email", "message": message, "code": "NOT_CONFIRMED"}
        form.problem = ApiProblem(422, {"title": "Not confirmed", "errors": [error]})
        return await _shown(visit, {"leave": form}, status=422)
    try:
        await visit.api.call("DELETE", "/api/me")
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, {"leave": form}, status=problem.status)
    return visit.go("/signin", "Your account is deactivated.")


async def _changed(visit: Visit, form: Form, change: dict[str, Any], part: str) -> Response:
    try:
        await visit.api.call("PATCH", "/api/me", body=change)
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, {part: form}, status=problem.status)
    return visit.go("/profile", "Saved.")


async def _shown(
    visit: Visit,
    forms: dict[str, Form] | None = None,
    *,
    made: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    tokens = (await visit.api.get("/api/tokens", limit=TOKENS_SHOWN_MAX))["items"]
    all_forms = named_forms(("profile", "repository", "token", "leave"), forms)
    return visit.show(
        "profile.html",
        status=status,
        forms=all_forms,
        tokens=tokens,
        made=made,
        lifetimes=LIFETIMES,
        origin=visit.origin,
    )
