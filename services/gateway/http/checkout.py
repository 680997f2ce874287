"""Buying credits: a page of Stripe's to pay on, and how the purchase stands."""

from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog
from starlette.responses import Response

from contracts.types import PositiveAmount
from runtime.processor import OUTAGES, UnavailableError
from services.gateway.asking import ask
from services.gateway.credentials import Principal
from services.gateway.events import CheckoutAsked, CheckoutCheckAsked, user_stream
from services.gateway.gateway import Gateway
from services.gateway.handlers import Ask
from services.gateway.http.access import signed_in
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import Asker, IdInPath, OperationId, TheGateway
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.shapes import Amount, Input, Output
from services.gateway.prices import PRICE_MINOR_MAX, offer
from services.gateway.queries.checkouts import checkout_of
from services.gateway.queries.settings import current_settings

router = resource("Credits")

WORTH_DOING_FOR: Final = timedelta(minutes=5)
FIRST_CHECK: Final = timedelta(seconds=2)
BACK: Final = "/credits/checkout/{checkout_id}"
"""The page that the browser comes back to from Stripe, paid or not: it says how things stand."""


class NewCheckout(Input):
    """How many credits shall be bought."""

    credits: PositiveAmount


class Checkout(Output):
    """An attempt to buy credits; while it is open it can be paid at `url` until it expires."""

    checkout_id: str
    status: Literal["OPEN", "PAID", "EXPIRED", "FAILED"]
    credits: int
    bonus: int
    price: Amount
    url: str | None
    expires_at: datetime


@router.post("/api/credits/checkout", status_code=201, responses=PENDING, response_model=Checkout)
@signed_in
async def buy(
    body: NewCheckout, gateway: TheGateway, asker: Asker, checkout_id: OperationId
) -> Checkout | Response:
    """Begin to buy credits: by a bundle of exactly so many, or else by the credit."""
    async with gateway.connection() as connection:
        settings = (await current_settings(connection)).settings
    if not settings.credits_enabled:
        raise ProblemError("CREDITS_DISABLED")
    wanted = offer(settings, body.credits)
    if wanted.price_minor > PRICE_MINOR_MAX:
        raise ProblemError(
            "PURCHASE_TOO_LARGE",
            price={"amount_minor": wanted.price_minor, "currency": settings.currency},
            maximum={"amount_minor": PRICE_MINOR_MAX, "currency": settings.currency},
        )
    if wanted.price_minor == 0:
        raise invalid("/credits", "are a bundle without a price", "NOT_FOR_SALE")
    asked = CheckoutAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        checkout_id=checkout_id,
        user_id=asker.user_id,
        credits=wanted.credits,
        bonus=wanted.bonus,
        price_minor=wanted.price_minor,
        currency=settings.currency,
        success_path=BACK.format(checkout_id=checkout_id),
        cancel_path=BACK.format(checkout_id=checkout_id),
    )
    seen = await gateway.sequences("settings", user_stream(asker.user_id))
    answer = await ask(gateway, asker, checkout_id, asked, seen=seen)
    result: Checkout | Response = await conclude(gateway, asker, answer)
    return result


@router.get("/api/credits/checkout/{checkout_id}")
@signed_in
async def checkout(checkout_id: IdInPath, gateway: TheGateway, asker: Asker) -> Checkout:
    """Read how a purchase of one's own stands; of an open one Stripe is asked as well."""
    found = await _own(gateway, asker, checkout_id)
    if found["status"] == "OPEN":
        await _have_it_checked(gateway, asker, checkout_id, gateway.now - found["opened_at"])
    return _shown(found)


async def shown_checkout(gateway: Gateway, asker: Principal, checkout_id: str) -> Checkout:
    """Return a checkout of the asker's."""
    return _shown(await _own(gateway, asker, checkout_id))


async def _own(gateway: Gateway, asker: Principal, checkout_id: str) -> dict[str, Any]:
    async with gateway.connection() as connection:
        found = await checkout_of(connection, asker.user_id, checkout_id)
    if found is None:
        raise ProblemError("NOT_FOUND")
    return found


async def _have_it_checked(
    gateway: Gateway, asker: Principal, checkout_id: str, age: timedelta
) -> None:
    """Ask for a check when the checkout is 2, 4, 8, 16 … seconds old: once for each.

    However often somebody looks, that is at most 17 times a day.
    """
    number = (age // FIRST_CHECK).bit_length()
    if number == 0:
        return
    request_id = f"check-{checkout_id}-{number}"
    try:
        await gateway.execute(
            Ask(
                actor=asker.user_id,
                correlation_id=request_id,
                request_id=request_id,
                fact=CheckoutCheckAsked(
                    expires_at=gateway.now + WORTH_DOING_FOR, checkout_id=checkout_id
                ),
            )
        )
    except (UnavailableError, *OUTAGES) as error:
        structlog.get_logger().warning("checkout.not_checked", error=repr(error))


def _shown(found: dict[str, Any]) -> Checkout:
    return Checkout(
        checkout_id=found["checkout_id"],
        status=found["status"],
        credits=found["credits"],
        bonus=found["bonus"],
        price=Amount(amount_minor=found["price_minor"], currency=found["currency"]),
        url=found["url"],
        expires_at=found["session_expires_at"],
    )
