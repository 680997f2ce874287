"""What is agreed on, read from the working tree and from git, for `contracts.compatibility`."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from contracts import compatibility, export
from contracts.compatibility import Past, Present, Release
from contracts.export import JsonObject
from contracts.registry import REGISTRY

GIT_SECONDS_MAX: Final = 30
HISTORY_MAX: Final = 1_000
LIST: Final = "released.json"


def problems(home: Path = export.HOME) -> list[str]:
    """Return everything that keeps the contracts in a folder from being accepted."""
    return compatibility.problems(read_present(home), read_history(home))


def release(home: Path = export.HOME) -> list[str]:
    """Add what is not released yet to the list; return the names that were added.

    Only where there are no `problems`; what this adds can never be taken back.
    """
    present = read_present(home)
    released = compatibility.release(present)
    records = {name: asdict(record) for name, record in sorted(released.items())}
    (home / LIST).write_text(export.text_of(records), encoding="utf-8")
    return sorted(released.keys() - present.released.keys())


def read_present(home: Path) -> Present:
    """Return what is agreed on now; `home` holds the schemas, the examples and the list."""
    contracts = export.contracts_of(REGISTRY)
    return Present(
        contracts=contracts,
        stale_schemas=export.drift(contracts, home / "schemas"),
        examples={
            file.relative_to(home / "examples").as_posix(): json.loads(file.read_bytes())
            for file in (home / "examples").rglob("*.json")
        },
        released=_parse((home / LIST).read_text(encoding="utf-8")),
    )


def read_history(home: Path) -> list[Past]:
    """Return every committed state of the list, the oldest first; nothing outside of git.

    `ChildProcessError` where git fails, `subprocess.TimeoutExpired` where it takes over 30 s.
    """
    if not any((folder / ".git").exists() for folder in (home, *home.parents)):
        return []
    log = _git(home, "log", "--format=%H", f"--max-count={HISTORY_MAX}", "--", LIST)
    return [_past(home, commit) for commit in reversed(log.split())]


def _past(home: Path, commit: str) -> Past:
    def committed(path: str) -> str | None:
        if not _git(home, "ls-tree", "--name-only", commit, f"./{path}"):
            return None
        return _git(home, "show", f"{commit}:./{path}")

    def schema(path: str) -> JsonObject | None:
        text = committed(f"schemas/{path}")
        parsed: JsonObject | None = None if text is None else json.loads(text)
        return parsed

    return Past(_parse(committed(LIST) or "{}"), schema)


def _parse(text: str) -> dict[str, Release]:
    records: dict[str, dict[str, Any]] = json.loads(text)
    return {name: Release(**record) for name, record in records.items()}


def _git(home: Path, *arguments: str) -> str:
    command = ("git", *arguments)
    done = subprocess.run(
        command, cwd=home, capture_output=True, timeout=GIT_SECONDS_MAX, check=False
    )
    if done.returncode != 0:
        raise ChildProcessError(f"{' '.join(command)}: {done.stderr.decode().strip()}")
    return done.stdout.decode()
