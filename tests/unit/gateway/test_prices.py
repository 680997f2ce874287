"""What credits cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.events import CreditBundle, Settings
from services.gateway.prices import Offer, offer, price_minor

BUNDLES = (
    CreditBundle(credits=100, bonus=10, price_minor=900),
    CreditBundle(credits=100, bonus=5, price_minor=800),
    CreditBundle(credits=500, bonus=100, price_minor=4000),
    CreditBundle(credits=500, bonus=150, price_minor=4000),
)


@pytest.mark.parametrize(
    ("credits_wanted", "per_unit", "currency", "price"),
    [
        (1, 1, "USD", 100),
        (10, 10, "USD", 100),
        (1, 3, "USD", 34),
        (2, 3, "USD", 67),
        (3, 3, "USD", 100),
        (1, 1_000_000, "USD", 1),
        (1, 1, "JPY", 1),
        (3, 2, "JPY", 2),
        (1, 1, "KWD", 1000),
        (1, 3, "KWD", 340),
        (1, 3, "ISK", 100),
        (4, 3, "ISK", 200),
    ],
)
def test_a_price_by_the_credit_is_rounded_up_to_what_can_be_charged(
    credits_wanted: int, per_unit: int, currency: str, price: int
) -> None:
    assert price_minor(credits_wanted, per_unit, currency) == price


@pytest.mark.parametrize(
    ("credits_wanted", "expected"),
    [
        (100, Offer(credits=100, bonus=5, price_minor=800)),
        (500, Offer(credits=500, bonus=150, price_minor=4000)),
        (99, Offer(credits=99, bonus=0, price_minor=990)),
        (200, Offer(credits=200, bonus=0, price_minor=2000)),
    ],
)
def test_the_best_bundle_of_exactly_so_many_wins_over_the_price_by_the_credit(
    credits_wanted: int, expected: Offer
) -> None:
    settings = Settings(credits_per_unit=10, credit_bundles=BUNDLES)
    assert offer(settings, credits_wanted) == expected


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.sampled_from(["USD", "JPY", "KWD", "ISK"]))
def test_nobody_gets_credits_for_less_than_they_cost(
    credits_wanted: int, per_unit: int, currency: Any
) -> None:
    price = price_minor(credits_wanted, per_unit, currency)
    unit, step = {"USD": (100, 1), "JPY": (1, 1), "KWD": (1000, 10), "ISK": (100, 100)}[currency]
    assert price % step == 0
    assert price * per_unit >= credits_wanted * unit > (price - step) * per_unit
