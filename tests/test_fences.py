"""The fences stand, and each of them falls when it is broken: a fence that permits is none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("contracts", "runtime", "services", "devkit", "tollgate")

BREACHES = [
    ("Services never import each other", "services/ledger/handlers.py", "services.revenue.decider"),
    (
        "Services stand on the runtime, and the runtime on contracts",
        "services/ledger/handlers.py",
        "devkit.postgres",
    ),
    (
        "The runtime imports of contracts only the envelope and the base of messages",
        "runtime/work.py",
        "contracts.ledger.v1",
    ),
    (
        "Deciders, stored facts and contracts import no input and no output",
        "services/ledger/decider.py",
        "asyncpg",
    ),
    (
        "Deciders, stored facts and contracts import no input and no output",
        "contracts/types.py",
        "socket",
    ),
    ("Only one module knows HCL's parser", "services/deployer/handlers.py", "hcl2"),
    (
        "Services reach NATS and Postgres' wire only through the runtime",
        "services/ledger/handlers.py",
        "nats",
    ),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of the packages, to be broken."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )


def test_the_fences_stand(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("fence", "file", "breach"), BREACHES)
def test_a_breach_is_seen(tree: Path, fence: str, file: str, breach: str) -> None:
    path = tree / file
    path.write_text(f"import {breach}\n{path.read_text()}")
    result = lint(tree)
    assert result.returncode != 0
    assert f"{fence} BROKEN" in result.stdout
