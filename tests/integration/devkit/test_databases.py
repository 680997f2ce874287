"""Databases and roles of the services: each its own, and nobody else's."""

import asyncpg
import pytest

from contracts.registry import SERVICES
from runtime.databases import ensure_databases
from runtime.migrate import owner_role, service_role
from tests.support.environment import PASSWORD, RunningPostgres


async def test_a_service_connects_to_its_own_database_only(
    postgres_server: RunningPostgres,
) -> None:
    server = postgres_server.server
    for service in SERVICES:
        role = service_role(service)
        own = await asyncpg.connect(server.dsn(role, role, PASSWORD))
        await own.close()
        for other in ({service_role(name) for name in SERVICES} | {"postgres"}) - {role}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await asyncpg.connect(server.dsn(other, role, PASSWORD))


async def test_nobody_logs_in_as_an_owner(postgres_server: RunningPostgres) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(
            postgres_server.server.dsn(service_role("ledger"), owner_role("ledger"), PASSWORD)
        )


async def test_a_service_creates_no_tables_of_its_own(postgres_server: RunningPostgres) -> None:
    role = service_role("ledger")
    connection = await asyncpg.connect(postgres_server.server.dsn(role, role, PASSWORD))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("create table mine (number int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("create temporary table mine (number int)")
    finally:
        await connection.close()


async def test_to_make_them_again_changes_nothing(postgres_server: RunningPostgres) -> None:
    made = await ensure_databases(
        postgres_server.server.dsn(), dict.fromkeys(SERVICES, "another password")
    )

    assert made == []
    role = service_role("ledger")
    connection = await asyncpg.connect(postgres_server.server.dsn(role, role, PASSWORD))
    await connection.close()
