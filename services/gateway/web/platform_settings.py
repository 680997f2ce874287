"""The platform's settings: credits and their price, shares, retention, registration, repository."""

from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.amounts import minor_units
from services.gateway.web.api import ApiProblem
from services.gateway.web.pages import Pages
from services.gateway.web.repository_form import repository_change
from services.gateway.web.visit import Form, Visit, named_forms

pages: Final = Pages()

BUNDLE_ROWS_MIN: Final = 2
"""Empty rows below those that there are, so that some can be added without a script."""

PARTS: Final = ("credits", "shares", "operation", "repository")


@pages.get("/settings", "admin", "finance")
async def settings(visit: Visit) -> Response:
    """Show the settings."""
    return await _shown(visit)


@pages.post("/settings/credits", "admin")
async def change_credits(visit: Visit) -> Response:
    """Change what credits cost, and which are given."""
    form = await visit.form()
    currency = form.value("currency").strip().upper()
    change = {
        "credits_enabled": "credits_enabled" in form.values,
        "credits_per_unit": form.number("credits_per_unit"),
        "currency": currency,
        "credit_bundles": _bundles(form, currency),
        "signup_award": form.number("signup_award") or 0,
        "referral_award": form.number("referral_award") or 0,
        "award_expiry_days": form.number("award_expiry_days"),
    }
    return await _changed(visit, form, change, "credits")


@pages.post("/settings/shares", "admin", "finance")
async def change_shares(visit: Visit) -> Response:
    """Change the shares, from now on or from a date on."""
    form = await visit.form()
    change: dict[str, Any] = {
        "partner_revenue_share": form.value("partner_revenue_share").strip(),
        "agent_revenue_share": form.value("agent_revenue_share").strip(),
    }
    if (day := form.given("effective_from")) is not None:
        change["effective_from"] = f"{day}T00:00:00Z"
    return await _changed(visit, form, change, "shares")


@pages.post("/settings/operation", "admin")
async def change_operation(visit: Visit) -> Response:
    """Change retention, registration, and what else the platform does."""
    form = await visit.form()
    change = {
        "retention_days": form.number("retention_days"),
        "project_costs_enabled": "project_costs_enabled" in form.values,
        "self_registration": "self_registration" in form.values,
    }
    return await _changed(visit, form, change, "operation")


@pages.post("/settings/repository", "admin")
async def change_repository(visit: Visit) -> Response:
    """Change where the platform's modules are, and how often they are looked at."""
    form = await visit.form()
    change = {
        "platform_repository": repository_change(form),
        "sync_interval_minutes": form.number("sync_interval_minutes"),
    }
    return await _changed(visit, form, change, "repository")


def _bundles(form: Form, currency: str) -> list[dict[str, Any]]:
    """Return the offers of the rows that are filled; the API says what half a row lacks."""
    rows = zip(
        *(form.lists.get(f"bundle_{name}", []) for name in ("credits", "bonus", "price")),
        strict=False,
    )
    return [
        {
            "credits": Form({"n": credits_}).number("n"),
            "bonus": Form({"n": bonus}).number("n") or 0,
            "price": {"amount_minor": minor_units(price, currency), "currency": currency},
        }
        for credits_, bonus, price in rows
        if credits_.strip() or price.strip()
    ]


async def _changed(visit: Visit, form: Form, change: dict[str, Any], part: str) -> Response:
    try:
        await visit.api.call("PATCH", "/api/settings", body=change, if_match=form.given("etag"))
    except ApiProblem as problem:
        form.problem = problem
        return await _shown(visit, {part: form}, status=problem.status)
    return visit.go(f"/settings#{part}", "The settings are saved.")


async def _shown(
    visit: Visit, forms: dict[str, Form] | None = None, *, status: int = 200
) -> Response:
    found = await visit.api.call("GET", "/api/settings")
    all_forms = named_forms(PARTS, forms)
    return visit.show(
        "settings.html",
        status=status,
        now=found.json,
        etag=found.header("etag"),
        forms=all_forms,
        empty_rows=BUNDLE_ROWS_MIN,
        hook=f"{visit.origin}/api/hooks/github",
    )
