"""Lines of true revenue, and what users earned us; each list as pages and as CSV."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runtime.connection import Connection
from services.gateway.queries.csv_cells import DOWNLOAD_SECONDS_MAX, Take, cell, instant
from services.gateway.queries.revenue_sums import LinesWanted, sums

_WHERE: Final = """
    where l.complete
      and ($1::text is null or l.partner_id = $1)
      and ($2::text is null or l.module_id = $2)
      and ($3::timestamptz is null or l.recognized_at >= $3)
      and ($4::timestamptz is null or l.recognized_at < $4)"""
_ORDER: Final = "order by l.recognized_at desc, l.deployment_id desc, l.line desc"
_WITH_STATUS: Final = """
    cross join (select array_agg(lot_id) as lots from revenue_disputes where open) d
    cross join lateral (
        select case
            when l.reverses is null then
                case when l.reversed then 'REVERSED'
                     when l.lots && d.lots then 'DISPUTED'
                     else 'PAYABLE' end
            else (select case when o.reversed then 'REVERSED'
                              when o.lots && d.lots then 'DISPUTED'
                              else 'PAYABLE' end
                  from revenue_lines o
                  where o.deployment_id = l.deployment_id and o.line = l.reverses)
            end as status) s"""
"""A reversal has the status of the line that it reverses, so that the sum of what is payable is."""


@dataclass(frozen=True, kw_only=True)
class ModuleRevenueFilter:
    """Which lines of revenue are wanted."""

    partner_id: str | None
    module_id: str | None
    begin: datetime | None
    end: datetime | None

    @property
    def arguments(self) -> tuple[object, ...]:
        """The first four arguments of the statements."""
        return (self.partner_id, self.module_id, self.begin, self.end)


@dataclass(frozen=True, kw_only=True)
class UserRevenueFilter:
    """Which users are wanted, and of when. With an agent: those whose referrer they are now."""

    agent_id: str | None
    begin: datetime | None
    end: datetime | None
    search: str | None

    @property
    def arguments(self) -> tuple[object, ...]:
        """The first four arguments of the statements."""
        return (self.agent_id, self.begin, self.end, self.search)


async def list_module_revenue(
    connection: Connection,
    wanted: ModuleRevenueFilter,
    *,
    after: tuple[datetime, str, int] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return lines of revenue, the newest first, each once the shares due of it are known."""
    rows = await connection.fetch(
        f"""select l.deployment_id, l.line, l.kind, l.reverses, l.module_id, l.module_name,
                   l.partner_id, l.created_at, l.recognized_at, l.credit_cost,
                   l.purchased_credits, l.true_revenue_minor, l.currency,
                   l.partner_share_minor as share_minor, s.status
        from revenue_lines l {_WITH_STATUS} {_WHERE}
          and ($5::timestamptz is null
               or (l.recognized_at, l.deployment_id, l.line) < ($5, $6, $7))
        {_ORDER} limit $8""",  # noqa: S608 - only our own constants are put together
        *wanted.arguments,
        *(after or (None, None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def module_revenue_totals(
    connection: Connection, wanted: ModuleRevenueFilter
) -> dict[str, Any]:
    """Return the sums of all lines that the list is of."""
    found = await sums(
        connection,
        LinesWanted(
            begin=wanted.begin,
            end=wanted.end,
            partner_id=wanted.partner_id,
            module_id=wanted.module_id,
        ),
    )
    return found | {"share_minor": found["partner_share_minor"]}


async def copy_module_revenue(
    connection: Connection, wanted: ModuleRevenueFilter, take: Take
) -> None:
    """Hand over all lines as CSV, in pieces, the oldest first; Postgres writes it."""
    await connection.copy_from_query(
        f"""select l.deployment_id, l.line, l.reverses, l.kind, l.module_id,
                   {cell("l.module_name")} as module_name, l.partner_id,
                   {instant("l.created_at")} as created_at,
                   {instant("l.recognized_at")} as recognized_at,
                   l.credit_cost, l.purchased_credits, l.true_revenue_minor,
                   l.partner_share_minor as revenue_minor, l.currency, s.status
        from revenue_lines l {_WITH_STATUS} {_WHERE}
        order by l.recognized_at, l.deployment_id, l.line""",  # noqa: S608 - only our own constants are put together
        *wanted.arguments,
        output=take,
        format="csv",
        header=True,
        timeout=DOWNLOAD_SECONDS_MAX,
    )


_USERS: Final = """
    select u.user_id, a.email, a.name, u.roles, u.registered_at,
           (select count(*) from deployments d
            where d.user_id = u.user_id and d.owns_resources) as total_deployments,
           coalesce(r.true_revenue_minor, 0) as true_revenue_minor,
           coalesce(r.agent_share_minor, 0) as agent_share_minor
    from users u join accounts a using (user_id)
    left join lateral (
        select sum(l.true_revenue_minor)::bigint as true_revenue_minor,
               sum(l.agent_share_minor)::bigint as agent_share_minor
        from revenue_lines l
        where l.user_id = u.user_id and l.complete
          and ($1::text is null or l.agent_id = $1)
          and ($2::timestamptz is null or l.recognized_at >= $2)
          and ($3::timestamptz is null or l.recognized_at < $3)) r on true
    where ($1::text is null or u.referred_by = $1)
      and ($4::text is null or u.user_id = $4
           or position(lower($4) in lower(a.email)) > 0
           or position(lower($4) in lower(a.name)) > 0)"""


async def list_user_revenue(
    connection: Connection,
    wanted: UserRevenueFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return users with what their deployments earned, zeros included, the newest user first.

    With an agent: the users whose referrer they are now, and the settlements recorded to them.
    """
    rows = await connection.fetch(
        f"""{_USERS}
          and ($5::timestamptz is null or (u.registered_at, u.user_id) < ($5, $6))
        order by u.registered_at desc, u.user_id desc limit $7""",
        *wanted.arguments,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


_FORMER: Final = """
    select coalesce(sum(l.true_revenue_minor), 0)::bigint as true_revenue_minor,
           coalesce(sum(l.agent_share_minor), 0)::bigint as agent_share_minor
    from revenue_referrals r left join users u using (user_id)
    join revenue_lines l
        on l.user_id = r.user_id and l.agent_id = r.agent_id and l.complete
           and ($2::timestamptz is null or l.recognized_at >= $2)
           and ($3::timestamptz is null or l.recognized_at < $3)
    where r.agent_id = $1 and u.referred_by is distinct from $1"""
_COUNTED: Final = """
    select (select count(*) from users u
            where $1::text is null or u.referred_by = $1) as users,
           (select count(*) from deployments d join users u using (user_id)
            where d.owns_resources and ($1::text is null or u.referred_by = $1))
               as total_deployments"""


async def user_revenue_totals(connection: Connection, wanted: UserRevenueFilter) -> dict[str, Any]:
    """Return the sums over all users that the list is of.

    Without a search they are sums of days: of all lines, or of an agent's without those of users
    who were referred by the agent once, and now are not.
    """
    if wanted.search is not None:
        return await _sums_of_users(connection, wanted)
    counted = await connection.fetchrow(_COUNTED, wanted.agent_id)
    lines = LinesWanted(begin=wanted.begin, end=wanted.end, agent_id=wanted.agent_id)
    found = await sums(connection, lines)
    if wanted.agent_id is not None:
        former = await connection.fetchrow(_FORMER, wanted.agent_id, wanted.begin, wanted.end)
        found |= {name: found[name] - minor for name, minor in dict(former or {}).items()}
    return dict(counted or {}) | found


async def _sums_of_users(connection: Connection, wanted: UserRevenueFilter) -> dict[str, Any]:
    row = await connection.fetchrow(
        f"""select count(*) as users,
                   coalesce(sum(total_deployments), 0)::bigint as total_deployments,
                   coalesce(sum(true_revenue_minor), 0)::bigint as true_revenue_minor,
                   coalesce(sum(agent_share_minor), 0)::bigint as agent_share_minor
        from ({_USERS}) as listed""",  # noqa: S608 - our own constant
        *wanted.arguments,
    )
    return dict(row or {})


async def copy_user_revenue(
    connection: Connection, wanted: UserRevenueFilter, currency: str, take: Take
) -> None:
    """Hand over all users with what they earned as CSV, in pieces, the oldest user first."""
    await connection.copy_from_query(
        f"""select user_id, {cell("email")} as email, {cell("name")} as name,
                   array_to_string(roles, ' ') as roles, total_deployments, true_revenue_minor,
                   agent_share_minor,
                   $5::text as currency
        from ({_USERS}) as listed order by registered_at, user_id""",  # noqa: S608 - only our own constants are put together
        *wanted.arguments,
        currency,
        output=take,
        format="csv",
        header=True,
        timeout=DOWNLOAD_SECONDS_MAX,
    )
