"""What others are told of a checkout."""

from collections.abc import Sequence
from typing import Any, Final, assert_never

from contracts.events import Event
from contracts.ledger import v1
from contracts.types import Credits
from runtime.store import Recorded, StreamKind
from services.ledger.checkouts.rules import (
    Checkout,
    CheckoutExpired,
    CheckoutFact,
    CheckoutFailed,
    CheckoutOpened,
    CheckoutPaid,
    CheckoutRequested,
    evolve_checkout,
)


def checkout_stream(checkout_id: str) -> str:
    """Return the name of a checkout's stream."""
    return f"checkout-{checkout_id}"


def publish(record: Recorded[CheckoutFact]) -> Sequence[Event]:
    """Return the message of a fact; that a checkout was requested, others know already."""
    fact = record.fact
    head: dict[str, Any] = {
        "checkout_id": record.stream.partition("-")[2],
        "user_id": fact.user_id,
    }
    match fact:
        case CheckoutRequested():
            return []
        case CheckoutOpened():
            return [
                v1.CheckoutOpened(
                    **head,
                    credits=Credits(fact.credits),
                    bonus=Credits(fact.bonus),
                    price_minor=fact.price_minor,
                    currency=fact.currency,
                    session_id=fact.session_id,
                    url=fact.url,
                    session_expires_at=fact.session_expires_at,
                )
            ]
        case CheckoutPaid(payment_id=payment_id):
            return [v1.CheckoutPaid(**head, payment_id=payment_id)]
        case CheckoutExpired():
            return [v1.CheckoutExpired(**head)]
        case CheckoutFailed(code=code, detail=detail):
            return [v1.CheckoutFailed(**head, code=code, detail=detail)]
        case _:
            assert_never(fact)


CHECKOUT: Final = StreamKind(
    name="checkout",
    facts=CheckoutFact,
    state=Checkout,
    initial=lambda _: Checkout(),
    evolve=evolve_checkout,
    publish=publish,
)
"""`checkout-<id>`: an attempt to buy credits."""
