"""Statements: what a payee is due of each closed month."""

from typing import Any, Final

from starlette.responses import Response

from services.gateway.web.downloads import Download
from services.gateway.web.pages import Pages
from services.gateway.web.revenue import ALL, PAYEES
from services.gateway.web.visit import Visit

pages: Final = Pages()
STATEMENTS: Final = 24
LINES: Final = 50


@pages.get("/revenue/statements", *PAYEES)
async def statements(visit: Visit) -> Response:
    """List the visitor's statements, the latest month first."""
    found = await visit.api.get(
        "/api/revenue/statements",
        payee_id=visit.user_id,
        cursor=visit.query.get("cursor"),
        limit=STATEMENTS,
    )
    return visit.show("statements.html", page=found)


@pages.get("/revenue/statements/{statement_id}.csv", *ALL)
async def statement_csv(visit: Visit) -> Response:
    """Download all lines of a statement."""
    return Download(visit, _path(visit))


@pages.get("/revenue/statements/{statement_id}", *ALL)
async def statement(visit: Visit) -> Response:
    """Show a statement and a page of its lines."""
    found: dict[str, Any] = await visit.api.get(
        _path(visit), cursor=visit.query.get("cursor"), limit=LINES
    )
    return visit.show("statement.html", it=found)


def _path(visit: Visit) -> str:
    return visit.api.at("/api/revenue/statements/{}", visit.request.path_params["statement_id"])
