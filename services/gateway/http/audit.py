"""The audit log: who did what when."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from services.gateway.http.access import only
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.parameters import (
    IdInQuery,
    Moment,
    TheCursors,
    TheGateway,
    ThePaging,
    period,
)
from services.gateway.http.route import resource
from services.gateway.http.shapes import Output, Page, by_time, page
from services.gateway.queries.audit import AuditFilter, list_audit

router = resource("Audit")

ActionInQuery = Annotated[
    str | None, Query(pattern=r"^[a-z_]{1,64}$", examples=["user_roles_changed"])
]


class AuditEntry(Output):
    """That somebody did something.

    `actor` is a user's id, or `system`, `command-line`, `stripe` or `github`; `subject` is the id
    of what it was done to, and `details` are those of the action. Nothing secret is among them.
    """

    id: str
    at: datetime
    actor: str
    action: Annotated[str, Field(examples=["award_asked"])]
    subject: str | None
    details: dict[str, Any]


@router.get("/api/audit")
@only("admin", "finance")
async def audit(
    *,
    gateway: TheGateway,
    cursors: TheCursors,
    paging: ThePaging,
    actor: IdInQuery = None,
    action: ActionInQuery = None,
    begin: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
) -> Page[AuditEntry]:
    """List what was done, the newest first. Signing in and tokens are kept for 400 days."""
    since, until = period(begin, end)
    wanted = AuditFilter(actor=actor, action=action, begin=since, end=until)
    scope = {"list": "audit", "filter": (actor, action, begin, end)}
    after = cursors.read(scope, paging.cursor, TIME_AND_ID)
    async with gateway.connection() as connection:
        rows = await list_audit(connection, wanted, after=after, limit=paging.limit + 1)
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=by_time("at"),
        item=lambda row: AuditEntry(**row),
    )
    return Page(items=items, next_cursor=cursor)
