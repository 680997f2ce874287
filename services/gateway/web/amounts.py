"""Money as people type it, in whole minor units."""

import re
from decimal import Decimal
from typing import Final

MINOR_DIGITS: Final = {
    "JPY": 0,
    "KRW": 0,
    "CLP": 0,
    "ISK": 0,
    "VND": 0,
    "BHD": 3,
    "KWD": 3,
    "TND": 3,
}
"""Digits after the point, where they are not two (ISO 4217)."""

DIGITS_MAX: Final = 15
_AMOUNT: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


def minor_digits(currency: str) -> int:
    """Return how many digits after the point a currency has."""
    return MINOR_DIGITS.get(currency, 2)


def minor_units(text: str, currency: str) -> int | str:
    """Return an amount as typed (`1,234.50`) in minor units (123450).

    What is no amount of this currency is returned as it is: the API refuses it, at its field.
    """
    plain = text.strip().replace(",", "").replace(" ", "")
    if _AMOUNT.fullmatch(plain) is None or len(plain) > DIGITS_MAX:
        return text
    scaled = Decimal(plain).scaleb(minor_digits(currency))
    return int(scaled) if scaled == scaled.to_integral_value() else text
