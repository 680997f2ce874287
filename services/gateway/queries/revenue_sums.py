"""Sums of lines: whole months and days as they were added up, the rest line by line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

from runtime.connection import Connection

GroupBy = Literal["day", "month", "module", "partner", "agent"]

GROUPS_MAX: Final = 1_000
"""Groups that a summary shows at most: the latest days or months, the largest of the others."""

_DAY: Final = timedelta(days=1)
_FIRST: Final = date(1, 1, 1)
_LAST: Final = date(9999, 12, 31)

_COLUMNS: Final = """module_id, partner_id, agent_id, lines, credit_cost, purchased_credits,
               true_revenue_minor, partner_share_minor, agent_share_minor"""
_WANTED: Final = """
          and ($7::text is null or partner_id = $7)
          and ($8::text is null or agent_id = $8)
          and ($9::text is null or module_id = $9)
          and ($10::text is null or partner_id = $10 or agent_id = $10)"""
_FIGURES: Final = f"""
    with figures as (
        select month as day, {_COLUMNS} from revenue_months
        where month >= $11 and month < $12 {_WANTED}
        union all
        select day, {_COLUMNS} from revenue_days where day >= $1 and day < $11 {_WANTED}
        union all
        select day, {_COLUMNS} from revenue_days where day >= $12 and day < $2 {_WANTED}
        union all
        select (recognized_at at time zone 'UTC')::date, module_id, coalesce(partner_id, ''),
               coalesce(agent_id, ''), 1, credit_cost, purchased_credits, true_revenue_minor,
               partner_share_minor, agent_share_minor
        from revenue_lines
        where complete
          and (recognized_at >= $3 and recognized_at < $4
               or recognized_at >= $5 and recognized_at < $6)
          {_WANTED})"""  # noqa: S608 - only our own constants are put together
_SUMS: Final = """
    coalesce(sum(lines), 0)::bigint as lines,
    coalesce(sum(credit_cost), 0)::bigint as credit_cost,
    coalesce(sum(purchased_credits), 0)::bigint as purchased_credits,
    coalesce(sum(true_revenue_minor), 0)::bigint as true_revenue_minor,
    coalesce(sum(partner_share_minor), 0)::bigint as partner_share_minor,
    coalesce(sum(agent_share_minor), 0)::bigint as agent_share_minor,
    coalesce(sum(partner_share_minor) filter (where partner_id = $10), 0)::bigint
        + coalesce(sum(agent_share_minor) filter (where agent_id = $10), 0)::bigint
        as own_share_minor"""
_KEYS: Final[dict[GroupBy, tuple[str, str]]] = {
    "day": ("to_char(day, 'YYYY-MM-DD')", "1 desc"),
    "month": ("to_char(day, 'YYYY-MM')", "1 desc"),
    "module": ("module_id", "true_revenue_minor desc, 1"),
    "partner": ("nullif(partner_id, '')", "true_revenue_minor desc, 1"),
    "agent": ("nullif(agent_id, '')", "true_revenue_minor desc, 1"),
}


@dataclass(frozen=True, kw_only=True)
class LinesWanted:
    """Which lines are added up; `payee_id` is partner or agent of them."""

    begin: datetime | None = None
    end: datetime | None = None
    partner_id: str | None = None
    agent_id: str | None = None
    module_id: str | None = None
    payee_id: str | None = None


async def sums(connection: Connection, wanted: LinesWanted) -> dict[str, Any]:
    """Return the sums of all lines that are wanted."""
    row = await connection.fetchrow(
        f"{_FIGURES} select {_SUMS} from figures",  # noqa: S608 - only our own constants are put together
        *_arguments(wanted, by_day=False),
    )
    return dict(row or {})


async def sums_by(
    connection: Connection, wanted: LinesWanted, group_by: GroupBy
) -> list[dict[str, Any]]:
    """Return the sums by group, one more than `GROUPS_MAX` at most, each with its `key`.

    Days and months the latest first, the others by revenue; the key of nobody is none.
    """
    key, order = _KEYS[group_by]
    rows = await connection.fetch(
        f"""{_FIGURES} select {key} as key, {_SUMS} from figures
            group by 1 order by {order} limit {GROUPS_MAX + 1}""",  # noqa: S608 - only our own constants are put together
        *_arguments(wanted, by_day=group_by == "day"),
    )
    return [dict(row) for row in rows]


async def names_of(
    connection: Connection, keys: Sequence[str], group_by: GroupBy
) -> dict[str, str]:
    """Return what the keys of groups are called: a module's name, or a payee's e-mail address."""
    match group_by:
        case "module":
            found = "select module_id as key, name from modules where module_id = any ($1::text[])"
        case "partner" | "agent":
            found = """select user_id as key, email as name from accounts
                       where user_id = any ($1::text[])"""
        case _:
            return {}
    return {row["key"]: row["name"] for row in await connection.fetch(found, keys)}


def _arguments(wanted: LinesWanted, *, by_day: bool) -> tuple[object, ...]:
    first, last, *rest = spans(wanted.begin, wanted.end)
    return (
        *(first, last, *rest),
        *(wanted.partner_id, wanted.agent_id, wanted.module_id, wanted.payee_id),
        *((last, last) if by_day else whole_months(first, last)),
    )


def whole_months(first: date, last: date) -> tuple[date, date]:
    """Return the first day of the first whole month of some days, and that of the month after all.

    Where there is none, both are the day after the last.
    """
    month = first.replace(day=1)
    if month < first:
        month = (month + 32 * _DAY).replace(day=1) if month < _LAST.replace(day=1) else last
    after = last.replace(day=1)
    return (month, after) if month < after else (last, last)


def spans(
    begin: datetime | None, end: datetime | None
) -> tuple[date, date, datetime, datetime, datetime, datetime]:
    """Return the whole days of a period, and the instants of what is left before and after.

    Three half-open intervals, each of which may be empty, that together are the period.
    """
    nothing = datetime.combine(_FIRST, time(), UTC)
    first = _FIRST if begin is None else _midnight_from(begin)
    last = _LAST if end is None else end.astimezone(UTC).date()
    if first > last or (begin is not None and end is not None and begin >= end):
        inside = (begin or nothing, end or nothing)
        return _FIRST, _FIRST, *inside, nothing, nothing
    head = (nothing, nothing) if begin is None else (begin, datetime.combine(first, time(), UTC))
    tail = (nothing, nothing) if end is None else (datetime.combine(last, time(), UTC), end)
    return first, last, *head, *tail


def _midnight_from(instant: datetime) -> date:
    """Return the first day that begins at an instant or after it."""
    utc = instant.astimezone(UTC)
    return utc.date() if utc.time() == time() else min(utc.date(), _LAST - _DAY) + _DAY
