"""All pages, in one list."""

from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.gateway.web import (
    assets,
    billing,
    billing_close,
    billing_credits,
    buying,
    deploying,
    deployment,
    deployments,
    ledger,
    module_list,
    platform_settings,
    profile,
    projects,
    publish,
    revenue,
    signing_in,
    statements,
    users,
    wallet,
    webhooks,
)
from services.gateway.web.pages import Pages

PARTS: Final[tuple[Pages, ...]] = (
    signing_in.pages,
    buying.pages,
    deploying.pages,
    deployment.pages,
    deployments.pages,
    ledger.pages,
    module_list.pages,
    platform_settings.pages,
    profile.pages,
    projects.pages,
    publish.pages,
    billing.pages,
    billing_close.pages,
    billing_credits.pages,
    revenue.pages,
    statements.pages,
    users.pages,
    wallet.pages,
    webhooks.pages,
)


async def _home(_: Request) -> Response:
    return RedirectResponse("/deploy", status_code=303)


def page_routes() -> Iterator[Route]:
    """Yield the routes of all pages and of what they load."""
    assets.assets()
    yield Route("/", _home, methods=["GET"])
    yield assets.ROUTE
    for part in PARTS:
        yield from part.routes
