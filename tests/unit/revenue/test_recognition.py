"""What a settlement earns."""

import pytest

from services.revenue.decider import ContradictionError, decide_revenue
from services.revenue.events import RevenueState, SpentSlice
from tests.unit.revenue.books import Books
from tests.unit.revenue.examples import NOON, awarded, purchased, settlement

EARNINGS = [
    ("a deployment covered by awards earns nothing", [awarded(0, 50)], 0),
    ("a deployment that cost nothing earns nothing", [], 0),
    ("a deployment covered by a purchase earns its price", [purchased(0, 100)], 10_000),
    (
        "of one partly covered only the purchased part earns",
        [awarded(0, 30), purchased(0, 20)],
        2_000,
    ),
    (
        "bonus credits of a bundle were given, and earn nothing",
        [awarded(0, 5, kind="award.bonus")],
        0,
    ),
    (
        "a third of a cent is left to the next slice",
        [purchased(0, 1, lot_credits=3, price_minor=1)],
        0,
    ),
    ("which then has the cent", [purchased(2, 3, lot_credits=3, price_minor=1)], 1),
    ("a purchase that was free earns nothing", [purchased(0, 10, price_minor=0)], 0),
    (
        "two purchases earn each at its own price",
        [purchased(90, 100), purchased(0, 10, price_minor=8_000)],
        1_800,
    ),
]


@pytest.mark.parametrize(("claim", "slices", "revenue"), EARNINGS, ids=[e[0] for e in EARNINGS])
def test_true_revenue_is_the_value_of_the_purchased_slices(
    claim: str, slices: list[SpentSlice], revenue: int
) -> None:
    [line] = decide_revenue(settlement(*slices), RevenueState())

    assert line.true_revenue_minor == revenue, claim
    assert sum(line.slice_revenue_minor) == revenue
    assert len(line.slice_revenue_minor) == len(slices)


def test_revenue_belongs_to_the_instant_of_the_settlement() -> None:
    [line] = decide_revenue(settlement(purchased(0, 1), settled_at=NOON), RevenueState())

    assert line.recognized_at == NOON


def test_a_line_names_the_settlement_and_all_that_it_was_computed_from() -> None:
    command = settlement(awarded(0, 30), purchased(0, 20), partner="pia", agent="arno")
    [line] = decide_revenue(command, RevenueState())

    assert line.hold == command.hold
    assert line.entry == command.entry
    assert (line.hold.awarded_credits, line.hold.purchased_credits) == (30, 20)


def test_a_settlement_told_twice_earns_once() -> None:
    command = settlement(purchased(0, 20), partner="pia")
    books = Books().take(command, command)

    assert len(books.lines) == 1
    assert books.total_of("pia") == 600


def test_a_deployment_that_is_settled_by_two_holds_is_a_contradiction() -> None:
    first = settlement(purchased(0, 20), hold="h1")
    second = settlement(purchased(20, 40), hold="h2")

    with pytest.raises(ContradictionError) as caught:
        Books().take(first, second)

    assert caught.value.fields == {
        "deployment_id": "d1",
        "settled_hold_id": "h1",
        "hold_id": "h2",
    }


def test_a_settlement_that_earned_nothing_counts_as_settled() -> None:
    free = settlement(awarded(0, 20), hold="h1")

    with pytest.raises(ContradictionError):
        Books().take(free, settlement(purchased(0, 20), hold="h2"))


def test_slices_that_are_not_the_cost_are_a_contradiction() -> None:
    with pytest.raises(ContradictionError):
        decide_revenue(settlement(purchased(0, 20), cost=21), RevenueState())
