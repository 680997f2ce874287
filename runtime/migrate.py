"""Brings a service's database to the schema of this release.

Plain SQL files, numbered without a gap, applied in order by the owner role, each in a transaction
of its own together with its checksum; a file that changes after it was applied is refused. Two
runs at once wait for each other.

A file whose first line is `-- expands` only adds what an older release can live beside, so the
release before runs on its schema too; see docs/adr. Any other one is refused by older releases.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

import asyncpg

from runtime.connection import Connection

_NAME: Final = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_LOCK: Final = 7_265_001
EXPANDS: Final = "-- expands"


class MigrationError(Exception):
    """The migrations and the database do not fit together; nothing was changed."""


@dataclass(frozen=True)
class Migration:
    """One file: which set it is of, its number there, and its text."""

    owner: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the text."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def expands(self) -> bool:
        """Whether a release that does not know it may run on its schema."""
        return self.sql.partition("\n")[0].strip() == EXPANDS

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.owner}/{self.number:04d}_{self.name}"


def migrations_of(service: str, package: str | None = None) -> list[Migration]:
    """Return the runtime's migrations and then the service's own, in order.

    The service's are in the folder `migrations` of its package, `services.<service>`.
    """
    return [*_read("runtime", "runtime"), *_read(service, package or f"services.{service}")]


def _read(owner: str, package: str) -> list[Migration]:
    folder = files(package) / "migrations"
    if not folder.is_dir():
        return []
    found = []
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        match = _NAME.match(entry.name)
        if match:
            found.append(Migration(owner, int(match[1]), match[2], entry.read_text()))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations of {owner} are not numbered from 1 without a gap")
    return found


def service_role(service: str) -> str:
    """Return the login role of a service, which is also its database's name."""
    return f"tollgate_{service}"


def owner_role(service: str) -> str:
    """Return the role that owns a service's tables; nobody logs in as it."""
    return f"tollgate_{service}_owner"


async def migrate(
    admin_dsn: str, service: str, *, package: str | None = None, check: bool = False
) -> list[str]:
    """Return the migrations applied, or with `check` those that are missing.

    `admin_dsn` is of the service's own database, with the right to `set role` to its owner.
    """
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(f"set role {owner_role(service)}")
        applied = await _applied(connection, create=not check, service=service)
        missing = _missing(migrations_of(service, package), applied)
        if not check:
            for migration in missing:
                await _apply(connection, migration, service)
            await _prepare_partitions(connection)
        return [migration.label for migration in missing]
    finally:
        await connection.close()


async def check_schema(
    connection: Connection, service: str, package: str | None = None
) -> str | None:
    """Return how the database differs from what this release needs, or nothing."""
    try:
        missing = _missing(
            migrations_of(service, package), await _applied(connection, create=False)
        )
    except MigrationError as error:
        return str(error)
    if missing:
        return f"not migrated: {', '.join(migration.label for migration in missing)}"
    return None


@dataclass(frozen=True)
class _Applied:
    """What the database says of a migration: its checksum, and whether it only expands."""

    checksum: str
    expands: bool


async def _applied(
    connection: Connection, *, create: bool, service: str | None = None
) -> dict[tuple[str, int], _Applied]:
    if create and service is not None:
        await connection.execute(
            f"""create table if not exists schema_migrations (
                   owner text, number int, name text not null, checksum text not null,
                   applied_at timestamptz not null default now(),
                   expands boolean not null default false, primary key (owner, number));
               alter table schema_migrations
                   add column if not exists expands boolean not null default false;
               grant select on schema_migrations to {service_role(service)}"""
        )
    if await connection.fetchval("select to_regclass('public.schema_migrations')") is None:
        return {}
    rows = await connection.fetch("select owner, number, checksum, expands from schema_migrations")
    return {
        (row["owner"], row["number"]): _Applied(row["checksum"], row["expands"]) for row in rows
    }


def _missing(known: list[Migration], applied: dict[tuple[str, int], _Applied]) -> list[Migration]:
    by_key = {(migration.owner, migration.number): migration for migration in known}
    for key, found in applied.items():
        if key not in by_key:
            if found.expands:
                continue
            raise MigrationError(
                f"the database is of a newer release: it has {key[0]}/{key[1]:04d},"
                " which this one cannot run on"
            )
        if by_key[key].checksum != found.checksum:
            raise MigrationError(f"{by_key[key].label} was changed after it was applied")
    return [migration for key, migration in by_key.items() if key not in applied]


async def _apply(connection: Connection, migration: Migration, service: str) -> None:
    sql = migration.sql.replace("{service}", service_role(service))
    async with connection.transaction():
        await connection.execute(sql)
        await connection.execute(
            """insert into schema_migrations (owner, number, name, checksum, expands)
               values ($1, $2, $3, $4, $5)""",
            migration.owner,
            migration.number,
            migration.name,
            migration.checksum,
            migration.expands,
        )


async def _prepare_partitions(connection: Connection) -> None:
    await connection.execute("select ensure_outbox_partition(now())")
    await connection.execute("select ensure_outbox_partition(now() + interval '1 month')")
