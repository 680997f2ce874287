"""A wallet at any instant: from snapshots or not, by replay, and as the gateway shows it."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from runtime.clock import ManualClock
from runtime.ids import new_id
from runtime.process import assemble
from services.gateway.main import build as build_gateway
from services.gateway.queries.credits import balance_as_of, list_history
from services.gateway.settings import GatewaySettings
from services.ledger.checking.differences import Differences
from services.ledger.columns import BALANCE
from services.ledger.evolution import evolve
from services.ledger.queries import history_at, wallet_at
from services.ledger.replay import replay
from services.ledger.slices import size
from services.ledger.wallet import Wallet
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for
from tests.integration.ledger.test_replay_of_reversals import what_was_taken_back
from tests.support.environment import Database
from tests.unit.ledger.book import Book
from tests.unit.ledger.histories import long_histories

START_OF_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


async def instants_of(ledger: Ledger) -> list[datetime]:
    """Return the instants at which something happened, and one before."""
    rows = await ledger.fetch("select distinct at from facts order by at")
    found = [row["at"] for row in rows]
    return [found[0] - timedelta(microseconds=1), *found]


async def test_a_snapshot_makes_an_answer_faster_and_never_different(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await what_was_taken_back(ledger, clock)
    instants = await instants_of(ledger)
    connection = await asyncpg.connect(database.dsn)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        plain = [await wallet_at(connection, "user-1", at, snapshots=False) for at in instants]
        assert await connection.fetchval("select count(*) from wallet_snapshots") == 0
        for at, found in zip(instants, plain, strict=True):
            first = await wallet_at(connection, "user-1", at, snapshot_facts=3)
            assert (first.wallet, first.version, first.at) == (
                *(found.wallet, found.version, found.at),
            )
        kept = await connection.fetchval("select count(*) from wallet_snapshots")
        assert kept >= 3
        for at, found in reversed(list(zip(instants, plain, strict=True))):
            again = await wallet_at(connection, "user-1", at)
            assert again.wallet == found.wallet
            assert again.folded < max(found.folded, 3)
        now = await wallet_at(connection, "user-1")
        assert now.wallet == plain[-1].wallet
        await admin.execute("update wallet_snapshots set shape = 'of another release'")
        assert (await wallet_at(connection, "user-1")).folded == plain[-1].folded
    finally:
        await admin.close()
        await connection.close()


@pytest.mark.parametrize("seed", range(3))
async def test_at_any_fact_of_a_random_history_snapshots_make_no_difference(
    database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    admin = await asyncpg.connect(database.admin_dsn)
    connection = await asyncpg.connect(database.dsn)
    try:
        for user, book in long_histories(seed).items():
            await keep(admin, user, book)
            wallet, states = Wallet(), {START_OF_TIME: Wallet()}
            for at, fact in zip(book.times, book.facts, strict=True):
                wallet = states[at] = evolve(wallet, fact)
            for at in chance.sample(list(states), k=min(40, len(states))):
                every = chance.choice([1, 7, 30])
                found = await wallet_at(connection, user, at, snapshot_facts=every)
                assert found.wallet == states[at]
                assert (
                    found.wallet == (await wallet_at(connection, user, at, snapshots=False)).wallet
                )
            assert (await wallet_at(connection, user)).wallet == book.wallet
    finally:
        await connection.close()
        await admin.close()


async def keep(admin: asyncpg.Connection, user: str, book: Book) -> None:
    """Store a wallet's facts as they are."""
    columns = ("stream", "version", "id", "at", "body", "actor", "correlation_id")
    rows = [
        (f"wallet-{user}", n, new_id(), at, msgspec.json.encode(fact).decode(), "test", "test")
        for n, (at, fact) in enumerate(zip(book.times, book.facts, strict=True), start=1)
    ]
    hashes = [(bytes(32), n.to_bytes(32, "big")) for n in range(len(rows))]
    await admin.copy_records_to_table(
        "facts",
        records=[(*row, *pair) for row, pair in zip(rows, hashes, strict=True)],
        columns=(*columns, "previous_hash", "hash"),
    )


async def test_a_wallet_at_an_instant_is_what_a_replay_comes_to(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await what_was_taken_back(ledger, clock)
    connection = await asyncpg.connect(database.dsn)
    try:
        for at in await instants_of(ledger):
            group = (await replay(database.dsn, as_of=at)).totals.groups.get("user-1")
            found = await wallet_at(connection, "user-1", at, snapshot_facts=2)
            balance = found.wallet.balance
            assert group is None or all(
                getattr(group, name) == getattr(balance, name) for name in BALANCE
            )
            lots = sum(size(lot.free) + lot.held for lot in found.wallet.lots.values())
            assert lots == balance.awarded + balance.purchased + balance.debt
    finally:
        await connection.close()


async def test_the_gateway_shows_what_the_ledger_says_of_any_instant(
    ledger: Ledger,
    clock: ManualClock,
    database: Database,
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    await what_was_taken_back(ledger, clock)
    told = [
        WIRING.decode(WIRING.type_of_subject(row["subject"]), row["body"].encode()).model_copy(
            update={"seen": ""}
        )
        for row in await ledger.fetch(
            "select subject, body from outbox where stream = 'wallet-user-1' order by position"
        )
    ]
    gateway_database = await database_for("gateway")
    base = settings_for(gateway_database).model_dump()
    settings = GatewaySettings.model_validate(base | {"nats_user": "gateway"})
    connection = await asyncpg.connect(database.dsn)
    differences = Differences()
    try:
        async with assemble(build_gateway(settings), settings, WIRING, clock=clock) as running:
            await Ledger(running).hand_in(told)
            for at in await instants_of(ledger):
                found = await wallet_at(connection, "user-1", at)
                shown = await balance_as_of(running.pool, "user-1", at)  # type: ignore[arg-type]  # a pool asks like a connection
                for name in BALANCE:
                    differences.compare(
                        "balance",
                        f"{at} {name}",
                        from_facts=getattr(found.wallet.balance, name),
                        live=getattr(shown, name),
                    )
                lines = await list_history(
                    running.pool,  # type: ignore[arg-type]  # as above
                    "user-1",
                    kind=None,
                    begin=None,
                    end=at + timedelta(microseconds=1),
                    before_sequence=None,
                    limit=1_000,
                )
                differences.compare(
                    "history",
                    str(at),
                    from_facts=[_line(row) for row in await history_at(connection, "user-1", at)],
                    live=[_line(row) for row in lines],
                )
    finally:
        await connection.close()
    assert differences.kept == []


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what both say of a movement."""
    after = row.get("balance_after")
    return (
        row["at"],
        row["type"],
        row["awarded_after"] + row["purchased_after"] if after is None else after,
        row["deployment_id"],
    )
