"""What Stripe is told of a checkout when its session is opened."""

from datetime import timedelta
from typing import Final

from services.ledger.checkouts.known import KnownCheckout
from services.ledger.settings import LedgerSettings
from services.ledger.stripe_gateway import Order

SESSION_LASTS: Final = timedelta(hours=23)
"""Stripe allows 24 hours from when it is asked; the same is asked for at every attempt."""


def order_of(known: KnownCheckout, settings: LedgerSettings) -> Order:
    """Return the order: the same at every attempt, as its idempotency key demands."""
    bonus = f" and {known.bonus:,} free ones" if known.bonus else ""
    return Order(
        checkout_id=known.checkout_id,
        user_id=known.user_id,
        title=f"{known.credits:,} credits{bonus}",
        price_minor=known.price_minor,
        currency=known.currency,
        success_url=f"{settings.public_url}{known.success_path}",
        cancel_url=f"{settings.public_url}{known.cancel_path}",
        expires_at=known.requested_at + SESSION_LASTS,
    )
