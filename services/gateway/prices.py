"""What credits cost: by a bundle of exactly so many, or else by the credit.

Minor units are what Stripe counts in: https://docs.stripe.com/currencies. Whole numbers only; a
price by the credit is rounded up to the next amount that can be charged.
"""

from typing import Final

import msgspec

from services.gateway.events import Settings

WHOLE_UNITS: Final = frozenset(
    {
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    }
)
"""Currencies without a minor unit."""
THOUSANDTHS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Currencies of a thousand minor units, charged in tens of them."""
HUNDREDS_ONLY: Final = frozenset({"ISK", "UGX"})
"""Currencies that are written with hundredths, and charged without."""

PRICE_MINOR_MAX: Final = 99_999_999
"""Stripe charges no more at once: eight digits."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Credits, the free ones that come with them, and the price of both in minor units."""

    credits: int
    bonus: int
    price_minor: int


def offer(settings: Settings, credits_wanted: int) -> Offer:
    """Return what so many credits cost: of bundles as large the cheapest, else by the credit."""
    bundles = [each for each in settings.credit_bundles if each.credits == credits_wanted]
    if bundles:
        best = min(bundles, key=lambda each: (each.price_minor, -each.bonus))
        return Offer(credits=credits_wanted, bonus=best.bonus, price_minor=best.price_minor)
    price = price_minor(credits_wanted, settings.credits_per_unit, settings.currency)
    return Offer(credits=credits_wanted, bonus=0, price_minor=price)


def price_minor(credits_wanted: int, credits_per_unit: int, currency: str) -> int:
    """Return the price of credits in minor units, rounded up to what can be charged."""
    unit, step = _units(currency)
    return -(-credits_wanted * unit // (credits_per_unit * step)) * step


def _units(currency: str) -> tuple[int, int]:
    """Return how many minor units a unit has, and in how many of them one can pay."""
    if currency in WHOLE_UNITS:
        return 1, 1
    if currency in THOUSANDTHS:
        return 1000, 10
    return 100, 100 if currency in HUNDREDS_ONLY else 1
