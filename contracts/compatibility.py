"""The gate that keeps released contracts as they are: `python -m contracts.compatibility`.

`released.json` says what is released: each contract's subject, and the digests of its schema's
shape and of its golden example. **Released means that some running system may have such a message
in its streams.** Nothing in the list ever changes or goes, in all of git's history; things are
added to it by `python -m contracts.compatibility release`, with each release of Tollgate.

No change of a released version is compatible, not even a new optional field: readers of the
release before refuse fields they do not know. So the shapes must be equal, and what must change
becomes a next version. Its class starts with `sent = False`; only once a committed `released.json`
names it, so that every reader of a release knows it, may it be sent.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contracts import export
from contracts.export import Contract, JsonObject
from contracts.registry import REGISTRY
from contracts.shapes import differences, digest_of, shape_of

GIT_SECONDS_MAX: Final = 30
HISTORY_MAX: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Release:
    """What of a contract may not change."""

    subject: str
    schema: str
    example: str


Released = Mapping[str, Release]


@dataclass(frozen=True)
class Past:
    """The list of releases at an earlier commit, and the schemas of then by their path."""

    released: Released
    schema: Callable[[str], JsonObject | None]


@dataclass(frozen=True)
class Present:
    """All that is agreed on now: from the classes, and from the files beside them."""

    contracts: Sequence[Contract]
    stale_schemas: Mapping[str, str | None]
    examples: Mapping[str, JsonObject]
    released: Released


def problems(present: Present, pasts: Sequence[Past]) -> list[str]:
    """Return everything that keeps this state from being accepted; `pasts` has the oldest first."""
    return [
        *_file_problems(present),
        *_release_problems(present),
        *_history_problems(present, pasts),
        *_switch_problems(present, pasts),
    ]


def release(present: Present) -> dict[str, Release]:
    """Return the list of releases with all that is not in it yet."""
    return dict(present.released) | {
        contract.name: _release_of(contract, present.examples[contract.path])
        for contract in present.contracts
        if contract.name not in present.released
    }


def _release_of(contract: Contract, example: JsonObject) -> Release:
    return Release(
        subject=contract.subject,
        schema=digest_of(shape_of(contract.schema)),
        example=digest_of(example),
    )


def _file_problems(present: Present) -> Iterator[str]:
    for path, text in sorted(present.stale_schemas.items()):
        if text is None:
            yield f"schemas/{path}: an orphan, no class says this"
        else:
            yield f"schemas/{path}: not what the class says; run python -m contracts.export"
    paths = {contract.path for contract in present.contracts}
    for path in sorted(paths - present.examples.keys()):
        yield f"examples/{path}: missing; every contract has a golden example"
    for path in sorted(present.examples.keys() - paths):
        yield f"examples/{path}: an orphan, no class says this"


def _release_problems(present: Present) -> Iterator[str]:
    contracts = {contract.name: contract for contract in present.contracts}
    for name, released in sorted(present.released.items()):
        contract = contracts.get(name)
        if contract is None:
            yield f"{name}: released, and its class is gone"
            continue
        if contract.path not in present.examples:
            continue
        now = _release_of(contract, present.examples[contract.path])
        for what, before, after in (
            ("subject", released.subject, now.subject),
            ("schema", released.schema, now.schema),
            ("example", released.example, now.example),
        ):
            if before != after:
                yield f"{name}: released, and its {what} is another now; make a next version"


def _history_problems(present: Present, pasts: Sequence[Past]) -> Iterator[str]:
    """Yield what was released once and is not so any more, and how a schema differs from then."""
    contracts = {contract.name: contract for contract in present.contracts}
    told: set[str] = set()
    for past in pasts:
        for name, released in sorted(past.released.items()):
            if name in told:
                continue
            told.add(name)
            if present.released.get(name) != released:
                yield f"{name}: released once, and released.json does not say so as it did"
            if name in contracts:
                yield from _shape_changes(contracts[name], past.schema(contracts[name].path))


def _shape_changes(contract: Contract, before: JsonObject | None) -> Iterator[str]:
    if before is not None:
        for difference in differences(shape_of(before), shape_of(contract.schema)):
            yield f"{contract.name}: {difference}"


def _switch_problems(present: Present, pasts: Sequence[Past]) -> Iterator[str]:
    known = {name for past in pasts for name in past.released}
    for contract in present.contracts:
        if contract.sent and contract.version > 1 and contract.name not in known:
            yield f"{contract.name}: sent before a release taught readers about it"


def read_present(home: Path) -> Present:
    """Return what is agreed on in this release; `home` holds its schemas, examples and list."""
    contracts = export.contracts_of(REGISTRY)
    return Present(
        contracts=contracts,
        stale_schemas=export.drift(contracts, home / "schemas"),
        examples={
            file.relative_to(home / "examples").as_posix(): json.loads(file.read_bytes())
            for file in (home / "examples").rglob("*.json")
        },
        released=_parse((home / "released.json").read_text(encoding="utf-8")),
    )


def read_history(home: Path) -> list[Past]:
    """Return every committed state of the list, the oldest first; nothing outside of git.

    `ChildProcessError` where git fails, `subprocess.TimeoutExpired` where it takes over 30 s.
    """
    if not any((folder / ".git").exists() for folder in (home, *home.parents)):
        return []
    log = _git(home, "log", "--format=%H", f"--max-count={HISTORY_MAX}", "--", "released.json")
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

    return Past(_parse(committed("released.json") or "{}"), schema)


def _parse(text: str) -> dict[str, Release]:
    records: dict[str, dict[str, Any]] = json.loads(text)
    return {name: Release(**record) for name, record in records.items()}


def _git(home: Path, *arguments: str) -> str:
    command = ("git", *arguments)
    done = subprocess.run(  # noqa: S603 - our own arguments, and no shell
        command, cwd=home, capture_output=True, timeout=GIT_SECONDS_MAX, check=False
    )
    if done.returncode != 0:
        raise ChildProcessError(f"{' '.join(command)}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def main(arguments: Sequence[str]) -> int:
    """Tell what is wrong, or release; 0 good, 1 something is wrong, 2 bad usage."""
    if arguments not in ([], ["release"]):
        sys.stderr.write("usage: python -m contracts.compatibility [release]\n")
        return 2
    present = read_present(export.HOME)
    wrong = problems(present, read_history(export.HOME))
    sys.stdout.writelines(f"{problem}\n" for problem in wrong)
    if wrong:
        return 1
    if arguments:
        records = {name: asdict(record) for name, record in sorted(release(present).items())}
        (export.HOME / "released.json").write_text(export.text_of(records), encoding="utf-8")
        for name in sorted(records.keys() - present.released.keys()):
            sys.stdout.write(f"released {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
