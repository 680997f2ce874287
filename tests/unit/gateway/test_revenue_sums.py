"""A period is whole months, whole days and what is left of days: each instant once."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from services.gateway.queries.revenue_sums import spans, whole_months

days = st.dates(date(2024, 12, 1), date(2026, 3, 1))
instants = st.datetimes(datetime(2024, 12, 1), datetime(2026, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the time zone
DAY = timedelta(days=1)


@given(days, days)
@example(date(1, 1, 1), date(9999, 12, 31))
@example(date(9999, 12, 31), date(9999, 12, 31))
@example(date(2026, 1, 1), date(2026, 2, 1))
def test_whole_months_lie_within_the_days_and_none_is_left_out(first: date, last: date) -> None:
    last = max(first, last)
    begin, end = whole_months(first, last)
    assert first <= begin <= end <= last
    if begin == end:
        assert begin == last
        assert (last - first).days < 62
    else:
        assert begin.day == end.day == 1
        assert (begin - first).days < 31
        assert (last - end).days < 31


@given(instants, instants, instants)
def test_an_instant_is_counted_once_or_not_at_all(
    begin: datetime, end: datetime, at: datetime
) -> None:
    first, last, *edges = spans(begin, end)
    month, after = whole_months(first, last)
    day = at.date()
    counted = [
        month <= day.replace(day=1) < after,
        first <= day < month,
        after <= day < last,
        edges[0] <= at < edges[1] or edges[2] <= at < edges[3],
    ]
    assert sum(counted) == (begin <= at < end)
