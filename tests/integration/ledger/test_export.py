"""An auditor can check everything with the files they are given, by a program of their own."""

import ast
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from runtime.clock import ManualClock
from runtime.segments.export import ExportError, export
from runtime.segments.manifest import manifest_name
from runtime.segments.places import FolderPlace
from runtime.segments.sealer import SealError
from services.ledger.replay import verify
from services.ledger.sealing.origin import ORIGIN
from services.ledger.sealing.verification import verify_segments
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.history import a_history
from tests.integration.ledger.sealed import Sealer
from tests.support.environment import Database

PROGRAM = Path(__file__).parents[3] / "examples" / "audit" / "check_segments.py"
LINES_MAX = 40


@pytest_asyncio.fixture
async def sealer(ledger: Ledger, database: Database, clock: ManualClock, tmp_path: Path) -> Sealer:
    """Give a ledger that is sealed by two keys, but for the last two facts."""
    sealer = Sealer.of(database, clock, tmp_path / "segments", facts_max=9)
    await a_history(ledger, clock)
    await sealer.seal()
    sealer.rotate()
    await ledger.award("user-1", 2)
    await sealer.seal()
    await ledger.award("user-1", 3, reason='a \t \x01 ü \u2028 \U0001f600 \\ " reason')
    await ledger.award("user-2", 4)
    return sealer


@pytest_asyncio.fixture
async def exported(database: Database, sealer: Sealer, tmp_path: Path) -> Path:
    """Give the folder that an auditor gets."""
    folder = tmp_path / "export"
    made = await export(ORIGIN, database.dsn, sealer.sealing.place, sealer.keys, folder)
    assert made == (len(sealer.manifests()), 2)
    return folder


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the auditor's program, where nothing of ours can be imported."""
    return subprocess.run(
        [sys.executable, "-I", PROGRAM, folder],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_the_auditors_program_finds_the_same_head_as_verification(
    database: Database, exported: Path
) -> None:
    found = audit(exported)
    assert found.returncode == 0, found.stderr
    head = (await verify(database.dsn)).head
    assert found.stdout == f"head {head}\n"


async def test_an_export_is_verified_without_a_database(
    database: Database, exported: Path, sealer: Sealer
) -> None:
    tables = await verify(database.dsn)
    files = verify_segments(FolderPlace(exported), sealer.keys)
    assert (files.ok, files.events, files.head) == (True, tables.events, tables.head)


def test_the_auditors_program_is_short_and_imports_nothing_of_ours() -> None:
    tree = ast.parse(PROGRAM.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in names} & {"contracts", "runtime", "services"}
    body = PROGRAM.read_text().partition("FOLDER = ")[2].splitlines()
    assert len([line for line in body if line.strip()]) <= LINES_MAX


@pytest.mark.parametrize("name", ["segment", "manifest"])
@pytest.mark.parametrize("place", [9, 0.3, 0.6, -9])
async def test_the_auditors_program_finds_a_byte_that_was_changed(
    exported: Path, name: str, place: float
) -> None:
    [path, *_] = sorted(exported.glob(f"{name}*"))
    content = bytearray(path.read_bytes())
    content[place if isinstance(place, int) else int(place * len(content))] ^= 1
    path.write_bytes(content)
    assert audit(exported).returncode != 0


async def test_the_auditors_program_finds_a_fact_that_was_changed_and_is_not_sealed_yet(
    exported: Path,
) -> None:
    path = exported / "tail.parquet"
    table = pq.read_table(path)
    actors = pa.array(["x"] * table.num_rows, pa.string())
    place = table.schema.get_field_index("actor")
    pq.write_table(table.set_column(place, table.schema.field("actor"), actors), path)
    found = audit(exported)
    assert found.returncode == 1
    assert "wallet-user-1 15 in tail.parquet does not fit" in found.stderr


async def test_an_export_goes_into_an_empty_folder_only(
    database: Database, exported: Path, sealer: Sealer
) -> None:
    with pytest.raises(ExportError, match="is not empty"):
        await export(ORIGIN, database.dsn, sealer.sealing.place, sealer.keys, exported)


async def test_a_segment_that_was_changed_is_not_handed_on(
    database: Database, sealer: Sealer, tmp_path: Path
) -> None:
    path = sealer.folder / sealer.manifests()[1].manifest.segment
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(SealError, match="is not what was sealed"):
        await export(ORIGIN, database.dsn, sealer.sealing.place, sealer.keys, tmp_path / "export")
    assert not (tmp_path / "export" / "keys.json").exists()
    assert not (tmp_path / "export" / manifest_name(2)).exists()
