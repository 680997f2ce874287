"""True revenue: by module for partners, by user for agents, all of it for finance and admins."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Query
from starlette.responses import Response

from contracts.types import Role
from services.gateway.credentials import Principal
from services.gateway.http.access import only
from services.gateway.http.csv_download import DOCUMENTED, csv_response, wants_csv
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
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.shapes import Amount, Output, page
from services.gateway.queries.revenue import (
    ModuleRevenueFilter,
    UserRevenueFilter,
    copy_module_revenue,
    copy_user_revenue,
    list_module_revenue,
    list_user_revenue,
    module_revenue_totals,
    user_revenue_totals,
)
from services.gateway.queries.revenue_sums import (
    GROUPS_MAX,
    GroupBy,
    LinesWanted,
    names_of,
    sums,
    sums_by,
)
from services.gateway.queries.settings import current_settings

router = resource("Revenue")

SEE_ALL: Final = ("finance", "admin")
_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)

Accept = Annotated[str, Header(max_length=500)]
LineKind = Literal["settled", "repaid", "settlement_refunded", "settlement_reversed"]


class ModuleRevenue(Output):
    """What one settlement earned, or, with `reverses`, what of it was taken back.

    `true_revenue` is all of it, `revenue` the partner's share. A reversal is negative, names the
    deployment's line that it reverses, and has that line's status: nothing of a REVERSED line is
    left, and a DISPUTED one is not payable before the dispute ends.
    """

    deployment_id: str
    line: int
    kind: LineKind
    reverses: int | None
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


class RevenueGroup(Output):
    """The sums of a group of lines; `key` is a day, a month or an id, and null is nobody's.

    `name` is what the id's owner is called: a module's name, a partner's or agent's e-mail address.
    `partner_share` and `agent_share` are for finance and admins; `share` is the asker's own.
    """

    key: str | None
    name: str | None
    lines: int
    credit_cost: int
    purchased_credits: int
    true_revenue: Amount
    partner_share: Amount | None
    agent_share: Amount | None
    share: Amount


class RevenueSummary(Output):
    """Sums by group: the latest days or months, or the largest of the others, and of all lines.

    `truncated` tells that there are more groups than are shown.
    """

    group_by: GroupBy
    items: list[RevenueGroup]
    truncated: bool
    totals: RevenueGroup


@router.get("/api/revenue/modules", response_model=ModuleRevenuePage, responses=DOCUMENTED)
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
    accept: Accept = "application/json",
) -> ModuleRevenuePage | Response:
    """List what settlements earned, the newest first: partners see those of their own modules.

    As CSV all lines that the filters leave, the oldest first, amounts in minor units.
    """
    since, until = _period(begin, end)
    wanted = ModuleRevenueFilter(partner_id=partner_id, module_id=module_id, begin=since, end=until)
    if not asker.has(*SEE_ALL):
        # To filter by somebody else finds nothing, whether they are there or not.
        if partner_id not in (None, asker.user_id):
            wanted = replace(wanted, begin=_NEVER, end=_NEVER)
        wanted = replace(wanted, partner_id=asker.user_id)
    if wants_csv(accept):
        return await csv_response(
            gateway, "module-revenue", lambda c, take: copy_module_revenue(c, wanted, take)
        )
    scope = {"list": "module revenue", "filter": wanted.arguments}
    key = cursors.read(scope, paging.cursor, (datetime, str, int))
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
        rows = await list_module_revenue(connection, wanted, after=key, limit=paging.limit + 1)
        totals = await module_revenue_totals(connection, wanted)
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["recognized_at"], row["deployment_id"], row["line"]),
        item=_line,
    )
    return ModuleRevenuePage(
        items=items, next_cursor=cursor, totals=_module_totals(totals, currency)
    )


@router.get("/api/revenue/users", response_model=UserRevenuePage, responses=DOCUMENTED)
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
    accept: Accept = "application/json",
) -> UserRevenuePage | Response:
    """List users with what they earned us, zeros included: agents see those they referred.

    As CSV all users that the filters leave, the oldest first, amounts in minor units.
    """
    since, until = _period(begin, end)
    wanted = UserRevenueFilter(
        agent_id=None if asker.has(*SEE_ALL) else asker.user_id,
        begin=since,
        end=until,
        search=search,
    )
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
    if wants_csv(accept):
        return await csv_response(
            gateway, "user-revenue", lambda c, take: copy_user_revenue(c, wanted, currency, take)
        )
    scope = {"list": "user revenue", "filter": wanted.arguments}
    key = cursors.read(scope, paging.cursor, TIME_AND_ID)
    async with gateway.connection() as connection:
        rows = await list_user_revenue(connection, wanted, after=key, limit=paging.limit + 1)
        totals = await user_revenue_totals(connection, wanted)

    def money(row: Mapping[str, Any], name: str) -> Amount:
        return Amount(amount_minor=row[f"{name}_minor"], currency=currency)

    def item(row: Mapping[str, Any]) -> UserRevenue:
        same = ("user_id", "email", "name", "roles", "total_deployments")
        return UserRevenue(
            **{name: row[name] for name in same},
            true_revenue=money(row, "true_revenue"),
            agent_share=money(row, "agent_share"),
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
            true_revenue=money(totals, "true_revenue"),
            agent_share=money(totals, "agent_share"),
        ),
    )


@router.get("/api/revenue/summary")
@only("partner", "agent", "finance", "admin")
async def revenue_summary(
    *,
    gateway: TheGateway,
    asker: Asker,
    begin: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    group_by: GroupBy = "month",
    module_id: IdInQuery = None,
    partner_id: IdInQuery = None,
) -> RevenueSummary:
    """Add revenue up by day, month, module, partner or agent, for charts.

    Partners see what their modules earned, agents what the users whom they referred did.
    """
    since, until = _period(begin, end)
    seen = _filtered(asker, _seen_by(asker, group_by), module_id, partner_id)
    wanted = seen if seen.begin == _NEVER else replace(seen, begin=since, end=until)
    see_all = asker.has(*SEE_ALL)
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
        groups = await sums_by(connection, wanted, group_by)
        totals = await sums(connection, wanted)
        keys = [row["key"] for row in groups if row["key"] is not None]
        names = await names_of(connection, keys, group_by)

    def group(row: Mapping[str, Any], key: str | None) -> RevenueGroup:
        partner, agent = row["partner_share_minor"], row["agent_share_minor"]
        own = partner + agent if see_all else row["own_share_minor"]
        return RevenueGroup(
            key=key,
            name=names.get(key) if key is not None else None,
            lines=row["lines"],
            credit_cost=row["credit_cost"],
            purchased_credits=row["purchased_credits"],
            true_revenue=Amount(amount_minor=row["true_revenue_minor"], currency=currency),
            partner_share=Amount(amount_minor=partner, currency=currency) if see_all else None,
            agent_share=Amount(amount_minor=agent, currency=currency) if see_all else None,
            share=Amount(amount_minor=own, currency=currency),
        )

    return RevenueSummary(
        group_by=group_by,
        items=[group(row, row["key"]) for row in groups[:GROUPS_MAX]],
        truncated=len(groups) > GROUPS_MAX,
        totals=group(totals, None),
    )


def _seen_by(asker: Principal, group_by: GroupBy) -> LinesWanted:
    """Return the lines that somebody may see, so grouped; a 403 where the groups are others'."""
    if asker.has(*SEE_ALL):
        return LinesWanted()
    partner, agent = asker.has("partner"), asker.has("agent")
    match group_by:
        case "day" | "month" if partner and agent:
            return LinesWanted(payee_id=asker.user_id)
        case "day" | "month" | "partner" | "module" if partner:
            return LinesWanted(payee_id=asker.user_id, partner_id=asker.user_id)
        case "day" | "month" | "agent" if agent:
            return LinesWanted(payee_id=asker.user_id, agent_id=asker.user_id)
        case _:
            raise ProblemError("FORBIDDEN")


def _filtered(
    asker: Principal, seen: LinesWanted, module_id: str | None, partner_id: str | None
) -> LinesWanted:
    """Return lines of a module or partner; by what is somebody else's, nothing is found."""
    if module_id is None and partner_id is None:
        return seen
    if not asker.has(*SEE_ALL):
        if partner_id not in (None, asker.user_id):
            return replace(seen, begin=_NEVER, end=_NEVER)
        partner_id = asker.user_id
    return replace(seen, module_id=module_id, partner_id=partner_id)


def _period(begin: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    since, until = period(begin, end)
    if since is None or until is None:
        return since, until
    # A period of no length is an empty one; but a plain date in `to` includes its day.
    if since > until or (since == until and begin != end):
        raise invalid("/from", "is after `to`", "AFTER_END", parameter="from")
    return since, until


def _line(row: Mapping[str, Any]) -> ModuleRevenue:
    same = (
        *("deployment_id", "line", "kind", "reverses", "module_id", "module_name", "partner_id"),
        *("created_at", "recognized_at", "credit_cost", "purchased_credits", "status"),
    )
    currency = row["currency"]
    return ModuleRevenue(
        **{name: row[name] for name in same},
        true_revenue=Amount(amount_minor=row["true_revenue_minor"], currency=currency),
        revenue=Amount(amount_minor=row["share_minor"], currency=currency),
    )


def _module_totals(totals: Mapping[str, Any], currency: str) -> ModuleRevenueTotals:
    return ModuleRevenueTotals(
        lines=totals["lines"],
        credit_cost=totals["credit_cost"],
        purchased_credits=totals["purchased_credits"],
        true_revenue=Amount(amount_minor=totals["true_revenue_minor"], currency=currency),
        revenue=Amount(amount_minor=totals["share_minor"], currency=currency),
    )
