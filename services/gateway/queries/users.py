"""Users with their names and addresses."""

from datetime import datetime
from typing import Any

from runtime.connection import Connection

_USER = """
    select u.user_id as id, a.email, a.name, u.roles, u.active, u.referred_by,
           u.registered_at as created_at, u.revision
    from users u join accounts a using (user_id)"""


async def user_by_id(connection: Connection, user_id: str) -> dict[str, Any] | None:
    """Return a user, or nothing."""
    row = await connection.fetchrow(f"{_USER} where u.user_id = $1", user_id)
    return None if row is None else dict(row)


async def list_users(
    connection: Connection,
    *,
    search: str | None,
    role: str | None,
    active: bool | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return users, the newest first; `search` is part of an address or name, or an id."""
    rows = await connection.fetch(
        f"""{_USER}
        where ($1::text is null or u.user_id = $1
               or position(lower($1) in lower(a.email)) > 0
               or position(lower($1) in lower(a.name)) > 0)
          and ($2::text is null or $2 = any (u.roles))
          and ($3::boolean is null or u.active = $3)
          and ($4::timestamptz is null or (u.registered_at, u.user_id) < ($4, $5))
        order by u.registered_at desc, u.user_id desc limit $6""",
        search,
        role,
        active,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def exists(connection: Connection, user_id: str) -> bool:
    """Return whether there is such a user."""
    found = await connection.fetchval("select true from users where user_id = $1", user_id)
    return found is True
