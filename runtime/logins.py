"""Second logins of a service's database, so that its password is changed without a gap.

What a service may do is granted to its role, `tollgate_<service>`; any number of login roles may be
members of it. Both logins work until the old one is locked, so services are restarted one by one.
"""

import re
from typing import Final

import asyncpg

from runtime.migrate import owner_role, service_role

PASSWORD_LENGTH_MIN: Final = 16
NAME_LENGTH_MAX: Final = 63
"""What Postgres keeps of a name."""

_LOGINS = """
    select r.rolname from pg_roles r
    where r.rolcanlogin and not r.rolsuper and r.rolname != $2 and pg_has_role(r.oid, $1, 'member')
    order by 1"""


class LoginError(Exception):
    """It would be no login of the service, or nobody could log in; nothing was changed."""


async def open_login(
    connection: asyncpg.Connection, service: str, name: str, password: str
) -> list[str]:
    """Let a role log in by a password, with all that the service may do; return all that may now.

    The role is made where there is none. `connection` is the administrator's.
    """
    _check(service, name)
    if len(password) < PASSWORD_LENGTH_MIN:
        raise LoginError(f"a password has at least {PASSWORD_LENGTH_MIN} characters")
    role = service_role(service)
    async with connection.transaction():
        # Of two who do this at once the second one waits.
        await connection.execute("select pg_advisory_xact_lock(hashtext('tollgate.logins'))")
        # The password stands in a statement, which is in no log, not even where it fails.
        await connection.execute("set local log_statement = 'none'")
        await connection.execute("set local log_min_error_statement = 'panic'")
        quoted = await connection.fetchval("select quote_literal($1::text)", password)
        known = await connection.fetchval("select 1 from pg_roles where rolname = $1", name)
        verb = "alter" if known else "create"
        await connection.execute(f"{verb} role {name} login password {quoted}")
        if name != role:
            await connection.execute(f"grant {role} to {name}")
        return await _logins(connection, service)


async def lock_login(connection: asyncpg.Connection, service: str, name: str) -> list[str]:
    """Let a role log in no more, and end its connections; return who still may."""
    _check(service, name)
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('tollgate.logins'))")
        left = [each for each in await _logins(connection, service) if each != name]
        if not left:
            raise LoginError(f"{name} is the only login of {service}: open another one first")
        if not await connection.fetchval("select 1 from pg_roles where rolname = $1", name):
            raise LoginError(f"there is no role {name}")
        await connection.execute(f"alter role {name} nologin password null")
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", name
    )
    return left


async def _logins(connection: asyncpg.Connection, service: str) -> list[str]:
    rows = await connection.fetch(_LOGINS, service_role(service), owner_role(service))
    return [row["rolname"] for row in rows]


def _check(service: str, name: str) -> None:
    role = service_role(service)
    fits = re.fullmatch(rf"{role}(_[a-z0-9]+)?", name) and len(name) <= NAME_LENGTH_MAX
    if not fits or name == owner_role(service):
        raise LoginError(f"a login of {service} is called {role}, or {role}_ and a word")
