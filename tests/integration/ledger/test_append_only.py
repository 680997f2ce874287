"""Nobody who can log in can change what the ledger recorded."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from contracts.registry import SERVICES
from runtime.migrate import owner_role, service_role
from tests.integration.ledger.driver import Ledger
from tests.support.environment import Database

STATEMENTS = (
    "update facts set actor = 'x'",
    "delete from facts",
    "truncate facts",
    "update outbox set stream = 'x'",
    "delete from outbox",
    "truncate outbox",
    "alter table facts disable trigger all",
    "alter table facts disable trigger facts_append_only",
    "alter table facts rename to others",
    "alter table facts owner to current_user",
    "drop trigger facts_append_only on facts",
    "drop table facts",
    "update segments set manifest = ''",
    "delete from segments",
    "truncate segments",
    "alter table segments disable trigger all",
    "delete from sealed_streams",
    "set session_replication_role = replica",
    "set role tollgate_ledger_owner",
    "create trigger nothing before insert on facts for each row execute function refuse_change()",
)
OTHERS = [name for name in SERVICES if name != "ledger"]


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_the_ledger_itself_may_only_add(
    ledger: Ledger, database: Database, statement: str
) -> None:
    await ledger.award("user-1", 5)
    connection = await asyncpg.connect(database.dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


STOPPED_BY_TRIGGERS = (
    "update facts set actor = 'x'",
    "delete from facts",
    "truncate facts",
    "update outbox set stream = 'x'",
    "truncate outbox",
    "update segments set manifest = ''",
    "delete from segments",
    "truncate segments",
)


@pytest.mark.parametrize("statement", STOPPED_BY_TRIGGERS)
async def test_the_tables_owner_is_stopped_by_triggers(
    ledger: Ledger, database: Database, statement: str
) -> None:
    await ledger.award("user-1", 5)
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(f"set role {owner_role('ledger')}")
        await connection.execute("insert into segments values (1, 1, now(), '')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("service", OTHERS)
async def test_no_other_service_can_read_or_change_a_fact(
    ledger: Ledger,
    database: Database,
    database_for: Callable[[str], Awaitable[Database]],
    service: str,
) -> None:
    await ledger.award("user-1", 5)
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(f"set role {service_role(service)}")
        for statement in ("select 1 from facts", *STATEMENTS[:3]):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_nobody_can_log_in_as_the_owner_of_the_tables(database: Database) -> None:
    connection = await asyncpg.connect(database.dsn)
    try:
        can_log_in = await connection.fetchval(
            "select rolcanlogin from pg_roles where rolname = $1", owner_role("ledger")
        )
        owners = await connection.fetch(
            "select distinct tableowner from pg_tables where schemaname = 'public'"
        )
    finally:
        await connection.close()
    assert can_log_in is False
    assert [row["tableowner"] for row in owners] == [owner_role("ledger")]
