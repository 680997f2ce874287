"""Billing: what users and modules earned, for finance and administrators."""

from typing import Final

from starlette.responses import Response

from services.gateway.web.downloads import Download
from services.gateway.web.pages import Pages
from services.gateway.web.revenue import show_users, users_csv
from services.gateway.web.revenue_lines import filters, show_lines
from services.gateway.web.visit import Visit

pages: Final = Pages()
ROLES: Final = ("finance", "admin")


@pages.get("/billing", *ROLES)
async def user_revenue(visit: Visit) -> Response:
    """Show all users with what they earned us."""
    return await show_users(visit, "billing_users.html", "/billing", "/billing/users.csv")


@pages.get("/billing/users.csv", *ROLES)
async def user_revenue_csv(visit: Visit) -> Response:
    """Download all users that the filters leave."""
    return users_csv(visit)


@pages.get("/billing/modules", *ROLES)
async def module_revenue(visit: Visit) -> Response:
    """Show what all modules earned."""
    return await show_lines(visit, "billing_modules.html", "/billing/modules", every=True)


@pages.get("/billing/modules.csv", *ROLES)
async def module_revenue_csv(visit: Visit) -> Response:
    """Download all lines that the filters leave."""
    return Download(visit, "/api/revenue/modules", **filters(visit))
