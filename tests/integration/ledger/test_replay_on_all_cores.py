"""However many processes replay a ledger, they find what one finds, or nothing at all."""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import get_args

import asyncpg
import pytest

from runtime.clock import ManualClock
from runtime.process import assemble
from runtime.segments.reader import WHOLE, read_facts, snapshot, spans
from runtime.store import FactRow
from services.ledger.checking.parallel import ALONE_FACTS_MAX, WorkerEndedError, workers_for
from services.ledger.checking.totals import GroupBy
from services.ledger.checking.what_if import OtherShares
from services.ledger.replay import ReplayResult, replay, verify
from services.ledger.replay_formats import summary
from services.revenue.main import build as build_revenue
from services.revenue.settings import RevenueSettings
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for
from tests.integration.ledger.history import a_history
from tests.integration.ledger.test_replay_of_reversals import what_was_taken_back
from tests.integration.ledger.test_verification import tamper
from tests.support.environment import Database
from tests.unit.ledger.histories import long_histories
from tests.unit.ledger.segments import rows_of

COLUMNS = tuple(column.name for column in fields(FactRow))


async def stored(database: Database, seed: int) -> list[FactRow]:
    """Store the facts and heads of random wallets, and none of their read models."""
    rows = rows_of(long_histories(seed))
    heads = {row.stream: (row.stream, row.version, row.hash) for row in rows}
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        records = [tuple(getattr(row, name) for name in COLUMNS) for row in rows]
        await admin.copy_records_to_table("facts", records=records, columns=COLUMNS)
        columns = ("name", "version", "last_hash")
        await admin.copy_records_to_table("streams", records=[*heads.values()], columns=columns)
    finally:
        await admin.close()
    return rows


def comparable(result: ReplayResult) -> ReplayResult:
    """Return a result whose differences are sorted: each process finds its own in turn."""
    kept = sorted(result.differences.kept, key=repr)
    return replace(result, differences=replace(result.differences, kept=kept))


@pytest.mark.parametrize("seed", range(2))
async def test_random_histories_come_to_the_same_in_every_grouping(
    database: Database, seed: int
) -> None:
    rows = await stored(database, seed)
    shares = OtherShares.read("partner=35.00,agent=5.00")
    middle = sorted(row.at for row in rows)[len(rows) // 2]
    cases = [(group_by, None, 2) for group_by in get_args(GroupBy)]
    for group_by, as_of, workers in [*cases, ("partner", middle, 5), ("user", None, 5)]:
        one, several = [
            comparable(
                await replay(
                    database.dsn, group_by=group_by, as_of=as_of, shares=shares, workers=count
                )
            )
            for count in (1, workers)
        ]
        assert one.differences.count > 0
        assert one.chain is not None
        assert one.chain.ok
        assert several == one
        assert list(several.totals.groups) == list(one.totals.groups)
    whole = await replay(database.dsn, workers=5)
    assert whole.events == len(rows)
    assert whole.chain == await verify(database.dsn)


async def test_every_fact_is_in_one_span_and_the_spans_are_about_alike(database: Database) -> None:
    rows = await stored(database, 0)
    async with snapshot(database.dsn) as connection:
        assert await spans(connection, 1) == [WHOLE]
        parts = await spans(connection, 2)
        assert len(parts) == 2
        found = [
            [row async for chunk in read_facts(connection, None, span) for row in chunk]
            for span in parts
        ]
    assert [row.id for part in found for row in part] == [row.id for row in rows]
    longest = max(sum(row.stream == stream for row in rows) for stream in {r.stream for r in rows})
    assert max(map(len, found)) <= len(rows) / 2 + longest


async def test_without_facts_there_is_nothing_to_split(database: Database) -> None:
    assert await replay(database.dsn, workers=5) == await replay(database.dsn, workers=1)
    assert workers_for(ALONE_FACTS_MAX - 1, None) == 1
    assert workers_for(ALONE_FACTS_MAX - 1, 3) == 3


WRONG = {
    "a fact": """update facts set body = replace(body, '"credits":30', '"credits":31')
                 where stream = 'wallet-user-2' and version = 1""",
    "two facts": "update facts set actor = 'x' where version = 3",
    "a wallet's facts": "delete from facts where stream = 'wallet-user-1'",
    "a wallet": "delete from facts where stream = 'wallet-user-2'; "
    "delete from streams where name = 'wallet-user-2'",
    "a head": "delete from streams where name = 'wallet-user-1'",
    "a head's version": "update streams set version = 5 where name = 'wallet-user-2'",
    "a balance": "update balances set awarded = awarded + 1 where user_id = 'user-2'",
    "nobody's balance": "insert into balances values ('nobody', 1, 0, 0, 0, 0)",
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_found_by_several_as_by_one(
    ledger: Ledger, clock: ManualClock, database: Database, wrong: str
) -> None:
    await a_history(ledger, clock)
    await tamper(database, WRONG[wrong])
    one = comparable(await replay(database.dsn, workers=1))
    assert not one.ok
    for workers in (2, 5):
        assert comparable(await replay(database.dsn, workers=workers)) == one


async def test_revenues_lines_are_compared_by_each_for_its_own_wallets(
    ledger: Ledger,
    clock: ManualClock,
    database: Database,
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    await a_history(ledger, clock)
    await what_was_taken_back(ledger, clock)
    revenue_database = await database_for("revenue")
    base = settings_for(revenue_database).model_dump()
    settings = RevenueSettings.model_validate(base | {"nats_user": "revenue"})
    async with assemble(build_revenue(settings), settings, WIRING, clock=clock) as running:
        revenue = Ledger(running)
        rows = await ledger.fetch("select subject, body from outbox order by position")
        await revenue.hand_in(
            [
                WIRING.decode(WIRING.type_of_subject(row["subject"]), row["body"].encode())
                for row in rows
                if row["subject"].split(".")[2] == "wallet"
            ]
        )
        both = await replay(
            database.dsn, revenue_dsn=revenue_database.dsn, workers=2, engine="both"
        )
        assert both.ok, summary(both)
        assert both.compared == ("ledger", "revenue")
        await revenue.fetch("update revenue_lines set deployment_id = deployment_id || '-x'")
        one, several = [
            await replay(
                database.dsn,
                revenue_dsn=revenue_database.dsn,
                patience_seconds=0.0,
                workers=workers,
            )
            for workers in (1, 2)
        ]
        assert not one.ok
        assert comparable(several) == comparable(one)


async def test_all_processes_read_the_moment_at_which_the_replay_began(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await a_history(ledger, clock)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        async with admin.transaction():
            await admin.execute("lock table streams in access exclusive mode")
            await admin.execute("update balances set awarded = awarded + 1")
            asked = asyncio.create_task(replay(database.dsn, workers=2))
            waiting = "select exists (select 1 from pg_locks where not granted)"
            while not await admin.fetchval(waiting) and not asked.done():
                await asyncio.sleep(0.05)
        result = await asked
    finally:
        await admin.close()
    assert result.ok, summary(result)
    later = await replay(database.dsn, workers=2)
    assert {difference.where for difference in later.differences.kept} == {"ledger.balances"}


async def test_where_one_process_dies_there_is_no_result_and_none_goes_on(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await a_history(ledger, clock)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        async with admin.transaction():
            await admin.execute("lock table history in access exclusive mode")
            asked = asyncio.create_task(replay(database.dsn, workers=2))
            while len(multiprocessing.active_children()) < 2 and not asked.done():
                await asyncio.sleep(0.05)
            multiprocessing.active_children()[0].kill()
            with pytest.raises(WorkerEndedError, match="status -9: there is no result"):
                await asked
        assert multiprocessing.active_children() == []
    finally:
        await admin.close()
