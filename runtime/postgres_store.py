"""The store in Postgres: set-based statements, one transaction per batch.

Locks are taken in one order everywhere (cursors by name, then heads by id), so that replicas that
share a database wait for each other instead of deadlocking. There is no global lock.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

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


class PostgresStore:
    """Facts, heads, outbox, inbox and documents of one service's database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction on a connection of its own."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield PostgresTransaction(connection)

    async def due(self, now: datetime, limit: int) -> list[Waiting]:
        """Return waiting messages that are due and not parked, by stream and sequence."""
        rows = await self._pool.fetch(
            """select * from inbox_waiting where due_at <= $1 and parked_at is null
               order by stream, sequence limit $2""",
            now,
            limit,
        )
        return [Waiting(**dict(row)) for row in rows]

    async def pending(self, limit: int) -> list[OutboxRow]:
        """Return messages that are not yet marked as published, in the order of their writing.

        A stream's messages are written under its head's lock, so whoever sees the later of two
        sees the earlier as well: a flag has no cursor and nothing to skip.
        """
        rows = await self._pool.fetch(
            """select o.id, o.subject, o.stream, o.sequence, o.body, o.position
               from outbox_pending p
               join outbox o on o.created_at = p.created_at and o.position = p.position
               order by p.position limit $1""",
            limit,
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

    async def lock_cursors(self, streams: Collection[str]) -> dict[str, int]:
        """Lock the cursors by name; those that do not exist yet are made."""
        wanted = sorted(set(streams))
        found = await self._locked_cursors(wanted)
        missing = [name for name in wanted if name not in found]
        if missing:
            made = await self._connection.fetch(
                """insert into inbox_cursors (stream, sequence)
                   select name, 0 from unnest($1::text[]) name on conflict do nothing
                   returning stream""",
                missing,
            )
            found |= {row["stream"]: 0 for row in made}
            raced = [name for name in missing if name not in found]
            found |= await self._locked_cursors(raced)
        return found

    async def _locked_cursors(self, streams: list[str]) -> dict[str, int]:
        if not streams:
            return {}
        rows = await self._connection.fetch(
            """select stream, sequence from inbox_cursors where stream = any($1::text[])
               order by stream for update""",
            streams,
        )
        return {row["stream"]: row["sequence"] for row in rows}

    async def read_cursors(self, streams: Collection[str]) -> dict[str, int]:
        """Read cursors without locking."""
        if not streams:
            return {}
        rows = await self._connection.fetch(
            "select stream, sequence from inbox_cursors where stream = any($1::text[])",
            list(streams),
        )
        return dict.fromkeys(streams, 0) | {row["stream"]: row["sequence"] for row in rows}

    async def lock_heads(self, streams: Collection[str]) -> dict[str, Head]:
        """Lock the heads by id; those that do not exist yet are made, at version 0."""
        wanted = sorted(set(streams))
        found = await self._locked_heads(wanted)
        missing = [name for name in wanted if name not in found]
        if missing:
            await self._connection.execute(
                """insert into streams (name) select name from unnest($1::text[]) name
                   on conflict do nothing""",
                missing,
            )
            found |= await self._locked_heads(missing)
        return found

    async def _locked_heads(self, streams: list[str]) -> dict[str, Head]:
        if not streams:
            return {}
        rows = await self._connection.fetch(
            """select name, version, sequence, last_at, last_hash, state from streams
               where name = any($1::text[]) order by id for update""",
            streams,
        )
        return {row["name"]: Head(**dict(row)) for row in rows}

    async def documents(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Return those documents of (collection, key) that exist."""
        if not keys:
            return {}
        rows = await self._connection.fetch(
            """select d.collection, d.key, d.body
               from unnest($1::text[], $2::text[]) as wanted (collection, key)
               join documents d using (collection, key)""",
            [collection for collection, _ in keys],
            [key for _, key in keys],
        )
        return {(row["collection"], row["key"]): row["body"] for row in rows}

    async def write(self, changes: Changes) -> None:
        """Write everything, each table by one statement."""
        if changes.facts:
            await self._insert_facts(changes.facts)
        if changes.heads:
            await self._update_heads(changes.heads)
        if changes.outbox:
            await self._insert_outbox(changes.outbox)
        if changes.documents:
            await self._write_documents(changes)
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
        if changes.cursors:
            await self._move_cursors(changes.cursors)

    async def _insert_facts(self, facts: list[FactRow]) -> None:
        try:
            await self._connection.execute(
                """insert into facts (stream, version, id, at, body, actor, correlation_id,
                                      causation_id, previous_hash, hash)
                   select * from unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[],
                       $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::bytea[], $10::bytea[])""",
                [fact.stream for fact in facts],
                [fact.version for fact in facts],
                [fact.id for fact in facts],
                [fact.at for fact in facts],
                [fact.body for fact in facts],
                [fact.actor for fact in facts],
                [fact.correlation_id for fact in facts],
                [fact.causation_id for fact in facts],
                [fact.previous_hash for fact in facts],
                [fact.hash for fact in facts],
            )
        except asyncpg.UniqueViolationError as error:
            raise WrongVersionError(str(error)) from error

    async def _update_heads(self, heads: list[Head]) -> None:
        await self._connection.execute(
            """update streams s
               set version = n.version, sequence = n.sequence, last_at = n.last_at,
                   last_hash = n.last_hash, state = n.state
               from unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[],
                           $5::bytea[], $6::bytea[])
                   as n (name, version, sequence, last_at, last_hash, state)
               where s.name = n.name""",
            [head.name for head in heads],
            [head.version for head in heads],
            [head.sequence for head in heads],
            [head.last_at for head in heads],
            [head.last_hash for head in heads],
            [head.state for head in heads],
        )

    async def _insert_outbox(self, rows: list[OutboxRow]) -> None:
        await self._connection.execute(
            """with written as (
                   insert into outbox (id, subject, stream, sequence, body)
                   select id, subject, stream, sequence, body
                   from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
                        with ordinality as n (id, subject, stream, sequence, body, place)
                   order by place
                   returning position, created_at)
               insert into outbox_pending (position, created_at)
               select position, created_at from written""",
            [row.id for row in rows],
            [row.subject for row in rows],
            [row.stream for row in rows],
            [row.sequence for row in rows],
            [row.body for row in rows],
        )

    async def _write_documents(self, changes: Changes) -> None:
        kept, deleted = changed_documents(changes)
        if kept:
            await self._connection.execute(
                """insert into documents (collection, key, body)
                   select * from unnest($1::text[], $2::text[], $3::bytea[])
                   on conflict (collection, key) do update set body = excluded.body""",
                [collection for collection, _ in kept],
                [key for _, key in kept],
                list(kept.values()),
            )
        if deleted:
            await self._connection.execute(
                """delete from documents d
                   using unnest($1::text[], $2::text[]) as gone (collection, key)
                   where d.collection = gone.collection and d.key = gone.key""",
                [collection for collection, _ in deleted],
                [key for _, key in deleted],
            )

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

    async def _move_cursors(self, cursors: dict[str, int]) -> None:
        """Move the cursors, and make due what waited for just that."""
        await self._connection.execute(
            """with moved as (
                   update inbox_cursors c set sequence = n.sequence
                   from unnest($1::text[], $2::bigint[]) as n (stream, sequence)
                   where c.stream = n.stream
                   returning c.stream, c.sequence)
               update inbox_waiting w set due_at = w.first_at
               from moved
               where w.stream = moved.stream and w.sequence = moved.sequence + 1
                 and w.parked_at is null and w.due_at is null""",
            list(cursors),
            list(cursors.values()),
        )
