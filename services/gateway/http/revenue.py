"""True revenue: by module for partners, by user for agents, all of it for finance and admins."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Query

from contracts.types import Role
from services.gateway.http.access import only
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.parameters import (
    Asker,
    IdInQuery,
    Moment,
    Search,
    TheCursors,
    TheGateway,
    ThePaging,
    period,
)
from services.gateway.http.route import resource
from services.gateway.http.shapes import Amount, Output, page
from services.gateway.queries.revenue import (
    list_module_revenue,
    list_user_revenue,
    module_revenue_totals,
    user_revenue_totals,
)
from services.gateway.queries.settings import current_settings

router = resource("Revenue")

SEE_ALL: Final = ("finance", "admin")


class ModuleRevenue(Output):
    """What one settlement earned. `true_revenue` is all of it, `revenue` the partner's share."""

    deployment_id: str
    module_id: str
    module_name: str
    partner_id: str | None
    created_at: datetime
    recognized_at: datetime
    credit_cost: int
    purchased_credits: int
    true_revenue: Amount
    revenue: Amount
    status: Literal["PAYABLE", "DISPUTED", "REVERSED"]


class ModuleRevenueTotals(Output):
    """The sums of all lines of the list, on whatever page."""

    lines: int
    credit_cost: int
    purchased_credits: int
    true_revenue: Amount
    revenue: Amount


class ModuleRevenuePage(Output):
    """A part of the list, and the sums of the whole."""

    items: list[ModuleRevenue]
    next_cursor: str | None
    totals: ModuleRevenueTotals


class UserRevenue(Output):
    """What one user's deployments earned. `total_deployments` own resources now."""

    user_id: str
    email: str
    name: str | None
    roles: list[Role]
    total_deployments: int
    true_revenue: Amount
    agent_share: Amount


class UserRevenueTotals(Output):
    """The sums over all users of the list, on whatever page."""

    users: int
    total_deployments: int
    true_revenue: Amount
    agent_share: Amount


class UserRevenuePage(Output):
    """A part of the list, and the sums of the whole."""

    items: list[UserRevenue]
    next_cursor: str | None
    totals: UserRevenueTotals


@router.get("/api/revenue/modules")
@only("partner", "finance", "admin")
async def module_revenue(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    begin: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    module_id: IdInQuery = None,
    partner_id: IdInQuery = None,
) -> ModuleRevenuePage:
    """List what settlements earned, the newest first: partners see those of their own modules."""
    since, until = period(begin, end)
    filters: dict[str, Any] = {
        "partner_id": partner_id,
        "module_id": module_id,
        "begin": since,
        "end": until,
    }
    hidden = False
    if not asker.has(*SEE_ALL):
        # To filter by somebody else finds nothing, whether they are there or not.
        hidden = partner_id not in (None, asker.user_id)
        filters["partner_id"] = asker.user_id
    scope = {"list": "module revenue", "hidden": hidden, **filters}
    key = cursors.read(scope, paging.cursor, (datetime, str, int))
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
        rows = (
            []
            if hidden
            else await list_module_revenue(connection, **filters, after=key, limit=paging.limit + 1)
        )
        if hidden:
            filters["partner_id"] = ""
        totals = await module_revenue_totals(connection, **filters)
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["recognized_at"], row["deployment_id"], row["sequence"]),
        item=_line,
    )
    return ModuleRevenuePage(
        items=items, next_cursor=cursor, totals=_module_totals(totals, currency)
    )


@router.get("/api/revenue/users")
@only("agent", "finance", "admin")
async def user_revenue(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    begin: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    search: Search = None,
) -> UserRevenuePage:
    """List users with what they earned us, zeros included: agents see those they referred."""
    since, until = period(begin, end)
    filters: dict[str, Any] = {
        "agent_id": None if asker.has(*SEE_ALL) else asker.user_id,
        "begin": since,
        "end": until,
        "search": search,
    }
    scope = {"list": "user revenue", **filters}
    key = cursors.read(scope, paging.cursor, TIME_AND_ID)
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
        rows = await list_user_revenue(connection, **filters, after=key, limit=paging.limit + 1)
        totals = await user_revenue_totals(connection, **filters)

    def item(row: Mapping[str, Any]) -> UserRevenue:
        return UserRevenue(
            user_id=row["user_id"],
            email=row["email"],
            name=row["name"],
            roles=row["roles"],
            total_deployments=row["total_deployments"],
            true_revenue=Amount(amount_minor=row["true_revenue_minor"], currency=currency),
            agent_share=Amount(amount_minor=row["agent_share_minor"], currency=currency),
        )

    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["registered_at"], row["user_id"]),
        item=item,
    )
    return UserRevenuePage(
        items=items,
        next_cursor=cursor,
        totals=UserRevenueTotals(
            users=totals["users"],
            total_deployments=totals["total_deployments"],
            true_revenue=Amount(amount_minor=totals["true_revenue_minor"], currency=currency),
            agent_share=Amount(amount_minor=totals["agent_share_minor"], currency=currency),
        ),
    )


def _line(row: Mapping[str, Any]) -> ModuleRevenue:
    same = (
        *("deployment_id", "module_id", "module_name", "partner_id", "created_at"),
        *("recognized_at", "credit_cost", "purchased_credits"),
    )
    currency = row["currency"]
    return ModuleRevenue(
        **{name: row[name] for name in same},
        true_revenue=Amount(amount_minor=row["true_revenue_minor"], currency=currency),
        revenue=Amount(amount_minor=row["share_minor"], currency=currency),
        status="PAYABLE",
    )


def _module_totals(totals: Mapping[str, Any], currency: str) -> ModuleRevenueTotals:
    return ModuleRevenueTotals(
        lines=totals["lines"],
        credit_cost=totals["credit_cost"],
        purchased_credits=totals["purchased_credits"],
        true_revenue=Amount(amount_minor=totals["true_revenue_minor"], currency=currency),
        revenue=Amount(amount_minor=totals["share_minor"], currency=currency),
    )
