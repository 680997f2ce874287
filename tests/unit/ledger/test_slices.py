"""The arithmetic of a lot's free ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.slices import OverlapError, lowest, size, with_back, without
from services.ledger.wallet import Range


def members(ranges: tuple[Range, ...]) -> set[int]:
    """Return each credit of the ranges by its number."""
    return {number for start, end in ranges for number in range(start, end)}


def ranges_of(numbers: set[int]) -> tuple[Range, ...]:
    """Return the fewest ranges that hold these credits."""
    starts = sorted(n for n in numbers if n - 1 not in numbers)
    ends = sorted(n + 1 for n in numbers if n + 1 not in numbers)
    return tuple(zip(starts, ends, strict=True))


credit_sets = st.sets(st.integers(0, 30))


@given(credit_sets, st.integers(0, 40))
def test_the_lowest_credits_are_taken(numbers: set[int], wanted: int) -> None:
    taken = lowest(ranges_of(numbers), wanted)
    assert members(taken) == set(sorted(numbers)[:wanted])
    assert size(taken) == min(wanted, len(numbers))


@given(credit_sets, st.integers(0, 30), st.integers(0, 30))
def test_a_range_can_be_taken_out_of_free_ones_only(
    numbers: set[int], start: int, end: int
) -> None:
    free = ranges_of(numbers)
    wanted = set(range(start, end))
    if wanted and wanted <= numbers:
        assert without(free, start, end) == ranges_of(numbers - wanted)
    else:
        with pytest.raises(OverlapError):
            without(free, start, end)


@given(credit_sets, st.integers(0, 30), st.integers(0, 30))
def test_a_range_that_comes_back_is_joined_and_never_overlaps(
    numbers: set[int], start: int, end: int
) -> None:
    free = ranges_of(numbers)
    returned = set(range(start, end))
    if returned and not returned & numbers:
        assert with_back(free, start, end) == ranges_of(numbers | returned)
    else:
        with pytest.raises(OverlapError):
            with_back(free, start, end)
