"""The rules of a checkout: pure and synchronous, over the stream `checkout-<id>`.

Its status only moves forward: REQUESTED, OPEN, then EXPIRED or FAILED, and PAID above all. Money
that has arrived is booked whatever was thought of the checkout before. Of several rules that
forbid a request, the first of these wins: `INVALID_CREDITS`, `INVALID_PRICE`, `CURRENCY_MISMATCH`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, assert_never

import msgspec

from contracts.types import WHOLE_NUMBER_MAX
from runtime.refusal import Refusal

Status = Literal["NEW", "REQUESTED", "OPEN", "EXPIRED", "FAILED", "PAID"]
PRICE_MINOR_MAX: Final = 99_999_999


class _Fact(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", forbid_unknown_fields=True
):
    user_id: str


class CheckoutRequested(_Fact, frozen=True, kw_only=True, tag="checkout_requested"):
    """A user wants so many credits, and the bonus that comes with them, for a price.

    The price is in minor units. Until `request_expires_at` somebody waits for the session.
    """

    credits: int
    bonus: int
    price_minor: int
    currency: str
    success_path: str
    cancel_path: str
    request_expires_at: datetime


class CheckoutOpened(_Fact, frozen=True, kw_only=True, tag="checkout_opened"):
    """Stripe has a session for it, in which it is paid at `url`."""

    credits: int
    bonus: int
    price_minor: int
    currency: str
    session_id: str
    url: str
    session_expires_at: datetime


class CheckoutPaid(_Fact, frozen=True, kw_only=True, tag="checkout_paid"):
    """It was paid, and booked."""

    session_id: str
    payment_id: str


class CheckoutExpired(_Fact, frozen=True, kw_only=True, tag="checkout_expired"):
    """Nobody paid it in time."""


class CheckoutFailed(_Fact, frozen=True, kw_only=True, tag="checkout_failed"):
    """Stripe opened no session for it, or the payment did not arrive in the end."""

    code: str
    detail: str


CheckoutFact = CheckoutRequested | CheckoutOpened | CheckoutPaid | CheckoutExpired | CheckoutFailed


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A checkout as it stands; `asked` is None before it was requested."""

    status: Status = "NEW"
    asked: CheckoutRequested | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """Begin a checkout; `platform_currency` is the one that prices must be in."""

    asked: CheckoutRequested
    platform_currency: str


@dataclass(frozen=True, kw_only=True)
class Open:
    """Stripe has opened a session."""

    session_id: str
    url: str
    session_expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Pay:
    """It was paid, and its credits are booked."""

    session_id: str
    payment_id: str


@dataclass(frozen=True, kw_only=True)
class End:
    """It came to nothing: it expired, or failed for a reason."""

    failure: tuple[str, str] | None


CheckoutCommand = Request | Open | Pay | End


def decide_checkout(command: CheckoutCommand, checkout: Checkout) -> list[CheckoutFact]:
    """Return the facts that a command brings to a checkout; what was done before brings none."""
    if isinstance(command, Request):
        return _request(command, checkout)
    asked = checkout.asked
    if asked is None:
        return []
    match command:
        case Open():
            return [_opened(command, asked)] if checkout.status == "REQUESTED" else []
        case Pay(session_id=session_id, payment_id=payment_id):
            paid = CheckoutPaid(user_id=asked.user_id, session_id=session_id, payment_id=payment_id)
            return [] if checkout.status == "PAID" else [paid]
        case End(failure=failure):
            ended = _ended(failure, asked.user_id)
            return [ended] if checkout.status in {"REQUESTED", "OPEN"} else []
        case _:
            assert_never(command)


def _request(command: Request, checkout: Checkout) -> list[CheckoutFact]:
    if checkout.status != "NEW":
        return []
    asked = command.asked
    if asked.credits <= 0 or asked.bonus < 0 or asked.credits + asked.bonus > WHOLE_NUMBER_MAX:
        raise Refusal("INVALID_CREDITS", "credits are bought in whole numbers from 1 on")
    if not 0 < asked.price_minor <= PRICE_MINOR_MAX:
        raise Refusal("INVALID_PRICE", f"a price is from 1 to {PRICE_MINOR_MAX} minor units")
    if asked.currency != command.platform_currency:
        raise Refusal(
            "CURRENCY_MISMATCH", f"the platform's currency is {command.platform_currency}"
        )
    return [asked]


def _opened(command: Open, asked: CheckoutRequested) -> CheckoutOpened:
    return CheckoutOpened(
        user_id=asked.user_id,
        credits=asked.credits,
        bonus=asked.bonus,
        price_minor=asked.price_minor,
        currency=asked.currency,
        session_id=command.session_id,
        url=command.url,
        session_expires_at=command.session_expires_at,
    )


def _ended(failure: tuple[str, str] | None, user_id: str) -> CheckoutExpired | CheckoutFailed:
    if failure is None:
        return CheckoutExpired(user_id=user_id)
    return CheckoutFailed(user_id=user_id, code=failure[0], detail=failure[1])


def evolve_checkout(checkout: Checkout, fact: CheckoutFact) -> Checkout:
    """Return the checkout after the fact."""
    match fact:
        case CheckoutRequested():
            return Checkout(status="REQUESTED", asked=fact)
        case CheckoutOpened():
            return msgspec.structs.replace(checkout, status="OPEN")
        case CheckoutPaid():
            return msgspec.structs.replace(checkout, status="PAID")
        case CheckoutExpired():
            return msgspec.structs.replace(checkout, status="EXPIRED")
        case CheckoutFailed():
            return msgspec.structs.replace(checkout, status="FAILED")
        case _:
            assert_never(fact)
