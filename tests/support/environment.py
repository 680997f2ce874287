"""Fixtures: a real Postgres and NATS for the tests of a session, and a fresh part of each per test.

- `postgres_server`: one server for the session (`fsync` off: tests lose no power).
- `database_for`: `await database_for("ledger")` returns a database at the current schema, cloned
  from a template in milliseconds, gone after the test.
- `nats_server`: a server of the test's own, with every service's user.
- `bus`: the same, with the streams and consumers of `tollgate bus migrate`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from contracts.registry import SERVICES
from devkit.nats import ADMIN as NATS_ADMIN
from devkit.nats import NatsServer, users
from devkit.ports import free_port
from devkit.postgres import PostgresServer
from devkit.program import Child, ProgramFailedError, end, start, wait_until_ready
from runtime.bus_migrate import migrate_bus
from runtime.bus_topology import inbox_prefix
from runtime.databases import ensure_databases
from runtime.migrate import migrate, service_role
from services.wiring import TOPOLOGY
from tests.support.folders import reachable_folder

PASSWORD: Final = "for-tests-only"
_START_TRIES_MAX: Final = 5


@dataclass(frozen=True)
class Database:
    """A service's database of one test: `dsn` logs in as the service, `admin_dsn` may do all."""

    service: str
    name: str
    dsn: str
    admin_dsn: str


@dataclass(frozen=True)
class RunningPostgres:
    """The session's Postgres."""

    server: PostgresServer
    child: Child
    migrated: set[str] = field(default_factory=set)

    async def clone(self, service: str) -> Database:
        """Return a fresh database at the current schema of a service."""
        if service not in self.migrated:
            await migrate(self.server.dsn(service_role(service)), service)
            self.migrated.add(service)
        name = f"test_{service}_{secrets.token_hex(6)}"
        connection = await asyncpg.connect(self.server.dsn())
        try:
            await connection.execute(
                f"create database {name} template {service_role(service)} strategy file_copy"
            )
            await connection.execute(f"grant connect on database {name} to {service_role(service)}")
        finally:
            await connection.close()
        return Database(
            service=service,
            name=name,
            dsn=self.server.dsn(name, service_role(service), PASSWORD),
            admin_dsn=self.server.dsn(name),
        )

    async def drop(self, database: Database) -> None:
        """Remove a database, whoever is still connected."""
        connection = await asyncpg.connect(self.server.dsn())
        try:
            await connection.execute(f"drop database {database.name} with (force)")
        finally:
            await connection.close()


@dataclass(frozen=True)
class RunningNats:
    """A test's NATS."""

    server: NatsServer
    child: Child

    @property
    def url(self) -> str:
        """Where it listens; users are the services' names, their password is `PASSWORD`."""
        return self.server.url

    async def connect(
        self,
        user: str = NATS_ADMIN,
        *,
        error_cb: Callable[[Exception], Awaitable[None]] | None = None,
    ) -> Client:
        """Return a connection as a service, or as the administrator."""
        return await nats.connect(
            self.url,
            user=user,
            password=PASSWORD,
            error_cb=error_cb,
            inbox_prefix="_INBOX" if user == NATS_ADMIN else inbox_prefix(user),
            allow_reconnect=False,
        )

    @asynccontextmanager
    async def connected(
        self,
        user: str = NATS_ADMIN,
        *,
        error_cb: Callable[[Exception], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Client]:
        """Give a connection as a service, or as the administrator, for a while."""
        client = await self.connect(user, error_cb=error_cb or _ignore)
        try:
            yield client
        finally:
            await client.close()

    async def migrate(self) -> None:
        """Make the streams and consumers."""
        client = await self.connect()
        try:
            await migrate_bus(client, TOPOLOGY)
        finally:
            await client.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[RunningPostgres]:
    """Run a Postgres for the session; templates are migrated when first asked for."""
    with reachable_folder() as home:
        running = _start_postgres(home)
        try:
            asyncio.run(ensure_databases(running.server.dsn(), dict.fromkeys(SERVICES, PASSWORD)))
            yield running
        finally:
            end(running.child)


@pytest_asyncio.fixture
async def database_for(
    postgres_server: RunningPostgres,
) -> AsyncIterator[Callable[[str], Awaitable[Database]]]:
    """Return a function that clones a service's database for this test."""
    made: list[Database] = []

    async def make(service: str) -> Database:
        database = await postgres_server.clone(service)
        made.append(database)
        return database

    yield make
    for database in made:
        await postgres_server.drop(database)


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[RunningNats]:
    """Run a NATS for this test, with every service's user and no streams yet."""
    running = start_nats(tmp_path / "nats")
    try:
        yield running
    finally:
        end(running.child)


@pytest.fixture
def bus(nats_server: RunningNats) -> RunningNats:
    """Return a NATS for this test, with all streams and consumers."""
    asyncio.run(nats_server.migrate())
    return nats_server


def start_nats(home: Path, *, port: int | None = None) -> RunningNats:
    """Start a NATS on these files; the caller ends it."""
    for attempt in range(_START_TRIES_MAX):
        server = NatsServer(
            home=home,
            port=port or free_port(),
            users=users(PASSWORD, dict.fromkeys(SERVICES, PASSWORD)),
            log=home / "nats.log",
            sync_always=False,
        )
        server.prepare()
        child = start(server.program())
        try:
            wait_until_ready(child, server.is_ready)
        except ProgramFailedError:
            end(child)
            if attempt + 1 == _START_TRIES_MAX:
                raise
        else:
            return RunningNats(server, child)
    raise AssertionError("unreachable")


def _start_postgres(home: Path) -> RunningPostgres:
    for attempt in range(_START_TRIES_MAX):
        server = PostgresServer(
            home=home / "postgres",
            port=free_port(),
            password=PASSWORD,
            log=home / "postgres.log",
            fsync=False,
        )
        server.prepare()
        child = start(server.program())
        try:
            wait_until_ready(child, partial(server.is_ready, child.pid))
        except ProgramFailedError:
            end(child)
            if attempt + 1 == _START_TRIES_MAX:
                raise
        else:
            return RunningPostgres(server, child)
    raise AssertionError("unreachable")


async def _ignore(_: Exception) -> None:
    """Let an error be: the test asks for what it expects."""
