"""The house's own rules, those that no linter knows."""

import re
import subprocess
from pathlib import Path

import pytest

from contracts.registry import SERVICES

ROOT = Path(__file__).resolve().parents[1]
LINES_MAX = 400
IN_EVERY_SERVICE = (
    "__init__.py",
    "main.py",
    "settings.py",
    "handlers.py",
    "decider.py",
    "events.py",
    "publishing.py",
    "projections",
    "migrations",
)
BANNED_FOLDERS = {"common", "utils", "util", "helpers", "core", "misc"}
BANNED_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|placeholder)\b")
BROAD_SILENCE = re.compile(r"except( Exception| BaseException)?:\s*\n\s*pass\b")
REGISTRY_ADDRESS = re.compile(r"https?://[^\s\"']*(pypi\.|registry\.npmjs|pythonhosted)", re.IGNORECASE)
TEXT = {".py", ".md", ".sql", ".toml", ".yml", ".yaml", ".tf", ".json", ".lock", ".html", ".sh"}


def tracked() -> list[Path]:
    """Return what is in the repository, or will be: not what Git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    files = [ROOT / name for name in listed.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


FILES = tracked()
PYTHON = [file for file in FILES if file.suffix == ".py"]
TEXTS = [file for file in FILES if file.suffix in TEXT or file.name in {"Makefile", "run"}]


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_no_module_is_longer_than_can_be_read() -> None:
    long = {name(f): n for f in PYTHON if (n := len(f.read_text().splitlines())) > LINES_MAX}
    assert long == {}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    there = {path.name for path in (ROOT / "services" / service).iterdir()}
    assert set(IN_EVERY_SERVICE) - there == set()


def test_no_folder_is_a_drawer_for_everything() -> None:
    found = {name(f) for f in PYTHON if BANNED_FOLDERS & set(f.relative_to(ROOT).parts[:-1])}
    assert found == set()


def test_nothing_is_left_for_later() -> None:
    here = Path(__file__)
    found = {name(f) for f in PYTHON if f != here and BANNED_WORDS.search(f.read_text())}
    assert found == set()


def test_no_exception_is_swallowed_whole() -> None:
    assert {name(f) for f in PYTHON if BROAD_SILENCE.search(f.read_text())} == set()


def test_no_file_names_a_package_registry_or_this_machine() -> None:
    found = {
        name(f)
        for f in TEXTS
        if REGISTRY_ADDRESS.search(text := f.read_text(errors="replace")) or str(ROOT) + "/" in text
    }
    assert found == set()


@pytest.mark.parametrize("package", ["runtime", *(f"services/{s}" for s in SERVICES)])
def test_migrations_are_numbered_without_a_gap(package: str) -> None:
    files = sorted((ROOT / package / "migrations").glob("*.sql"))
    assert [int(f.name[:4]) for f in files] == list(range(1, len(files) + 1))
    assert files != []
