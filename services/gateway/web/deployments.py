"""All deployments: one's own, or everybody's for those who may see them."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.listing import filtered, status_of
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.shortage import shortage
from services.gateway.web.visit import Visit

pages: Final = Pages()

SEE_ALL: Final = ("admin", "finance", "support")
ROWS: Final = 100
"""A page's deployments: what the search looks through at once, and the most that the API gives."""

STATUSES: Final = (
    *("QUEUED", "PROVISIONING", "SUCCESS", "UPDATING", "DESTROYING"),
    *("FAILED", "TIMED_OUT", "CANCELLED", "DESTROYED"),
)


@pages.get("/deployments")
async def deployments(visit: Visit) -> Response:
    """Show deployments, the newest first, and how much was deployed."""
    sees_all = visit.has(*SEE_ALL)
    scope = "all" if sees_all and visit.query.get("scope") == "all" else "mine"
    filters = {
        name: visit.query.get(name, "") for name in ("search", "status", "module_id", "project")
    }
    if sees_all:
        filters["user_id"] = visit.query.get("user_id", "")
    (found, wrong), stats, short = await asyncio.gather(
        filtered(
            visit,
            "/api/deployments",
            scope=scope,
            limit=ROWS,
            cursor=visit.query.get("cursor"),
            **filters,
        ),
        visit.api.get("/api/deployments/stats"),
        shortage(visit),
    )
    given: dict[str, Any] = {**filters, "scope": "all" if scope == "all" else ""}
    return visit.show(
        "deployments.html",
        status=status_of(wrong),
        wrong=wrong,
        deployments=found,
        stats=stats,
        short=short,
        scope=scope,
        sees_all=sees_all,
        filters=filters,
        filtered=any(filters.values()),
        statuses=STATUSES,
        address=with_query("/deployments", **given),
    )
