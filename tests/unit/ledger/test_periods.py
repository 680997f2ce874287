"""A month is half-open, follows the one before it, and is attested once, when it is over."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.periods.rules import Month, Period, PeriodAttested, decide, evolve

MONTHS = st.builds(Month, st.integers(1, 9998), st.integers(1, 12))
MARCH = Month(2026, 3)


def attestation(month: Month) -> PeriodAttested:
    return PeriodAttested(
        period=month.name,
        since=month.since,
        until=month.until,
        facts=0,
        facts_by_kind={},
        recognized_minor=0,
        reversed_minor=0,
        ledger_facts=0,
        ledger_streams=0,
        head="",
        verified_facts=0,
    )


@given(MONTHS)
def test_months_follow_each_other_without_a_gap(month: Month) -> None:
    assert month.until == month.next.since
    assert month < month.next
    assert Month.of(month.since) == month
    assert Month.of(month.until - timedelta(microseconds=1)) == month
    assert Month.of(month.until) == month.next


@given(MONTHS)
def test_a_month_is_found_by_its_name(month: Month) -> None:
    assert Month.named(month.name) == month


@pytest.mark.parametrize(
    "name", ["", "2026", "2026-13", "2026-00", "2026-1", "0000-01", "x2026-01"]
)
def test_what_is_no_month_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        Month.named(name)


def test_an_instant_with_another_zone_is_in_the_month_of_its_utc() -> None:
    assert Month.of(datetime.fromisoformat("2026-04-01T01:00:00+02:00")) == MARCH


def test_a_month_is_attested_once() -> None:
    fact = attestation(MARCH)
    assert decide(fact, Period(), MARCH.until) == [fact]
    assert decide(fact, evolve(Period(), fact), MARCH.until) == []


def test_to_attest_a_month_before_its_end_is_a_bug() -> None:
    with pytest.raises(ValueError, match="2026-03 is not over"):
        decide(attestation(MARCH), Period(), datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))
