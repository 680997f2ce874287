"""A read model anew, while its service works: built side by side, compared, swapped.

All read models of the service are built again in a schema of their own, since they may read each
other's tables. Then the tables of the one in question are compared with the live ones, as one
snapshot sees both. Where they differ, writers wait while what came meanwhile is applied and the
live tables take over what is different. Readers see the old rows until the commit, and never wait.
"""
# ruff: noqa: S608 - only names of our own tables and columns are put into SQL here

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.envelope import Envelope
from runtime.connection import Connection
from runtime.past import Past, past_of
from runtime.process import Wiring
from runtime.projector import Change, Projection
from runtime.store import StreamKind

SIDE: Final = "rebuilt"
"""The schema that the tables are built in; dropped afterwards."""
BATCH_MAX: Final = 500
LOCK_SECONDS_MAX: Final = 10
LOCK_TRIES_MAX: Final = 5

_LOCK: Final = "tollgate.projection_rebuild"
_TABLES: Final = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r' and not c.relispartition"""
_COLUMNS: Final = """
    select a.attname from pg_attribute a
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = ('public.' || $1::text)::regclass and a.attnum > 0 and not a.attisdropped
      and a.attidentity = '' and a.attgenerated = ''
      and pg_get_expr(d.adbin, d.adrelid) is distinct from 'pg_current_xact_id()'
    order by a.attnum"""


class RebuildError(Exception):
    """The projection is not rebuilt, and nothing was changed; the message says why."""


@dataclass(frozen=True)
class ReadModels:
    """A service's read models, and the streams of its own that they are made from."""

    service: str
    kinds: tuple[StreamKind[Any, Any], ...]
    projections: tuple[Projection, ...]


@dataclass(frozen=True)
class Difference:
    """How a live table differs: rows that should not be there, and rows that are missing."""

    table: str
    rows: int
    surplus: int
    missing: int


async def rebuild(  # noqa: PLR0913 - what there is, and where it is kept
    connection: asyncpg.Connection,
    client: Client,
    models: ReadModels,
    wiring: Wiring,
    name: str,
    *,
    check: bool = False,
) -> list[Difference]:
    """Make a projection's tables what its facts say; return how each differed.

    `connection` is of the owner's role, in no transaction; `client` the bus administrator's. With
    `check` the live tables are left as they are. Raises `RebuildError`, or `BusLacksError` where
    the bus must be rebuilt first.
    """
    projection = _projection(models, name)
    if not await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", _LOCK):
        raise RebuildError("another rebuild runs in this database")

    def decode(message: Msg) -> Envelope[Any]:
        return wiring.decode(wiring.type_of_subject(message.subject), message.data)

    past = await past_of(models.service, models.kinds, client, wiring.topology, decode)
    building = _Building(models.projections, projection, past)
    try:
        async with _side_schema(connection):
            async with connection.transaction(isolation="repeatable_read"):
                found = await building.catch_up_and_compare(connection)
            if check or not any(each.surplus or each.missing for each in found):
                return found
            return await _swap(connection, building)
    finally:
        await connection.execute("select pg_advisory_unlock(hashtext($1))", _LOCK)


def _projection(models: ReadModels, name: str) -> Projection:
    known = {each.name: each for each in models.projections}
    if name not in known:
        there_are = ", ".join(sorted(each.name for each in models.projections if each.tables))
        raise RebuildError(f"{models.service} has no projection {name!r}, but {there_are}")
    if not known[name].tables:
        raise RebuildError(f"{models.service}/{name} cannot be made of facts alone")
    return known[name]


@asynccontextmanager
async def _side_schema(connection: Connection) -> AsyncIterator[None]:
    """Give empty tables like all the service's own, found before those by their names."""
    await connection.execute(f"drop schema if exists {SIDE} cascade; create schema {SIDE}")
    try:
        for row in await connection.fetch(_TABLES):
            table = row["relname"]
            await connection.execute(
                f'create unlogged table {SIDE}."{table}" (like public."{table}" including all)'
            )
        await connection.execute(f"set search_path = {SIDE}, public")
        yield
    finally:
        await connection.execute(f"set search_path = public; drop schema {SIDE} cascade")


async def _swap(connection: Connection, building: "_Building") -> list[Difference]:
    """Bring what came meanwhile and what is different into the live tables, in one transaction."""
    for tries in range(1, LOCK_TRIES_MAX + 1):
        try:
            async with connection.transaction(isolation="repeatable_read"):
                return await building.swap(connection)
        except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError) as error:
            # Nothing of the past was read yet, so the next try goes on from the same place.
            if tries == LOCK_TRIES_MAX:
                raise RebuildError("its tables are too busy to be locked") from error
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class _Building:
    all_of_them: tuple[Projection, ...]
    projection: Projection
    past: Past

    async def catch_up_and_compare(self, connection: Connection) -> list[Difference]:
        """Apply what the transaction sees and was not applied yet, and compare."""
        batch: list[Change] = []
        async for change in self.past.read(connection):
            batch.append(change)
            if len(batch) == BATCH_MAX:
                await self._apply(connection, batch)
                batch = []
        if batch:
            await self._apply(connection, batch)
        return [await _compared(connection, table) for table in self.projection.tables]

    async def swap(self, connection: Connection) -> list[Difference]:
        """Lock the live tables against writers, catch up, and make them what they should be."""
        tables = ", ".join(f"public.{table}" for table in self.projection.tables)
        await connection.execute(f"set local lock_timeout = '{LOCK_SECONDS_MAX}s'")
        # The snapshot is taken by the first query after the lock: nothing can be between them.
        await connection.execute(f"lock table {tables} in share row exclusive mode")
        found = await self.catch_up_and_compare(connection)
        for difference in found:
            if difference.surplus or difference.missing:
                await _mend(connection, difference.table)
        return found

    async def _apply(self, connection: Connection, batch: list[Change]) -> None:
        for projection in self.all_of_them:
            if projection.tables:
                await projection.apply(connection, batch)  # type: ignore[arg-type]  # pool's or not


async def _compared(connection: Connection, table: str) -> Difference:
    [row] = await connection.fetch(
        f"""with {_hashed(table, await _columns(connection, table))}
            select count(rebuilt.h) as rows,
                   count(*) filter (where rebuilt.h is null) as surplus,
                   count(*) filter (where live.h is null) as missing
            from live full join rebuilt using (h, n)"""
    )
    return Difference(table=table, **dict(row))


async def _mend(connection: Connection, table: str) -> None:
    columns = await _columns(connection, table)
    await connection.execute(
        f"""with {_hashed(table, columns)}
            delete from public.{table} where ctid in
                (select live.at from live left join rebuilt using (h, n) where rebuilt.h is null)"""
    )
    await connection.execute(
        f"""with {_hashed(table, columns)}
            insert into public.{table} ({columns}) select {columns} from {SIDE}.{table}
            where ctid in
                (select rebuilt.at from rebuilt left join live using (h, n) where live.h is null)"""
    )


def _hashed(table: str, columns: str) -> str:
    """Return the rows of both tables by a digest of their values, equal rows numbered."""
    numbered = "row_number() over (partition by h) as n"
    return ", ".join(
        f"{name} as (select ctid as at, h, {numbered} from"
        f" (select ctid, md5(row({columns})::text) as h from {schema}.{table}) as rows)"
        for name, schema in (("live", "public"), ("rebuilt", SIDE))
    )


async def _columns(connection: Connection, table: str) -> str:
    """Return a table's columns, but for those that the database fills in itself."""
    return ", ".join(f'"{row["attname"]}"' for row in await connection.fetch(_COLUMNS, table))
