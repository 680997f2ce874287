"""What holds for every history of settlements."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts import money_rules
from services.revenue.decider import Recognize
from services.revenue.events import SpentSlice
from tests.unit.revenue.books import Books
from tests.unit.revenue.examples import awarded, purchased, settlement

PEOPLE = st.sampled_from(["pia", "paul", "arno", "anna"])
BASIS_POINTS = st.integers(0, 5_000)
LOT_CREDITS_MAX = 1_000
PRICE_MINOR_MAX = 100_000


@st.composite
def slices(draw: st.DrawFn) -> SpentSlice:
    """A slice of some lot, awarded or bought at an awkward price."""
    size = draw(st.integers(1, LOT_CREDITS_MAX))
    start = draw(st.integers(0, size - 1))
    end = draw(st.integers(start + 1, size))
    if draw(st.booleans()):
        return awarded(start, end)
    return purchased(
        start, end, lot_credits=size, price_minor=draw(st.integers(0, PRICE_MINOR_MAX))
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Recognize]:
    """Settlements of different deployments, with different shares."""
    count = draw(st.integers(0, 30))
    return [
        settlement(
            *draw(st.lists(slices(), max_size=4)),
            deployment=f"d{number}",
            user=draw(st.sampled_from(["ursula", "uwe", "pia", "arno"])),
            partner=draw(st.none() | PEOPLE),
            agent=draw(st.none() | PEOPLE),
            partner_basis_points=draw(BASIS_POINTS),
            agent_basis_points=draw(BASIS_POINTS),
        )
        for number in range(count)
    ]


def exact_entitlements(history: list[Recognize]) -> dict[str, Fraction]:
    """Return what each payee is exactly due, computed the plain way, in minor units."""
    due: dict[str, Fraction] = {}
    for command in history:
        hold = command.hold
        revenue = sum(
            s.lot_price_minor * s.end // s.lot_credits
            - s.lot_price_minor * s.start // s.lot_credits
            for s in hold.slices
            if s.lot_kind == "purchase"
        )
        for payee, basis_points in (
            (hold.partner_id, hold.partner_basis_points),
            (hold.agent_id, hold.agent_basis_points),
        ):
            if payee not in (None, hold.user_id):
                due[payee] = due.get(payee, Fraction(0)) + Fraction(revenue * basis_points, 10_000)
    return due


@given(histories())
def test_a_payee_is_short_of_less_than_one_minor_unit(history: list[Recognize]) -> None:
    books = Books().take(*history)

    for payee, exact in exact_entitlements(history).items():
        assert 0 <= exact - books.total_of(payee) < 1


@given(histories())
def test_the_order_of_settlements_changes_no_total(history: list[Recognize]) -> None:
    forwards = Books().take(*history)
    backwards = Books().take(*reversed(history))

    assert {p: s.total_minor for p, s in forwards.payees.items()} == {
        p: s.total_minor for p, s in backwards.payees.items()
    }


@given(histories())
def test_every_running_total_is_the_sum_so_far_and_no_line_is_missing(
    history: list[Recognize],
) -> None:
    books = Books().take(*history)

    for payee, state in books.payees.items():
        total = 0
        remainder = 0
        for share in books.shares_of(payee):
            total += share.share_minor
            assert share.running_total_minor == total
            assert share.remainder_before == remainder
            remainder = share.remainder_after
        assert state.lines == len(books.shares_of(payee))


@given(histories())
def test_what_payees_and_the_platform_get_is_the_whole(history: list[Recognize]) -> None:
    books = Books().take(*history)
    whole = sum(line.true_revenue_minor for line in books.lines)
    to_payees = sum(state.total_minor for state in books.payees.values())

    assert 0 <= to_payees <= whole
    assert all(share.share_minor >= 0 for share in books.shares)


@given(histories())
def test_every_settlement_has_exactly_one_line(history: list[Recognize]) -> None:
    books = Books().take(*history, *history)

    assert [line.hold.deployment_id for line in books.lines] == [
        command.hold.deployment_id for command in history
    ]


@given(
    size=st.integers(1, LOT_CREDITS_MAX),
    price_minor=st.integers(0, PRICE_MINOR_MAX),
    cuts=st.sets(st.integers(0, LOT_CREDITS_MAX)),
)
def test_however_a_lot_is_cut_its_slices_are_worth_its_price(
    size: int, price_minor: int, cuts: set[int]
) -> None:
    ends = sorted({0, size, *(cut for cut in cuts if cut <= size)})
    worth = [
        money_rules.slice_value(price_minor=price_minor, lot_credits=size, start=start, end=end)
        for start, end in pairwise(ends)
    ]

    assert sum(worth) == price_minor
    assert all(value >= 0 for value in worth)


@given(st.lists(st.tuples(st.integers(-10_000, 10_000), st.integers(0, 10_000))))
def test_carrying_the_remainder_is_the_floor_of_the_sum(amounts: list[tuple[int, int]]) -> None:
    total, remainder, exact = 0, 0, 0
    for revenue_minor, basis_points in amounts:
        share, remainder = money_rules.accrue(
            remainder=remainder, revenue_minor=revenue_minor, basis_points=basis_points
        )
        total += share
        exact += money_rules.entitlement(revenue_minor=revenue_minor, basis_points=basis_points)

    assert total == money_rules.whole_minor_units(exact)
