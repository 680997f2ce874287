"""Credits: what somebody has, which of them expire, and where they came from and went."""

import asyncio
from datetime import timedelta
from typing import Final, get_args

from starlette.responses import Response

from services.gateway.gateway import Gateway
from services.gateway.http.credits import HistoryType
from services.gateway.times import rfc_3339
from services.gateway.web.buying import buying_form
from services.gateway.web.downloads import Download
from services.gateway.web.listing import filtered, status_of
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.shortage import shortage
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()

LINES: Final = 50
LOTS: Final = 100
WARNED_OF: Final = 3
"""Lots that expire soon: no page says more of them at its top."""
SOON: Final = timedelta(days=14)
"""How long before lots expire their owner is warned."""

FILTERS: Final = ("type", "from", "to")


@pages.get("/credits")
async def wallet(visit: Visit) -> Response:
    """Show the balance, the lots, the history, and what credits cost."""
    filters = {name: visit.query.get(name, "") for name in FILTERS}
    gateway: Gateway = visit.request.app.state.gateway
    soon = rfc_3339(gateway.now + SOON)
    lots, expiring, (history, wrong), short = await asyncio.gather(
        visit.api.get("/api/credits/lots", limit=LOTS, cursor=visit.query.get("lots_cursor")),
        visit.api.get("/api/credits/lots", limit=WARNED_OF, expires_before=soon),
        filtered(
            visit,
            "/api/credits/history",
            limit=LINES,
            cursor=visit.query.get("cursor"),
            **filters,
        ),
        shortage(visit),
    )
    return visit.show(
        "credits.html",
        status=status_of(wrong),
        wrong=wrong,
        lots=lots,
        history=history,
        short=short,
        soon=expiring["items"],
        filters=filters,
        filtered=any(filters.values()),
        types=get_args(HistoryType),
        address=with_query("/credits", **filters),
        file=with_query("/credits/history.csv", **filters),
        **buying_form(visit, Form({"buy": visit.query.get("buy", "")})),
    )


@pages.get("/credits/history.csv")
async def history_file(visit: Visit) -> Response:
    """Give the history as a file, by the page's filters."""
    return Download(
        visit,
        "/api/credits/history",
        **{name: visit.query.get(name, "") for name in FILTERS},
    )
