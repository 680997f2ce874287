"""The gate that keeps released contracts as they are: `tollgate schemas --check`.

`released.json` says what is released: each contract's subject, and the digests of its schema's
shape and of its golden example. **Released means that some running system may have such a message
in its streams.** Nothing in the list ever changes or goes, in all of git's history; things are
added to it by `tollgate schemas --release`, with each release of Tollgate.

No change of a released version is compatible, not even a new optional field: readers of the
release before refuse fields they do not know. So the shapes must be equal, and what must change
becomes a next version. Its class starts with `sent = False`; only once a committed `released.json`
names it, so that every reader of a release knows it, may it be sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contracts.export import Contract, JsonObject
from contracts.shapes import differences, digest_of, shape_of


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
            yield f"schemas/{path}: not what the class says; run tollgate schemas"
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
