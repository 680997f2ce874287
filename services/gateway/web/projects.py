"""Projects: what their deployments have cost, month by month."""

from collections import Counter
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.api import ApiProblem
from services.gateway.web.listing import filtered, status_of
from services.gateway.web.pages import Pages
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()

NO_PROJECT: Final = "No project"
OTHERS: Final = "All others"
DRAWN_MAX: Final = 5
"""Projects with a colour of their own in the chart; there are six."""

READ_MAX: Final = 10
"""Pages of a hundred projects that are read at most."""

SEE_ALL: Final = ("finance", "admin")


@pages.get("/projects")
async def projects(visit: Visit) -> Response:
    """Show what projects cost, one's own or for finance another user's."""
    filters = {name: visit.query.get(name, "") for name in ("from", "to")}
    user_id = visit.query.get("user_id", "") if visit.has(*SEE_ALL) else ""
    try:
        costs, more, wrong = await _costs(visit, {**filters, "user_id": user_id})
    except ApiProblem as problem:
        if problem.code != "PROJECT_COSTS_DISABLED":
            raise
        return visit.show("projects_off.html")
    months = sorted({each["month"] for cost in costs for each in cost["by_month"]})
    return visit.show(
        "projects.html",
        status=status_of(wrong),
        wrong=wrong,
        costs=[{**each, "name": each["project"] or NO_PROJECT} for each in costs],
        more=more,
        months=months,
        figures=figures(costs, months),
        total=sum(each["credits"] for each in costs),
        deployments=sum(each["deployments"] for each in costs),
        filters=filters,
        user_id=user_id,
    )


async def _costs(visit: Visit, filters: dict[str, str]) -> tuple[list[dict[str, Any]], bool, Form]:
    """Return all projects, whether there are still more than are read, and what is wrong."""
    costs: list[dict[str, Any]] = []
    cursor = None
    for _ in range(READ_MAX):
        page, wrong = await filtered(
            visit, "/api/projects/costs", limit=100, cursor=cursor, **filters
        )
        costs += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return costs, False, wrong
    return costs, True, Form()


def figures(costs: list[dict[str, Any]], months: list[str]) -> dict[str, Any]:
    """Return what the chart draws: the dearest projects, and all others as one."""
    dearest = sorted(costs, key=lambda each: -each["credits"])
    series = [(each["project"] or NO_PROJECT, _by_month([each])) for each in dearest[:DRAWN_MAX]]
    if dearest[DRAWN_MAX:]:
        series.append((OTHERS, _by_month(dearest[DRAWN_MAX:])))
    return {
        "unit": "credits",
        "kind": "bar",
        "stacked": True,
        "labels": months,
        "series": [
            {"name": name, "values": [values[month] for month in months]} for name, values in series
        ],
    }


def _by_month(costs: list[dict[str, Any]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for cost in costs:
        for each in cost["by_month"]:
            found[each["month"]] += each["credits"]
    return found
