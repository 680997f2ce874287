"""Makes each service's database and roles: run by an administrator, before `db migrate`.

A database `tollgate_<service>` belongs to a role that nobody logs in as; the service's own login
role gets what the migrations grant it, and may not connect to any other service's database.
"""

from collections.abc import Mapping

import asyncpg

from runtime.migrate import owner_role, service_role


async def ensure_databases(admin_dsn: str, passwords: Mapping[str, str]) -> list[str]:
    """Return which services' databases were made; what is there already stays as it is.

    `passwords` are the login roles', by service; only used for roles that are new.
    """
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("revoke connect on database postgres, template1 from public")
        made = []
        for service, password in passwords.items():
            await _ensure_role(connection, owner_role(service), None)
            await _ensure_role(connection, service_role(service), password)
            if await _ensure_database(connection, service):
                made.append(service)
        return made
    finally:
        await connection.close()


async def _ensure_role(connection: asyncpg.Connection, role: str, password: str | None) -> None:
    known = await connection.fetchval("select 1 from pg_roles where rolname = $1", role)
    if known:
        return
    login = "nologin"
    if password is not None:
        quoted = await connection.fetchval("select quote_literal($1::text)", password)
        login = f"login password {quoted}"
    await connection.execute(f"create role {role} {login}")


async def _ensure_database(connection: asyncpg.Connection, service: str) -> bool:
    name = service_role(service)
    known = await connection.fetchval("select 1 from pg_database where datname = $1", name)
    if not known:
        await connection.execute(f"create database {name} owner {owner_role(service)}")
    await connection.execute(f"revoke all on database {name} from public")
    await connection.execute(f"grant connect on database {name} to {service_role(service)}")
    return not known
