"""The store in Postgres: set-based statements, one transaction per batch.

Locks are taken in one order everywhere (cursors by name, then heads by id), so that replicas that
share a database wait for each other instead of deadlocking. There is no global lock.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg

from runtime.connection import Connection
from runtime.store import (
    Changes,
    FactRow,
    Head,
    OutboxRow,
    Transaction,
    Waiting,
    WrongVersionError,
    changed_documents,
)

PENDING_SECONDS_MAX: Final = 30.0
BY_KEY: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""How statements are planned that touch a few rows by their keys: once, and never for a scan.

Postgres would plan such a statement anew each time, because it takes arrays, and that takes longer
than to carry it out. A plan that is kept must not be one for tables that were small once: rows are
looked up one by one (`lateral … offset 0`), and joins to large tables are not left to the planner.
"""
_BEGIN: Final = "begin; " + "; ".join(f"set local {name} = {how}" for name, how in BY_KEY.items())


class PostgresStore:
    """Facts, heads, outbox, inbox and documents of one service's database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction on a connection of its own; no other can be begun within it."""
        async with self._pool.acquire() as connection:
            await connection.execute(_BEGIN)
            try:
                yield PostgresTransaction(connection)
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("rollback")
                raise
            await connection.execute("commit")

    async def due(self, now: datetime, limit: int) -> list[Waiting]:
        """Return waiting messages that are due and not parked, by stream and sequence."""
        rows = await self._pool.fetch(
            """select * from inbox_waiting where due_at <= $1 and parked_at is null
               order by stream, sequence limit $2""",
            now,
            limit,
        )
        return [Waiting(**dict(row)) for row in rows]

    async def pending(
        self,
        limit: int,
        published: Sequence[int] = (),
        *,
        connection: asyncpg.Connection | None = None,
    ) -> list[OutboxRow]:
        """Return messages that are not yet marked as published, in the order of their writing.

        A stream's messages are written under its head's lock, so whoever sees the later of two
        sees the earlier as well: a flag has no cursor and nothing to skip.
        """
        rows = await (connection or self._pool).fetch(
            """with gone as (
                   delete from outbox_pending where position = any($2::bigint[])),
               pending as materialized (
                   select position, created_at from outbox_pending
                   where position <> all($2::bigint[]) order by position limit $1)
               select o.id, o.subject, o.stream, o.sequence, o.body, o.position
               from pending p cross join lateral (
                   select * from outbox
                   where created_at = p.created_at and position = p.position offset 0) as o
               order by o.position""",
            limit,
            published,
            timeout=PENDING_SECONDS_MAX,
        )
        return [OutboxRow(**dict(row)) for row in rows]

    async def mark_published(self, positions: Sequence[int]) -> None:
        """Take these messages off what is pending."""
        await self._pool.execute(
            "delete from outbox_pending where position = any($1::bigint[])", list(positions)
        )

    async def read(self, stream: str, after_version: int = 0) -> list[FactRow]:
        """Return a stream's facts above a version, in order."""
        rows = await self._pool.fetch(
            """select stream, version, id, at, body, actor, correlation_id, causation_id,
                      previous_hash, hash
               from facts where stream = $1 and version > $2 order by version""",
            stream,
            after_version,
        )
        return [FactRow(**dict(row)) for row in rows]


class PostgresTransaction:
    """One open transaction; see `runtime.store.Transaction` for what each call promises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> asyncpg.Connection:
        """The connection the transaction is open on, for SQL projections."""
        return self._connection  # type: ignore[return-value]  # the proxy has the same methods

    async def lock(
        self, cursors: Collection[str], heads: Collection[str]
    ) -> tuple[dict[str, int], dict[str, Head]]:
        """Lock cursors by name, then heads by id; those that do not exist yet are made."""
        applied: dict[str, int] = {}
        found: dict[str, Head] = {}
        wanted, streams = sorted(set(cursors)), sorted(set(heads))
        while wanted or streams:
            rows = await self._connection.fetch(*lock_statement(wanted, streams))
            for row in rows:
                if row["version"] is None:
                    applied[row["name"]] = row["sequence"]
                else:
                    found[row["name"]] = Head(**dict(row))
            # What is missing now, somebody else has made since the statement began.
            wanted = [name for name in wanted if name not in applied]
            streams = [name for name in streams if name not in found]
        return applied, found

    async def read(
        self, cursors: Collection[str], keys: Collection[tuple[str, str]]
    ) -> tuple[dict[str, int], dict[tuple[str, str], bytes]]:
        """Read cursors and documents."""
        if not cursors and not keys:
            return {}, {}
        rows = await self._connection.fetch(
            _READ,
            list(cursors),
            [collection for collection, _ in keys],
            [key for _, key in keys],
        )
        applied = dict.fromkeys(cursors, 0)
        documents: dict[tuple[str, str], bytes] = {}
        for row in rows:
            if row["collection"] is None:
                applied[row["key"]] = row["sequence"]
            else:
                documents[row["collection"], row["key"]] = row["body"]
        return applied, documents

    async def lock_heads(self, streams: Collection[str]) -> dict[str, Head]:
        """Lock the heads by id; those that do not exist yet are made, at version 0."""
        return (await self.lock((), streams))[1]

    async def documents(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Return those documents of (collection, key) that exist."""
        return (await self.read((), keys))[1]

    async def write(self, changes: Changes) -> None:
        """Write everything, each table by one part of one statement.

        What is set aside comes before, and is told apart: the cursors make due what waits.
        """
        if changes.set_aside:
            await self._set_aside(changes.set_aside)
        if changes.settled:
            await self._connection.execute(
                """delete from inbox_waiting w
                   using unnest($1::text[], $2::bigint[]) as done (stream, sequence)
                   where w.stream = done.stream and w.sequence = done.sequence""",
                [stream for stream, _ in changes.settled],
                [sequence for _, sequence in changes.settled],
            )
        parts = list(parts_of(changes))
        if not parts:
            return
        try:
            await self._connection.execute(*one_statement(parts))
        except asyncpg.UniqueViolationError as error:
            raise WrongVersionError(str(error)) from error

    async def _set_aside(self, messages: list[Waiting]) -> None:
        await self._connection.executemany(
            """insert into inbox_waiting (id, stream, sequence, subject, body, reason, detail,
                                          attempts, first_at, due_at, parked_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               on conflict (stream, sequence) do update
               set reason = excluded.reason, detail = excluded.detail,
                   attempts = excluded.attempts, due_at = excluded.due_at,
                   parked_at = excluded.parked_at""",
            [
                (
                    m.id, m.stream, m.sequence, m.subject, m.body, m.reason, m.detail,
                    m.attempts, m.first_at, m.due_at, m.parked_at,
                )
                for m in messages
            ],
        )  # fmt: skip


Part = tuple[str, tuple[Any, ...]]
"""Statements of a `with`, with `$1` on for its own arguments, and these."""

_LOCK_CURSORS: Final = """
    locked_cursors as materialized (
        select stream, sequence from inbox_cursors where stream = any($1::text[])
        order by stream for update),
    new_cursors as (
        insert into inbox_cursors (stream, sequence)
        select name, 0 from unnest($1::text[]) name
        where not exists (select from locked_cursors l where l.stream = name)
        on conflict do nothing returning stream, sequence)"""
_CURSORS: Final = """
    select stream as name, sequence, null::bigint as version, null::timestamptz as last_at,
           null::bytea as last_hash, null::bytea as state
    from (select * from locked_cursors union all select * from new_cursors) as cursors"""
_LOCK_HEADS: Final = """
    locked_heads as materialized (
        select name, sequence, version, last_at, last_hash, state from streams
        where name = any($1::text[]) {after} order by id for update),
    new_heads as (
        insert into streams (name) select name from unnest($1::text[]) name
        where not exists (select from locked_heads l where l.name = name.name)
        on conflict do nothing returning name, sequence, version, last_at, last_hash, state)"""
_HEADS: Final = "select * from locked_heads union all select * from new_heads"
# Nothing of the heads is looked at before the cursors are locked.
_AFTER_CURSORS: Final = """
    and (select count(*) from locked_cursors) + (select count(*) from new_cursors) >= 0"""

_READ: Final = """
    select null as collection, stream as key, sequence, null::bytea as body
    from inbox_cursors where stream = any($1::text[])
    union all
    select wanted.collection, wanted.key, null, d.body
    from unnest($2::text[], $3::text[]) as wanted (collection, key)
    cross join lateral (
        select body from documents
        where collection = wanted.collection and key = wanted.key offset 0) as d"""


def lock_statement(cursors: list[str], heads: list[str]) -> tuple[Any, ...]:
    """Return the statement that locks these, cursors before heads, and its arguments."""
    if not heads:
        return f"with {_LOCK_CURSORS} {_CURSORS}", cursors
    if not cursors:
        return f"with {_LOCK_HEADS.format(after='')} {_HEADS}", heads
    lock_heads = _LOCK_HEADS.format(after=_AFTER_CURSORS).replace("$1", "$2")
    return f"with {_LOCK_CURSORS}, {lock_heads} {_CURSORS} union all {_HEADS}", cursors, heads


def one_statement(parts: Sequence[Part]) -> tuple[Any, ...]:
    """Return one statement that does all parts, and its arguments.

    No part sees what another does, so none may touch another's rows. A round trip costs as much as
    what it carries.
    """
    texts: list[str] = []
    arguments: list[Any] = []
    for text, values in parts:
        moved = len(arguments)
        texts.append(_PLACE.sub(lambda found, by=moved: f"${int(found[1]) + by}", text))  # type: ignore[misc]  # mypy wants no default
        arguments += values
    return f"with {', '.join(texts)} select", *arguments


_PLACE: Final = re.compile(r"\$([0-9]+)")


def parts_of(changes: Changes) -> Iterator[Part]:
    """Return what writes the facts, heads, messages, documents and cursors of a transaction."""
    if changes.facts:
        yield _FACTS, _columns(changes.facts, _FACT)
    if changes.heads:
        yield _NEW_HEADS, _columns(changes.heads, _HEAD)
    if changes.outbox:
        yield _OUTBOX, _columns(changes.outbox, _MESSAGE)
    kept, deleted = changed_documents(changes)
    if kept:
        yield (
            _KEPT,
            (
                [collection for collection, _ in kept],
                [key for _, key in kept],
                list(kept.values()),
            ),
        )
    if deleted:
        yield (
            _DELETED,
            ([collection for collection, _ in deleted], [key for _, key in deleted]),
        )
    if changes.cursors:
        yield _MOVED, (list(changes.cursors), list(changes.cursors.values()))


def _columns(rows: Sequence[Any], names: Sequence[str]) -> tuple[list[Any], ...]:
    return tuple([getattr(row, name) for row in rows] for name in names)


_FACT: Final = (
    *("stream", "version", "id", "at", "body", "actor", "correlation_id", "causation_id"),
    *("previous_hash", "hash"),
)
_HEAD: Final = ("name", "version", "sequence", "last_at", "last_hash", "state")
_MESSAGE: Final = ("id", "subject", "stream", "sequence", "body")

_FACTS: Final = """
    facts_written as (
        insert into facts (stream, version, id, at, body, actor, correlation_id, causation_id,
                           previous_hash, hash)
        select * from unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[],
                             $6::text[], $7::text[], $8::text[], $9::bytea[], $10::bytea[]))"""
# What is there and locked is written by conflict: no plan of that can come to scan the table.
_NEW_HEADS: Final = """
    heads_written as (
        insert into streams (name, version, sequence, last_at, last_hash, state)
        select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[],
                             $5::bytea[], $6::bytea[])
        on conflict (name) do update
        set version = excluded.version, sequence = excluded.sequence,
            last_at = excluded.last_at, last_hash = excluded.last_hash, state = excluded.state)"""
_OUTBOX: Final = """
    messages_written as (
        insert into outbox (id, subject, stream, sequence, body)
        select id, subject, stream, sequence, body
        from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
             with ordinality as n (id, subject, stream, sequence, body, place)
        order by place
        returning position, created_at),
    messages_pending as (
        insert into outbox_pending (position, created_at)
        select position, created_at from messages_written)"""
_KEPT: Final = """
    documents_kept as (
        insert into documents (collection, key, body)
        select * from unnest($1::text[], $2::text[], $3::bytea[])
        on conflict (collection, key) do update set body = excluded.body)"""
_DELETED: Final = """
    documents_deleted as (
        delete from documents d
        using unnest($1::text[], $2::text[]) as gone (collection, key)
        where d.collection = gone.collection and d.key = gone.key)"""
# What waited for just that is due now.
_MOVED: Final = """
    cursors_moved as (
        insert into inbox_cursors (stream, sequence)
        select * from unnest($1::text[], $2::bigint[])
        on conflict (stream) do update set sequence = excluded.sequence
        returning stream, sequence),
    made_due as (
        update inbox_waiting w set due_at = w.first_at
        from cursors_moved m
        where w.stream = m.stream and w.sequence = m.sequence + 1
          and w.parked_at is null and w.due_at is null)"""
