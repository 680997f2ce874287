"""Buying credits: what they cost, the way to Stripe's page, and how a purchase stands."""

from typing import Any, Final

from starlette.responses import Response

from contracts.types import WHOLE_NUMBER_MAX
from services.gateway.events import Settings
from services.gateway.prices import PRICE_MINOR_MAX, offer
from services.gateway.web.api import ApiProblem
from services.gateway.web.looking import again_in, looks
from services.gateway.web.pages import Pages
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()

ACCEPTED: Final = 202


@pages.get("/credits/price")
async def price(visit: Visit) -> Response:
    """Show what so many credits cost: a part of the form, asked for while somebody types."""
    return visit.show("price.html", **buying_form(visit, Form({"buy": visit.query.get("buy", "")})))


@pages.post("/credits/buy")
async def buy(visit: Visit) -> Response:
    """Have Stripe's page made ready, and go to the purchase's own, which leads there."""
    form = await visit.form()
    try:
        body = {"credits": form.number("buy")}
        answer = await visit.api.call("POST", "/api/credits/checkout", body=body, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        return visit.show("buy.html", status=problem.status, **buying_form(visit, form))
    # A request that is not answered yet has the id that its checkout will have.
    made = answer.json
    checkout_id = made["id"] if answer.status == ACCEPTED else made["checkout_id"]
    return visit.go(f"/credits/checkout/{checkout_id}?new=1")


@pages.get("/credits/checkout/{checkout_id}")
async def checkout(visit: Visit) -> Response:
    """Show how a purchase stands; Stripe sends the browser back to here."""
    checkout_id = visit.request.path_params["checkout_id"]
    found: dict[str, Any] | None
    try:
        found = await visit.api.get(visit.api.at("/api/credits/checkout/{}", checkout_id))
    except ApiProblem as problem:
        if problem.code != "NOT_FOUND":
            raise
        asked = await visit.api.get(visit.api.at("/api/requests/{}", checkout_id))
        if asked["status"] != "PENDING":
            raise
        found = None
    look = looks(visit)
    is_open = found is None or found["status"] == "OPEN"
    return visit.show(
        "checkout.html",
        checkout=found,
        here=f"/credits/checkout/{checkout_id}",
        is_new="new" in visit.query,
        look=look,
        again_in=again_in(look) if is_open else None,
    )


def buying_form(visit: Visit, form: Form) -> dict[str, Any]:
    """Return what a form to buy credits needs: the bundles, and the price of what is typed."""
    settings = visit.platform
    wanted = form.number("buy")
    return {
        "form": form,
        "bundles": sorted(settings.credit_bundles, key=lambda each: (each.credits, -each.bonus)),
        "offered": offered(settings, wanted) if isinstance(wanted, int) else None,
    }


def offered(settings: Settings, wanted: int) -> dict[str, Any] | None:
    """Return what so many credits cost, and the bonus with them; None where they are not sold."""
    if not 0 < wanted <= WHOLE_NUMBER_MAX:
        return None
    found = offer(settings, wanted)
    if not 0 < found.price_minor <= PRICE_MINOR_MAX:
        return None
    return {
        "credits": found.credits,
        "bonus": found.bonus,
        "price": {"amount_minor": found.price_minor, "currency": settings.currency},
    }
