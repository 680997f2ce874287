"""All pages, in one list."""

from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.gateway.web import (
    assets,
    deployment,
    deployments,
    module_list,
    platform_settings,
    profile,
    publish,
    revenue,
    signing_in,
    statements,
    users,
    webhooks,
)
from services.gateway.web.pages import Pages

PARTS: Final[tuple[Pages, ...]] = (
    signing_in.pages,
    deployment.pages,
    deployments.pages,
    module_list.pages,
    profile.pages,
    users.pages,
    publish.pages,
    platform_settings.pages,
    revenue.pages,
    statements.pages,
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
