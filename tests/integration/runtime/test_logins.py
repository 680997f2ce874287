"""A second login's password is nowhere but in the role, even where the statement with it fails."""

import secrets
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from runtime.logins import LoginError, open_login
from tests.support.environment import Database, RunningPostgres

NAME = "tollgate_ledger_second"


async def test_a_password_is_in_no_log_where_its_statement_fails(
    database_for: Callable[[str], Awaitable[Database]], postgres_server: RunningPostgres
) -> None:
    database = await database_for("ledger")
    password = secrets.token_urlsafe(24)
    one, other = [await asyncpg.connect(database.admin_dsn) for _ in range(2)]
    try:
        await one.execute("set lock_timeout = '200ms'")
        async with other.transaction():
            # Roles can be read meanwhile, and none can be made.
            await other.execute("lock table pg_authid in share mode")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await open_login(one, "ledger", NAME, password)
    finally:
        await one.close()
        await other.close()
    log = postgres_server.server.log.read_text()
    assert "canceling statement due to lock timeout" in log
    assert password not in log


@pytest.mark.parametrize("name", ["tollgate_revenue", "tollgate_ledger_x; drop role a", "postgres"])
async def test_what_is_no_login_of_the_service_is_refused(
    name: str, database_for: Callable[[str], Awaitable[Database]]
) -> None:
    connection = await asyncpg.connect((await database_for("ledger")).admin_dsn)
    try:
        before = await connection.fetch("select rolname, rolpassword from pg_authid order by 1")
        with pytest.raises(LoginError, match="a login of ledger is called tollgate_ledger"):
            await open_login(connection, "ledger", name, "p" * 20)
        assert (
            await connection.fetch("select rolname, rolpassword from pg_authid order by 1")
            == before
        )
    finally:
        await connection.close()
