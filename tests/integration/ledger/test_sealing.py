"""What is sealed: everything, once, in order, in segments that a killed sealer cannot break."""

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from runtime.clock import ManualClock
from runtime.postgres_store import PostgresStore
from runtime.segments.manifest import NO_MANIFEST, file_digest
from runtime.segments.places import FolderPlace
from runtime.segments.sealer import SealedElsewhereError, SealError, UnfitFactError, seal
from runtime.segments.segment import read_rows
from runtime.store import Changes, FactRow
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.history import a_history
from tests.integration.ledger.sealed import Sealer
from tests.integration.ledger.test_verification import chained
from tests.support.environment import Database


@pytest.fixture
def sealer(database: Database, clock: ManualClock, tmp_path: Path) -> Sealer:
    """Give a sealer into an empty folder, seven facts to a segment."""
    return Sealer.of(database, clock, tmp_path / "segments", facts_max=7)


async def stored(ledger: Ledger) -> list[FactRow]:
    """Return all facts, by their streams' bytes and versions."""
    rows = await ledger.fetch("""select distinct stream from facts""")
    store = PostgresStore(ledger.running.pool)
    streams = sorted((row["stream"] for row in rows), key=str.encode)
    return [fact for stream in streams for fact in await store.read(stream)]


def sealed(sealer: Sealer) -> list[FactRow]:
    """Return all facts in the segments, in the order of the segments."""
    return [
        row
        for signed in sealer.manifests()
        for rows in read_rows(sealer.folder / signed.manifest.segment)
        for row in rows
    ]


def by_place(rows: list[FactRow]) -> list[FactRow]:
    return sorted(rows, key=lambda row: (row.stream.encode(), row.version))


async def test_a_seal_takes_every_fact_into_segments_of_bounded_size(
    ledger: Ledger, clock: ManualClock, sealer: Sealer
) -> None:
    await a_history(ledger, clock)
    made = await sealer.seal()
    facts = await stored(ledger)
    assert by_place(sealed(sealer)) == facts
    assert [manifest.number for manifest in made] == list(range(1, len(made) + 1))
    assert [manifest.facts for manifest in made[:-1]] == [7] * (len(made) - 1)
    for signed in sealer.manifests():
        path = sealer.folder / signed.manifest.segment
        assert file_digest(path) == (signed.manifest.sha256, signed.manifest.bytes)
        assert sum(span.facts for span in signed.manifest.spans) == signed.manifest.facts


async def test_each_manifest_names_the_one_before_it(
    ledger: Ledger, clock: ManualClock, sealer: Sealer
) -> None:
    await a_history(ledger, clock)
    await sealer.seal()
    await ledger.award("user-1", 1)
    await sealer.seal()
    manifests = sealer.manifests()
    previous = [NO_MANIFEST, *(signed.digest for signed in manifests[:-1])]
    assert [signed.manifest.previous for signed in manifests] == previous


async def test_a_second_seal_takes_only_what_came_since(
    ledger: Ledger, clock: ManualClock, sealer: Sealer
) -> None:
    await a_history(ledger, clock)
    await sealer.seal()
    assert await sealer.seal() == []
    await ledger.award("user-2", 1)
    await ledger.award("user-1", 1)
    [manifest] = await sealer.seal()
    assert [(span.stream, span.facts) for span in manifest.spans] == [
        ("wallet-user-1", 1),
        ("wallet-user-2", 1),
    ]
    assert by_place(sealed(sealer)) == await stored(ledger)


async def test_an_empty_ledger_makes_no_segment(ledger: Ledger, sealer: Sealer) -> None:
    assert ledger.told
    assert await sealer.seal() == []


async def test_a_fact_that_commits_late_is_taken_by_the_next_seal(
    ledger: Ledger, sealer: Sealer
) -> None:
    """A slow transaction has the lower position and commits after the seal: it is not skipped."""
    await ledger.register("user-2")
    await ledger.award("user-1", 1)
    await ledger.award("user-2", 1)
    [last] = await PostgresStore(ledger.running.pool).read("wallet-user-2")
    late = chained(replace(last, version=2, id="late"), last.hash)
    async with PostgresStore(ledger.running.pool).transaction() as slow:
        head = (await slow.lock_heads(["wallet-user-2"]))["wallet-user-2"]
        head.version, head.last_hash = 2, late.hash
        await slow.write(Changes(facts=[late], heads=[head]))
        await ledger.award("user-1", 1)
        await sealer.seal()
        assert "late" not in {row.id for row in sealed(sealer)}
    await sealer.seal()
    assert by_place(sealed(sealer)) == await stored(ledger)
    assert "late" in {row.id for row in sealed(sealer)}


async def test_only_one_sealer_works_at_a_time_and_the_lock_dies_with_its_holder(
    ledger: Ledger, sealer: Sealer, database: Database
) -> None:
    await ledger.award("user-1", 1)
    holder = await asyncpg.connect(database.dsn)
    await holder.execute("select pg_advisory_lock(hashtext('tollgate.seal'))")
    with pytest.raises(SealedElsewhereError):
        await sealer.seal()
    holder.terminate()
    async with asyncio.timeout(10):
        while True:
            try:
                assert len(await sealer.seal()) == 1
            except SealedElsewhereError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_fact_that_was_tampered_with_is_never_sealed(
    ledger: Ledger, sealer: Sealer, database: Database
) -> None:
    await ledger.award("user-1", 1)
    await ledger.award("user-1", 2)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute("alter table facts disable trigger all")
        await admin.execute("update facts set actor = 'x' where version = 2")
    finally:
        await admin.close()
    with pytest.raises(UnfitFactError, match="wallet-user-1 2"):
        await sealer.seal()
    assert not sealer.folder.exists() or sealer.names() == ["keys.json"]


async def test_what_a_killed_sealer_left_before_the_commit_is_removed(
    ledger: Ledger, sealer: Sealer
) -> None:
    await ledger.award("user-1", 1)
    sealer.folder.mkdir()
    (sealer.folder / ".unfinished-abc").write_bytes(b"half")
    (sealer.folder / f"segment-000000001-{'0' * 16}.parquet").write_bytes(b"not sealed")
    [manifest] = await sealer.seal()
    assert sealer.names() == ["keys.json", "manifest-000000001.json", manifest.segment]


async def test_what_a_killed_sealer_left_out_after_the_commit_is_put(
    ledger: Ledger, sealer: Sealer
) -> None:
    await ledger.award("user-1", 1)
    await sealer.seal()
    await ledger.award("user-1", 1)
    await sealer.seal()
    last = sealer.folder / "manifest-000000002.json"
    content = last.read_bytes()
    last.unlink()
    assert await sealer.seal() == []
    assert last.read_bytes() == content


async def test_a_place_of_another_ledger_is_refused(
    ledger: Ledger, sealer: Sealer, tmp_path: Path
) -> None:
    await ledger.award("user-1", 1)
    await sealer.seal()
    elsewhere = replace(sealer.sealing, place=FolderPlace(tmp_path / "empty"))
    with pytest.raises(SealError, match="is not at file://"):
        await seal(elsewhere)
    (sealer.folder / "manifest-000000002.json").write_bytes(b"{}")
    with pytest.raises(SealError, match="database knows only 1"):
        await sealer.seal()


async def test_segments_of_an_earlier_key_stay_valid_after_a_rotation(
    ledger: Ledger, sealer: Sealer
) -> None:
    await ledger.award("user-1", 1)
    await sealer.seal()
    sealer.rotate()
    await ledger.award("user-1", 1)
    await sealer.seal()
    assert len({signed.manifest.key_id for signed in sealer.manifests()}) == 2
