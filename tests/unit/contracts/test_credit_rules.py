"""The gate, as whoever asks for a quote meets it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.credit_rules import Verdict, judge

credits_there = st.integers(0, 200)


@given(st.integers(0, 200), st.booleans(), credits_there, credits_there)
def test_the_parts_of_what_passes_are_there_and_sum_to_the_cost(
    list_price: int, premium: bool, awarded: int, purchased: int
) -> None:
    verdict = judge(
        list_price=list_price,
        premium=premium,
        own_module=False,
        credits_enabled=True,
        available_awarded=awarded,
        available_purchased=purchased,
    )
    if verdict.shortage is None:
        assert verdict.awarded_part + verdict.purchased_part == verdict.cost == list_price
        assert verdict.awarded_part <= awarded
        assert verdict.purchased_part <= purchased
        if not premium:
            assert verdict.purchased_part == list_price - min(list_price, awarded)
    else:
        assert verdict.available < list_price
        assert (verdict.awarded_part, verdict.purchased_part) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [
        ({}, Verdict("STANDARD", 50, 30, 20, 130, None)),
        ({"premium": True}, Verdict("PREMIUM", 50, 0, 50, 130, None)),
        ({"list_price": 131}, Verdict("STANDARD", 131, 0, 0, 130, "INSUFFICIENT_TOTAL_CREDITS")),
        (
            {"list_price": 101, "premium": True},
            Verdict("PREMIUM", 101, 0, 0, 100, "INSUFFICIENT_PURCHASED_CREDITS"),
        ),
        (
            {"list_price": 131, "premium": True},
            Verdict("PREMIUM", 131, 0, 0, 130, "INSUFFICIENT_TOTAL_CREDITS"),
        ),
        (
            {"list_price": 999, "premium": True, "own_module": True},
            Verdict("OWN_MODULE", 0, 0, 0, 130, None),
        ),
        (
            {"list_price": 999, "credits_enabled": False},
            Verdict("CREDITS_OFF", 0, 0, 0, 130, None),
        ),
    ],
)
def test_the_gate_says_what_it_costs_and_what_is_short(
    asked: dict[str, object], verdict: Verdict
) -> None:
    usual: dict[str, object] = {
        "list_price": 50,
        "premium": False,
        "own_module": False,
        "credits_enabled": True,
        "available_awarded": 30,
        "available_purchased": 100,
    }
    assert judge(**(usual | asked)) == verdict  # type: ignore[arg-type]
