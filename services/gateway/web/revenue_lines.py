"""The lines of module revenue with their filters, sums and chart: a partner's, or everybody's."""

import asyncio
from datetime import date, timedelta
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.rendering import major, with_query
from services.gateway.web.visit import Form, Visit

FILTERS: Final = ("from", "to", "module_id", "partner_id")
LINES: Final = 25
DAYS_MAX: Final = 62
"""A chart of a longer time is of months."""
BARS_MAX: Final = 120

Groups = list[dict[str, Any]]


async def show_lines(visit: Visit, template: str, address: str, *, every: bool) -> Response:
    """Show a page of lines and the sums of all; `every` partner's, or the visitor's own."""
    wanted = filters(visit)
    form = Form({name: str(value or "") for name, value in wanted.items()})
    # Somebody who is an agent as well earns elsewhere too, which the lines here are not of.
    partner_id = wanted["partner_id"] or (None if every else visit.user_id)
    charted = {**wanted, "partner_id": partner_id}
    try:
        page, days, months, modules, partners = await asyncio.gather(
            visit.api.get(
                "/api/revenue/modules", **wanted, cursor=visit.query.get("cursor"), limit=LINES
            ),
            _summary(visit, "day", **charted),
            _summary(visit, "month", **charted),
            _summary(visit, "module"),
            _summary(visit, "partner"),
        )
    except ApiProblem as problem:
        form.problem = problem
        page, days, months, modules, partners = None, [], [], [], []
    return visit.show(
        template,
        status=200 if form.problem is None else form.problem.status,
        form=form,
        address=with_query(address, **wanted),
        csv=with_query(f"{address}.csv", **wanted),
        page=page,
        filtered=any(wanted.values()),
        chart=chart_of(days, months, every=every) if days else None,
        modules=options("All modules", modules),
        partners=options("All partners", partners),
        names={each["key"]: each["name"] for each in partners},
    )


def filters(visit: Visit) -> dict[str, str | None]:
    """Return what the lines are filtered by, as it stands in the page's address."""
    return {name: visit.query.get(name) or None for name in FILTERS}


def options(everything: str, groups: Groups) -> list[tuple[str, str]]:
    """Return the choices of a filter: all, and each that there is revenue of."""
    named = [(each["key"], each["name"] or each["key"]) for each in groups if each["key"]]
    return [("", everything), *sorted(named, key=lambda each: each[1].lower())]


def chart_of(days: Groups, months: Groups, *, every: bool) -> dict[str, Any]:
    """Return the figures of a chart: by day with the days between, or by month if it is long."""
    by_day = {each["key"]: each for each in days}
    first, last = (date.fromisoformat(pick(by_day)) for pick in (min, max))
    if (last - first).days < DAYS_MAX:
        keys = [str(first + timedelta(each)) for each in range((last - first).days + 1)]
        groups = by_day
    else:
        groups = {each["key"]: each for each in months[:BARS_MAX]}
        keys = sorted(groups)
    shares = (
        [("Partners\u2019 share", "partner_share"), ("Agents\u2019 share", "agent_share")]
        if every
        else [("Your share", "share")]
    )
    series = [("True revenue", "true_revenue"), *shares]

    def value(key: str, name: str) -> float:
        return float(major(groups[key][name])) if key in groups else 0.0

    return {
        "title": "True revenue by day" if groups is by_day else "True revenue by month",
        "figures": {
            "unit": days[0]["true_revenue"]["currency"],
            "labels": keys,
            "series": [
                {"name": title, "values": [value(key, name) for key in keys]}
                for title, name in series
            ],
        },
        "series": series,
        "rows": [groups[key] for key in keys if key in groups],
    }


async def _summary(visit: Visit, group_by: str, **wanted: str | None) -> Groups:
    path = "/api/revenue/summary"
    groups: Groups = (await visit.api.get(path, group_by=group_by, **wanted))["items"]
    return groups
