"""Tables and segments are checked against each other: neither can be changed without the other."""

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from runtime.clock import ManualClock
from runtime.postgres_store import PostgresStore
from runtime.segments.chain import BadFact
from services.ledger.replay import verify
from services.ledger.sealing.verification import verify_all, verify_segments
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.history import a_history
from tests.integration.ledger.sealed import Sealer
from tests.integration.ledger.test_verification import TAMPERINGS, WALLET, chained, tamper
from tests.support.environment import Database


@pytest_asyncio.fixture
async def sealer(ledger: Ledger, database: Database, clock: ManualClock, tmp_path: Path) -> Sealer:
    """Give a ledger of which all but the last few facts are sealed, by two keys."""
    sealer = Sealer.of(database, clock, tmp_path / "segments", facts_max=9)
    await a_history(ledger, clock)
    await sealer.seal()
    sealer.rotate()
    await ledger.award("user-1", 2)
    await sealer.seal()
    await ledger.award("user-1", 3)
    await ledger.award("user-2", 4)
    return sealer


async def first_bad(database: Database, sealer: Sealer) -> BadFact | None:
    """Return what verification names."""
    return (await verify_all(database.dsn, sealer.sealing.place, sealer.keys)).first_bad


async def test_an_untouched_ledger_verifies_with_its_segments_and_its_tail(
    ledger: Ledger, database: Database, sealer: Sealer
) -> None:
    result = await verify_all(database.dsn, sealer.sealing.place, sealer.keys)
    assert result.ok, result.first_bad
    assert result.sealed == result.events - 2
    assert result.segments == len(sealer.manifests())
    tables = await verify(database.dsn)
    assert (result.events, result.head) == (tables.events, tables.head)
    await sealer.seal()
    files = verify_segments(sealer.sealing.place, sealer.keys)
    assert (files.ok, files.events, files.head) == (True, tables.events, tables.head)
    assert ledger.told


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_what_is_changed_in_the_tables_is_named_with_segments_as_without(
    database: Database, sealer: Sealer, what: str
) -> None:
    await tamper(database, TAMPERINGS[what].sql.replace(" 14", " 16"))
    alone = (await verify(database.dsn)).first_bad
    bad = await first_bad(database, sealer)
    assert bad is not None
    assert bad == alone


async def test_a_whole_new_chain_does_not_fit_what_was_sealed(
    ledger: Ledger, database: Database, sealer: Sealer
) -> None:
    rows = await PostgresStore(ledger.running.pool).read("wallet-user-1")
    forged = [chained(replace(rows[2], actor="x"), rows[2].previous_hash)]
    for row in rows[3:]:
        forged.append(chained(row, forged[-1].hash))
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute("alter table facts disable trigger all")
        await admin.executemany(
            """update facts set actor = $3, previous_hash = $4, hash = $5
               where stream = $1 and version = $2""",
            [(f.stream, f.version, f.actor, f.previous_hash, f.hash) for f in forged],
        )
        await admin.execute(
            "update streams set last_hash = $1 where name = 'wallet-user-1'", forged[-1].hash
        )
    finally:
        await admin.close()
    assert (await verify(database.dsn)).ok
    bad = await first_bad(database, sealer)
    assert bad is not None
    assert (bad.stream, bad.version, bad.place) == ("wallet-user-1", 3, "facts")


HIDDEN = {
    "the end of a stream cut off, with its head": (
        f"""delete from facts where {WALLET} and version > 10;
            update streams set version = 10, last_hash = (
                select hash from facts where {WALLET} and version = 10)
            where name = 'wallet-user-1'""",
        ("wallet-user-1", 11, "facts"),
    ),
    "a whole stream, with its head": (
        f"delete from facts where {WALLET}; delete from streams where name = 'wallet-user-1'",
        ("wallet-user-1", 1, "facts"),
    ),
    "how far a stream is sealed": (
        """update sealed_streams set version = version - 1 where stream = 'wallet-user-1'""",
        ("wallet-user-1", 13, "sealed_streams"),
    ),
    "that a stream is sealed": (
        """delete from sealed_streams where stream = 'wallet-user-1'""",
        ("wallet-user-1", 14, "sealed_streams"),
    ),
    "a manifest in the database": (
        """alter table segments disable trigger all;
           update segments set manifest = manifest || ' ' where number = 2""",
        (None, None, "segments"),
    ),
    "that a segment was sealed": (
        """alter table segments disable trigger all; delete from segments where number = 2""",
        (None, None, "manifest-000000002.json"),
    ),
}


@pytest.mark.parametrize("what", HIDDEN)
async def test_what_the_chain_of_the_tables_cannot_show_is_shown_by_the_segments(
    database: Database, sealer: Sealer, what: str
) -> None:
    sql, place = HIDDEN[what]
    await tamper(database, sql)
    bad = await first_bad(database, sealer)
    assert bad is not None
    assert (bad.stream, bad.version, bad.place) == place


async def test_the_newest_manifest_cannot_be_taken_away(database: Database, sealer: Sealer) -> None:
    await sealer.seal()
    name = max(path.name for path in sealer.folder.glob("manifest-*"))
    (sealer.folder / name).unlink()
    bad = await first_bad(database, sealer)
    assert bad is not None
    assert (bad.place, bad.problem) == (name, "it is missing")
    await sealer.seal()
    assert await first_bad(database, sealer) is None


async def test_segments_by_a_key_that_is_not_known_are_named(
    database: Database, sealer: Sealer
) -> None:
    newest = sealer.sealing.key.public
    bad = (await verify_all(database.dsn, sealer.sealing.place, newest)).first_bad
    assert bad is not None
    assert bad.place == "manifest-000000001.json"
    assert "key that is not known" in bad.problem


async def test_segments_cannot_be_hidden_by_naming_no_place(
    database: Database, sealer: Sealer
) -> None:
    bad = (await verify_all(database.dsn, None, sealer.keys)).first_bad
    assert bad is not None
    assert "no place for segments is named" in bad.problem
