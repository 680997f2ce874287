"""Payees' streams leave the database in signed segments, and are checked against them."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from runtime.segments.child import run_child
from runtime.segments.export import export
from runtime.segments.places import FolderPlace
from runtime.segments.sealer import SealError, seal
from runtime.segments.segment import read_rows
from runtime.segments.setup import public_keys, sealing_of
from runtime.segments.verification import verify_segments
from services.revenue.sealing.origin import ORIGIN
from services.revenue.settings import RevenueToolSettings
from services.revenue.verification import Verified, verify
from tests.integration.revenue.conftest import Revenue
from tests.integration.revenue.settlements import JUNE, MAY, Wallet, hold, purchased, settled
from tests.integration.revenue.test_closing import Finance

AUDITOR = Path(__file__).parents[3] / "examples" / "audit" / "check_segments.py"


@pytest.fixture
def sealer(revenue: Revenue, tmp_path: Path) -> RevenueToolSettings:
    key = json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))
    return RevenueToolSettings(
        postgres_dsn=SecretStr(revenue.dsn),
        signing_key=SecretStr(key),
        segments_url=(tmp_path / "segments").as_uri(),
    )


@pytest.fixture
async def sealed(revenue: Revenue, sealer: RevenueToolSettings, tmp_path: Path) -> FolderPlace:
    """May is closed and sealed; a settlement of June is not sealed yet."""
    finance, wallet = Finance(revenue), Wallet()
    first = hold(purchased(0, 20), deployment="d1", partner="pia", agent="arno")
    await revenue.take(wallet.says(settled(first, at=MAY)))
    await finance.attest("2026-05", recognized=2_000, hold_settled=1)
    await finance.close("2026-05")
    await seal(sealing_of(ORIGIN, sealer))
    later = hold(purchased(20, 50), deployment="d2", partner="pia")
    await revenue.take(wallet.says(settled(later, at=JUNE), at=JUNE))
    return FolderPlace(tmp_path / "segments")


async def verified(sealer: RevenueToolSettings, place: FolderPlace) -> Verified:
    return await verify(sealer.postgres_dsn.get_secret_value(), place, public_keys(sealer))


async def test_lines_of_payees_are_sealed_with_all_that_they_follow_from(
    sealed: FolderPlace, sealer: RevenueToolSettings, revenue: Revenue
) -> None:
    (name,) = [name for name in sealed.names() if name.endswith(".parquet")]
    with sealed.fetch(name) as path:
        rows = [row for chunk in read_rows(path) for row in chunk]
    assert [(row.stream, row.version) for row in rows] == [
        ("month-2026-05", 1),
        ("month-2026-05", 2),
        ("payee-arno", 1),
        ("payee-pia", 1),
        ("revenue-d1", 1),
        ("statement-2026-05-arno", 1),
        ("statement-2026-05-pia", 1),
    ]
    found = await verified(sealer, sealed)
    stored = await revenue.running.pool.fetchval("select count(*) from facts")
    assert (found.misfits, found.segments, found.sealed, found.facts) == ((), 1, 7, stored)


async def test_streams_of_webhooks_are_never_sealed(
    sealed: FolderPlace, sealer: RevenueToolSettings, revenue: Revenue
) -> None:
    await revenue.forge(
        """insert into facts (stream, version, id, at, body, actor, correlation_id,
                              previous_hash, hash)
           select 'webhook-pia', 1, id, at, body, actor, correlation_id, previous_hash, hash
           from facts where stream = 'payee-pia' and version = 1;
           insert into streams (name, version, last_hash, last_at)
           select 'webhook-pia', 1, last_hash, last_at from streams where name = 'payee-arno'"""
    )
    (manifest,) = await seal(sealing_of(ORIGIN, sealer))
    assert [span.stream for span in manifest.spans] == ["payee-pia", "revenue-d2"]
    assert sealed.names()


@pytest.mark.parametrize(
    "forgery",
    [
        """delete from facts where stream = 'payee-pia';
           delete from streams where name = 'payee-pia'""",
        """update facts set (previous_hash, hash, body) =
               (select previous_hash, hash, body from facts where stream = 'payee-arno')
           where stream = 'payee-pia' and version = 1""",
        "update sealed_streams set version = 2 where stream = 'payee-pia'",
    ],
)
async def test_a_payees_line_that_was_changed_after_it_was_sealed_is_found(
    sealed: FolderPlace, sealer: RevenueToolSettings, revenue: Revenue, forgery: str
) -> None:
    await revenue.forge(forgery)
    found = await verified(sealer, sealed)
    assert found.misfits[0].code == "CHAIN_BROKEN"
    assert "payee-pia" in found.misfits[0].message


async def test_a_segment_that_was_changed_or_taken_away_is_found(
    sealed: FolderPlace, sealer: RevenueToolSettings, tmp_path: Path
) -> None:
    (name,) = [name for name in sealed.names() if name.endswith(".parquet")]
    path = tmp_path / "segments" / name
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes((content[100] ^ 1,)) + content[101:])
    assert not (await verified(sealer, sealed)).ok
    path.unlink()
    found = await verified(sealer, sealed)
    assert [each.message for each in found.misfits] == [
        f"month-2026-05 1 in {name}: the segment is missing"
    ]


async def test_an_auditor_checks_an_export_without_tollgate(
    sealed: FolderPlace, sealer: RevenueToolSettings, revenue: Revenue, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    assert await export(ORIGIN, revenue.dsn, sealed, public_keys(sealer), folder) == (1, 2)
    files = await asyncio.to_thread(
        verify_segments, ORIGIN, FolderPlace(folder), public_keys(sealer)
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(AUDITOR), str(folder), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    head = (await verified(sealer, sealed)).head
    assert (files.head, output.decode()) == (head, f"head {head}\n")


async def test_the_service_has_it_done_by_a_process_of_its_own(
    sealed: FolderPlace, sealer: RevenueToolSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "POSTGRES_DSN": sealer.postgres_dsn,
        "SIGNING_KEY": sealer.signing_key,
        "NATS_PASSWORD": SecretStr("none"),
    }
    for name, value in told.items():
        assert value is not None
        monkeypatch.setenv(f"TOLLGATE_{name}", value.get_secret_value())
    monkeypatch.setenv("TOLLGATE_NATS_USER", "revenue")
    monkeypatch.setenv("TOLLGATE_SEGMENTS_URL", sealed.url)
    ended = await run_child("revenue", "seal", beat=lambda: None)
    assert (ended.status, json.loads(ended.output)) == (0, {"segments": 1, "facts": 2})
    ended = await run_child("revenue", "nonsense", beat=lambda: None)
    assert (ended.status, ended.errors) == (2, "no such work: nonsense")
    assert os.environ["TOLLGATE_SEGMENTS_URL"]


async def test_nothing_is_sealed_without_a_key(
    sealed: FolderPlace, sealer: RevenueToolSettings
) -> None:
    with pytest.raises(SealError, match="TOLLGATE_SIGNING_KEY"):
        sealing_of(ORIGIN, sealer.model_copy(update={"signing_key": None}))
    assert len([name for name in sealed.names() if name.startswith("manifest-")]) == 1
