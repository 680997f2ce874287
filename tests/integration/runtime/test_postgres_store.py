"""What the database itself guarantees: nothing skipped, nothing changed, rights kept to."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from typing_extensions import override

from runtime.migrate import MigrationError, check_schema, migrate
from runtime.outbox import Relay
from runtime.parked import discard_parked, list_parked, retry_parked, show_parked
from runtime.postgres_store import PostgresStore
from runtime.spans import PassOn
from runtime.store import Changes, OutboxRow
from tests.integration.runtime.conftest import CounterDatabase, NatsBusUnderTest
from tests.support import counter
from tests.support.runtime_bench import Bench, ask

OWNER = "tollgate_counter_owner"
RELAY_SECONDS_MAX = 10


class Collected:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []

    async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
        self.rows += list(rows)


async def test_a_slow_transaction_overtaken_by_a_fast_one_is_still_relayed(
    real_database: CounterDatabase,
) -> None:
    async with asyncpg.create_pool(real_database.dsn, min_size=3) as pool:
        store, publisher = PostgresStore(pool), Collected()
        relay = Relay(store, publisher, PassOn())
        slow, fast = ask(), ask()
        async with store.transaction() as first:
            await first.write(Changes(outbox=[slow]))
            async with store.transaction() as second:
                await second.write(Changes(outbox=[fast]))
            await relay.relay_once()
            assert [row.id for row in publisher.rows] == [fast.id]
        await relay.relay_once()
        assert [row.id for row in publisher.rows] == [fast.id, slow.id]


async def test_a_relay_that_leads_again_takes_nothing_for_sent_since_the_last_time(
    real_database: CounterDatabase,
) -> None:
    """Another one has led meanwhile, and a rebuilt bus may want the same messages again."""

    class Ended(Collected):
        """A publisher with whose first message the leadership ends."""

        @override
        async def publish_batch(self, rows: Sequence[OutboxRow]) -> None:
            await super().publish_batch(rows)
            leaderships[-1].terminate()

    publisher = Ended()
    async with asyncpg.create_pool(real_database.dsn, min_size=1) as pool:
        store, relay = PostgresStore(pool), Relay(PostgresStore(pool), publisher, PassOn())
        async with store.transaction() as transaction:
            await transaction.write(Changes(outbox=[ask()]))
        leaderships = [await asyncpg.connect(real_database.dsn)]
        await relay.run(leaderships[-1])
        [sent] = await store.pending(1)

        leaderships.append(await asyncpg.connect(real_database.dsn))
        await asyncio.wait_for(relay.run(leaderships[-1]), RELAY_SECONDS_MAX)

        assert publisher.rows == [sent, sent]
        await relay.relay_once()
        assert await store.pending(1) == []


@pytest.mark.parametrize("table", ["facts", "outbox"])
@pytest.mark.parametrize(
    "statement",
    ["update {} set stream = 'other'", "delete from {}", "truncate {}"],
)
async def test_the_service_can_neither_change_nor_remove_what_was_recorded(
    real_database: CounterDatabase, table: str, statement: str
) -> None:
    connection = await asyncpg.connect(real_database.dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(table))
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update facts set body = '{{}}'",
        "delete from facts",
        "truncate facts",
        "update outbox set stream = 'other'",
        "truncate outbox",
    ],
)
async def test_not_even_the_owner_changes_a_fact_while_the_triggers_stand(
    real_database: CounterDatabase, statement: str
) -> None:
    async with asyncpg.create_pool(real_database.dsn, min_size=1) as pool:
        bench = Bench(PostgresStore(pool), bus=Collected())  # type: ignore[arg-type]
        waiting = bench.processor.execute(counter.Add(actor="t", counter="a", amount=1))
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0)
        await bench.processor.drain()
        await task
    connection = await asyncpg.connect(real_database.admin_dsn)
    try:
        await connection.execute(f"set role {OWNER}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_service_owns_no_table_and_makes_none(real_database: CounterDatabase) -> None:
    connection = await asyncpg.connect(real_database.dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("create table mine (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("alter table facts disable trigger all")
        owned = await connection.fetchval(
            "select count(*) from pg_tables where tableowner = current_user"
        )
        assert owned == 0
    finally:
        await connection.close()


async def test_migrations_run_once_and_check_only_tells(real_database: CounterDatabase) -> None:
    async def run(*, check: bool = False) -> list[str]:
        return await migrate(
            real_database.admin_dsn, "counter", package=counter.PACKAGE, check=check
        )

    assert await run() == []
    admin = await asyncpg.connect(real_database.admin_dsn)
    try:
        await admin.execute("delete from schema_migrations where owner = 'counter'")
        await admin.execute("drop table totals")
        assert await run(check=True) == ["counter/0001_totals"]
        assert await admin.fetchval("select to_regclass('public.totals')") is None
        told = await check_schema(admin, "counter", counter.PACKAGE)
        assert told == "not migrated: counter/0001_totals"
        assert await run() == ["counter/0001_totals"]
    finally:
        await admin.close()


async def test_a_migration_that_changed_after_it_was_applied_is_refused(
    real_database: CounterDatabase,
) -> None:
    admin = await asyncpg.connect(real_database.admin_dsn)
    try:
        await admin.execute("update schema_migrations set checksum = 'x' where owner = 'counter'")
        with pytest.raises(MigrationError, match="changed after it was applied"):
            await migrate(real_database.admin_dsn, "counter", package=counter.PACKAGE)
    finally:
        await admin.close()


async def test_a_database_of_a_newer_release_is_refused(real_database: CounterDatabase) -> None:
    admin = await asyncpg.connect(real_database.admin_dsn)
    try:
        await admin.execute(
            "insert into schema_migrations values ('counter', 99, 'later', 'x', now())"
        )
        told = await check_schema(admin, "counter", counter.PACKAGE)
        assert told is not None
        assert "newer release" in told
    finally:
        await admin.close()


async def test_a_parked_message_can_be_seen_put_back_and_given_up(
    real_database: CounterDatabase, real_bus: NatsBusUnderTest
) -> None:
    async with asyncpg.create_pool(real_database.dsn, min_size=1) as pool:
        bench = Bench(PostgresStore(pool), real_bus)
        await real_bus.publish_batch(
            [
                ask(stream="asking-s", sequence=1, explode=True),
                ask(amount=5, stream="asking-s", sequence=2),
            ]
        )
        for _ in range(9):
            await bench.consume()
            await bench.process_due()
            bench.wait(31)
        async with pool.acquire() as connection:
            parked = [p for p in await list_parked(connection) if p.parked_at is not None]
            assert [(p.stream, p.sequence, p.reason) for p in parked] == [("asking-s", 1, "failed")]
            shown = await show_parked(connection, parked[0].id)
            assert shown is not None
            assert b'"explode":true' in shown.body
            assert await retry_parked(connection, parked[0].id)
            assert not await retry_parked(connection, parked[0].id)
        assert await bench.total() == 0
        async with pool.acquire() as connection:
            await connection.execute(
                "update inbox_waiting set parked_at = now(), due_at = null where sequence = 1"
            )
            assert await discard_parked(connection, parked[0].id)
        await bench.process_due()
        assert await bench.total() == 5


async def test_what_is_parked_is_listed_before_all_that_waits_behind_it(
    real_database: CounterDatabase,
) -> None:
    connection = await asyncpg.connect(real_database.dsn)
    try:
        await connection.execute(
            """insert into inbox_waiting (id, stream, sequence, subject, body, reason, detail,
                                          attempts, first_at, parked_at)
               select n::text, 'asking-s', n, 'x', ''::bytea, 'predecessor', '', 0,
                      now() - interval '1 h', null
               from generate_series(2, 5) n
               union all
               select 'parked', 'asking-t', 1, 'x', ''::bytea, 'failed', '', 8, now(), now()"""
        )
        listed = await list_parked(connection, limit=2)
    finally:
        await connection.close()
    assert [each.id for each in listed] == ["parked", "2"]
