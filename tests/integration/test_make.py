"""`make` says what a machine lacks, in words, and leaves no half-made environment."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS_MAX: Final = 60
WEB: Final = Path("services/gateway/web")
NEEDED: Final = (
    *("Makefile", "pyproject.toml", "requirements-dev.lock"),
    *(str(WEB / "package.json"), str(WEB / "package-lock.json")),
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what `make setup` looks at."""
    (tmp_path / WEB).mkdir(parents=True)
    for name in NEEDED:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ("make", *words),
        cwd=checkout,
        env=clean,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def python(checkout: Path, script: str) -> str:
    """Return a stand-in for the machine's Python."""
    program = checkout / "machines-python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"PYTHON={program}"


def test_an_older_python_is_named_and_refused(checkout: Path) -> None:
    old = python(checkout, 'test "$1" = --version && echo Python 3.10.12 && exit 0; exit 1')
    told = make(checkout, "setup", old)
    assert told.returncode != 0
    assert "needs Python 3.11 or newer" in told.stderr
    assert "Python 3.10.12" in told.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_told_apart(checkout: Path) -> None:
    bare = python(checkout, 'test "$1" = -c && exit 0; mkdir -p .venv/bin; exit 1')
    told = make(checkout, "setup", bare)
    assert told.returncode != 0
    assert "python3-venv" in told.stderr
    assert not (checkout / ".venv").exists()


def test_help_needs_no_environment_and_lists_the_targets(checkout: Path) -> None:
    told = make(checkout)
    assert told.returncode == 0
    assert [line.split()[0] for line in told.stdout.splitlines()[:3]] == ["help", "setup", "up"]
    assert not (checkout / ".venv").exists()


def test_the_environment_is_made_once(checkout: Path) -> None:
    for made in (".venv/.installed", f"{WEB}/node_modules/.package-lock.json"):
        (checkout / made).parent.mkdir()
        (checkout / made).touch()
    told = make(checkout, "setup", python(checkout, "exit 1"))
    assert told.returncode == 0
    assert "Nothing to be done" in told.stdout
