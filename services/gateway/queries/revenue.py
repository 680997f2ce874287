"""True revenue, and the shares of it."""

from datetime import datetime
from typing import Any, Final

from runtime.connection import Connection

_COMPLETE: Final = """
    (l.shares_due = 0
     or l.shares_due <= (select count(*) from revenue_shares s where s.hold_id = l.hold_id))"""
_WHERE: Final = f"""
    where {_COMPLETE}
      and ($1::text is null or l.partner_id = $1)
      and ($2::text is null or l.module_id = $2)
      and ($3::timestamptz is null or l.recognized_at >= $3)
      and ($4::timestamptz is null or l.recognized_at < $4)"""
_PARTNER_SHARE: Final = """
    left join lateral (
        select sum(s.share_minor)::bigint as share_minor from revenue_shares s
        where s.hold_id = l.hold_id and s.payee_role = 'partner') p on true"""


async def list_module_revenue(
    connection: Connection,
    *,
    partner_id: str | None,
    module_id: str | None,
    begin: datetime | None,
    end: datetime | None,
    after: tuple[datetime, str, int] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return lines of revenue, the newest first, each once the shares due of it are known."""
    rows = await connection.fetch(
        f"""select l.deployment_id, l.sequence, l.module_id, l.module_name, l.partner_id,
                   l.created_at, l.recognized_at, l.credit_cost, l.awarded_credits,
                   l.purchased_credits, l.true_revenue_minor, l.currency,
                   coalesce(p.share_minor, 0) as share_minor
        from revenue_lines l {_PARTNER_SHARE} {_WHERE}
          and ($5::timestamptz is null
               or (l.recognized_at, l.deployment_id, l.sequence) < ($5, $6, $7))
        order by l.recognized_at desc, l.deployment_id desc, l.sequence desc limit $8""",  # noqa: S608 - only our own constants are put together
        partner_id,
        module_id,
        begin,
        end,
        *(after or (None, None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def module_revenue_totals(
    connection: Connection,
    *,
    partner_id: str | None,
    module_id: str | None,
    begin: datetime | None,
    end: datetime | None,
) -> dict[str, Any]:
    """Return the sums of all lines that the list is of."""
    row = await connection.fetchrow(
        f"""select count(*) as lines, coalesce(sum(l.credit_cost), 0)::bigint as credit_cost,
                   coalesce(sum(l.purchased_credits), 0)::bigint as purchased_credits,
                   coalesce(sum(l.true_revenue_minor), 0)::bigint as true_revenue_minor,
                   coalesce(sum(p.share_minor), 0)::bigint as share_minor
        from revenue_lines l {_PARTNER_SHARE} {_WHERE}""",  # noqa: S608 - only our own constants are put together
        partner_id,
        module_id,
        begin,
        end,
    )
    return dict(row or {})


_USER_SUMS: Final = f"""
    left join lateral (
        select sum(l.true_revenue_minor)::bigint as true_revenue_minor
        from revenue_lines l
        where l.user_id = u.user_id and {_COMPLETE}
          and ($1::text is null or l.agent_id = $1)
          and ($2::timestamptz is null or l.recognized_at >= $2)
          and ($3::timestamptz is null or l.recognized_at < $3)) r on true
    left join lateral (
        select sum(s.share_minor)::bigint as agent_share_minor
        from revenue_lines l join revenue_shares s on s.hold_id = l.hold_id
        where l.user_id = u.user_id and s.payee_role = 'agent' and {_COMPLETE}
          and ($1::text is null or s.payee_id = $1)
          and ($2::timestamptz is null or l.recognized_at >= $2)
          and ($3::timestamptz is null or l.recognized_at < $3)) s on true"""  # noqa: S608 - our own constant
_USER_WHERE: Final = """
    where ($1::text is null or u.referred_by = $1)
      and ($4::text is null or u.user_id = $4
           or position(lower($4) in lower(a.email)) > 0
           or position(lower($4) in lower(a.name)) > 0)"""


async def list_user_revenue(
    connection: Connection,
    *,
    agent_id: str | None,
    begin: datetime | None,
    end: datetime | None,
    search: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return users with what their deployments earned, zeros included, the newest user first.

    With an agent: the users whose referrer they are now, and the settlements recorded to them.
    """
    rows = await connection.fetch(
        f"""select u.user_id, a.email, a.name, u.roles, u.registered_at,
                   (select count(*) from deployments d
                    where d.user_id = u.user_id and d.owns_resources) as total_deployments,
                   coalesce(r.true_revenue_minor, 0) as true_revenue_minor,
                   coalesce(s.agent_share_minor, 0) as agent_share_minor
        from users u join accounts a using (user_id) {_USER_SUMS} {_USER_WHERE}
          and ($5::timestamptz is null or (u.registered_at, u.user_id) < ($5, $6))
        order by u.registered_at desc, u.user_id desc limit $7""",  # noqa: S608 - only our own constants are put together
        agent_id,
        begin,
        end,
        search,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def user_revenue_totals(
    connection: Connection,
    *,
    agent_id: str | None,
    begin: datetime | None,
    end: datetime | None,
    search: str | None,
) -> dict[str, Any]:
    """Return the sums over all users that the list is of."""
    row = await connection.fetchrow(
        f"""select count(*) as users,
                   coalesce(sum((select count(*) from deployments d
                                 where d.user_id = u.user_id and d.owns_resources)), 0)::bigint
                       as total_deployments,
                   coalesce(sum(r.true_revenue_minor), 0)::bigint as true_revenue_minor,
                   coalesce(sum(s.agent_share_minor), 0)::bigint as agent_share_minor
        from users u join accounts a using (user_id) {_USER_SUMS} {_USER_WHERE}""",  # noqa: S608 - only our own constants are put together
        agent_id,
        begin,
        end,
        search,
    )
    return dict(row or {})
