"""The rules of checkouts, and what of Stripe's must not be booked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.refusal import Refusal
from services.ledger.checkouts.known import KnownCheckout, misfit
from services.ledger.checkouts.opening import order_of
from services.ledger.checkouts.rules import (
    Checkout,
    CheckoutCommand,
    CheckoutExpired,
    CheckoutFailed,
    CheckoutOpened,
    CheckoutPaid,
    CheckoutRequested,
    End,
    Open,
    Pay,
    Request,
    Status,
    decide_checkout,
    evolve_checkout,
)
from services.ledger.checkouts.sweeping import looks
from services.ledger.settings import LedgerSettings
from services.ledger.stripe_gateway import Payment, Session

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=23)
ASKED = CheckoutRequested(
    user_id="ada",
    credits=1000,
    bonus=100,
    price_minor=9000,
    currency="USD",
    success_path="/paid",
    cancel_path="/not",
    request_expires_at=NOON,
)
OFFER: dict[str, Any] = {
    "user_id": "ada",
    "credits": 1000,
    "bonus": 100,
    "price_minor": 9000,
    "currency": "USD",
}
OPENED = CheckoutOpened(**OFFER, session_id="cs_1", url="https://pay", session_expires_at=LATER)
PAID = CheckoutPaid(user_id="ada", session_id="cs_1", payment_id="pi_1")
EXPIRED = CheckoutExpired(user_id="ada")
FAILED = CheckoutFailed(user_id="ada", code="PAYMENT_FAILED", detail="no")

REQUEST = Request(asked=ASKED, platform_currency="USD")
OPEN = Open(session_id="cs_1", url="https://pay", session_expires_at=LATER)
PAY = Pay(session_id="cs_1", payment_id="pi_1")
EXPIRE = End(failure=None)
FAIL = End(failure=("PAYMENT_FAILED", "no"))
COMMANDS: tuple[CheckoutCommand, ...] = (REQUEST, OPEN, PAY, EXPIRE, FAIL)

GIVEN: dict[Status, tuple[Any, ...]] = {
    "NEW": (),
    "REQUESTED": (ASKED,),
    "OPEN": (ASKED, OPENED),
    "EXPIRED": (ASKED, OPENED, EXPIRED),
    "FAILED": (ASKED, OPENED, FAILED),
    "PAID": (ASKED, OPENED, PAID),
}
THEN: dict[Status, tuple[Any, Any, Any, Any, Any]] = {
    "NEW": (ASKED, None, None, None, None),
    "REQUESTED": (None, OPENED, PAID, EXPIRED, FAILED),
    "OPEN": (None, None, PAID, EXPIRED, FAILED),
    "EXPIRED": (None, None, PAID, None, None),
    "FAILED": (None, None, PAID, None, None),
    "PAID": (None, None, None, None, None),
}
RANK = {name: place for place, name in enumerate(("NEW", "REQUESTED", "OPEN", "EXPIRED"))} | {
    "FAILED": 3,
    "PAID": 4,
}


def after(facts: Any) -> Checkout:
    checkout = Checkout()
    for fact in facts:
        checkout = evolve_checkout(checkout, fact)
    return checkout


def test_the_table_has_every_status() -> None:
    assert set(GIVEN) == set(THEN) == set(get_args(Status))


@pytest.mark.parametrize("status", GIVEN)
@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_every_command_in_every_status(status: Status, number: int) -> None:
    checkout = after(GIVEN[status])
    assert checkout.status == status
    expected = THEN[status][number]
    assert decide_checkout(COMMANDS[number], checkout) == ([] if expected is None else [expected])


@given(st.lists(st.sampled_from(COMMANDS), max_size=12))
def test_a_checkout_never_goes_back_and_is_paid_once(commands: list[CheckoutCommand]) -> None:
    checkout, paid = Checkout(), 0
    for command in commands:
        before = checkout
        for fact in decide_checkout(command, checkout):
            checkout = evolve_checkout(checkout, fact)
            paid += isinstance(fact, CheckoutPaid)
        assert RANK[checkout.status] >= RANK[before.status]
        assert decide_checkout(command, checkout) == []
    assert paid <= 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"credits": 0, "price_minor": 0, "currency": "EUR"}, "INVALID_CREDITS"),
        ({"credits": -1}, "INVALID_CREDITS"),
        ({"bonus": -1}, "INVALID_CREDITS"),
        ({"credits": 2**63}, "INVALID_CREDITS"),
        ({"price_minor": 0, "currency": "EUR"}, "INVALID_PRICE"),
        ({"price_minor": 100_000_000}, "INVALID_PRICE"),
        ({"currency": "EUR"}, "CURRENCY_MISMATCH"),
    ],
)
def test_what_cannot_be_bought_is_refused_in_this_order(changes: Any, code: str) -> None:
    asked = msgspec.structs.replace(ASKED, **changes)
    with pytest.raises(Refusal) as refused:
        decide_checkout(Request(asked=asked, platform_currency="USD"), Checkout())
    assert refused.value.code == code


KNOWN = KnownCheckout(
    checkout_id="c-1",
    user_id="ada",
    status="OPEN",
    credits=1000,
    bonus=100,
    price_minor=9000,
    currency="USD",
    success_path="/paid",
    cancel_path="/not",
    requested_at=NOON,
    request_expires_at=NOON,
    session_id="cs_1",
    payment_id=None,
)
PAYMENT = Payment(
    payment_id="pi_1", status="succeeded", received_minor=9000, refunded_minor=0, disputed=False
)
SESSION = Session(
    session_id="cs_1",
    url=None,
    status="complete",
    paid=True,
    amount_minor=9000,
    currency="USD",
    created_at=NOON,
    expires_at=LATER,
    checkout_id="c-1",
    user_id="ada",
    payment=PAYMENT,
)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"checkout_id": "c-2", "user_id": "bob", "currency": "EUR"}, "SESSION_MISMATCH"),
        ({"checkout_id": None}, "SESSION_MISMATCH"),
        ({"session_id": "cs_2"}, "SESSION_MISMATCH"),
        ({"user_id": "bob", "currency": "EUR", "amount_minor": 1}, "USER_MISMATCH"),
        ({"currency": "EUR", "amount_minor": 1}, "CURRENCY_MISMATCH"),
        ({"amount_minor": 8999}, "AMOUNT_MISMATCH"),
        ({"amount_minor": 9001}, "AMOUNT_MISMATCH"),
        ({"payment": replace(PAYMENT, received_minor=8999)}, "AMOUNT_MISMATCH"),
        ({"payment": None}, None),
    ],
)
def test_what_does_not_fit_is_not_booked(changes: Any, code: str | None) -> None:
    why = misfit(KNOWN, replace(SESSION, **changes))
    assert (None if why is None else why.code) == code


def test_a_session_that_was_opened_before_we_died_is_ours_all_the_same() -> None:
    assert misfit(replace(KNOWN, session_id=None, status="REQUESTED"), SESSION) is None


def test_an_order_is_the_same_at_every_attempt() -> None:
    settings = LedgerSettings.model_validate(
        {
            "postgres_dsn": "postgresql:///none",
            "nats_user": "ledger",
            "nats_password": "unused",
            "public_url": "https://tollgate.example/",
        }
    )
    order = order_of(KNOWN, settings)
    assert order == order_of(replace(KNOWN, status="REQUESTED"), settings)
    assert order.success_url == "https://tollgate.example/paid"
    assert order.title == "1,000 credits and 100 free ones"
    assert order.expires_at == LATER


@pytest.mark.parametrize(
    ("minutes", "number"),
    [(-1, 0), (0, 0), (4.9, 0), (5, 1), (9.9, 1), (10, 2), (19, 2), (20, 3), (40, 4), (1440, 9)],
)
def test_an_open_checkout_is_looked_at_ever_more_seldom(minutes: float, number: int) -> None:
    assert looks(timedelta(minutes=minutes)) == number
