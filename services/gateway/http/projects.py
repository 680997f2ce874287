"""Projects: what their deployments cost."""

from typing import Annotated, Final

from fastapi import Query
from pydantic import Field

from services.gateway.http.access import signed_in
from services.gateway.http.parameters import (
    Asker,
    IdInQuery,
    Moment,
    TheCursors,
    TheGateway,
    ThePaging,
    period,
    whose,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Output, Page, page
from services.gateway.queries.projects import list_project_costs
from services.gateway.queries.settings import current_settings
from services.gateway.queries.users import exists

router = resource("Projects")

SEE_ALL: Final = ("finance", "admin")


class MonthCost(Output):
    """What a project cost in a month (UTC)."""

    month: Annotated[str, Field(examples=["2026-01"])]
    credits: int
    deployments: int


class ProjectCost(Output):
    """What a project cost: credits that were spent, less those given back; null is no project."""

    project: str | None
    credits: int
    deployments: int
    by_month: list[MonthCost]


@router.get("/api/projects/costs")
@signed_in
async def project_costs(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    user_id: IdInQuery = None,
    begin: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
) -> Page[ProjectCost]:
    """List what one's projects cost, by name; what is in no project comes last."""
    owner = whose(asker, user_id, *SEE_ALL)
    since, until = period(begin, end)
    scope = {"list": "project costs", "user": owner, "from": begin, "to": end}
    after = cursors.read(scope, paging.cursor, (bool, str))
    async with gateway.connection() as connection:
        if not (await current_settings(connection)).settings.project_costs_enabled:
            raise ProblemError("PROJECT_COSTS_DISABLED")
        if not await exists(connection, owner):
            raise ProblemError("NOT_FOUND")
        rows = await list_project_costs(
            connection, owner, begin=since, end=until, after=after, limit=paging.limit + 1
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["project"] is None, row["project"] or ""),
        item=lambda row: ProjectCost(**row),
    )
    return Page(items=items, next_cursor=cursor)
