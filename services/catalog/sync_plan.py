"""What a reading of a repository means for the modules of its scope.

Names are unique in a scope. Where two directories claim one name, the one that has it keeps it,
else the first by path; the other is refused. A module whose directory is refused stays as it was;
one whose directory no longer holds it is withdrawn.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from services.catalog.definition import Problem
from services.catalog.events import Change, Content, ModuleReport

REPORT_CHARACTERS_MAX: Final = 1_500_000
"""A report travels in one message."""
CHANGES_MAX: Final = 200
PASSED_OVER_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class ListedModule:
    """A module of the scope, and how many of its deployments own resources, as the sync began."""

    name: str
    module_id: str
    path: str
    version: int
    withdrawn: bool
    live_deployments: int = 0


@dataclass(frozen=True, slots=True)
class FoundModule:
    """A directory that was read as a module; `new_id` is for it if its name is not known yet."""

    path: str
    content: Content
    warnings: tuple[Problem, ...]
    new_id: str


@dataclass(frozen=True, slots=True)
class SameModule:
    """A directory whose module has not changed."""

    path: str


@dataclass(frozen=True, slots=True)
class RefusedModule:
    """A directory that cannot be read as the module it means to be."""

    path: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class NotModule:
    """A directory with Terraform files that is no module."""

    path: str


ReadModule = FoundModule | SameModule | RefusedModule | NotModule


@dataclass(frozen=True, slots=True)
class Put:
    """A module that is to be what was found."""

    module_id: str
    is_new: bool
    found: FoundModule


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: modules put or withdrawn (by id), and what the report says of others.

    `passed_over` are the first `PASSED_OVER_MAX` directories by path that are no modules.
    """

    puts: tuple[Put, ...]
    withdrawn: tuple[str, ...]
    reports: tuple[ModuleReport, ...]
    passed_over: tuple[str, ...] = ()


def plan_sync(results: Sequence[ReadModule], listed: Sequence[ListedModule]) -> Plan:
    """Return the plan for a scope that holds the listed modules."""
    ids = {module.name: module.module_id for module in listed}
    at_path = {module.path: module for module in listed if not module.withdrawn}
    reports: list[ModuleReport] = []
    held: set[str] = set()
    holders: dict[str, str] = {}
    for result in results:
        known = at_path.get(result.path)
        match result:
            case SameModule() if known is not None:
                held.add(known.name)
                holders[known.name] = known.path
                reports.append(_unchanged(known))
            case RefusedModule(path=path, problems=problems):
                name = (posixpath.basename(path) or ".") if known is None else known.name
                if known is not None:
                    held.add(known.name)
                reports.append(
                    ModuleReport(path=path, name=name, outcome="REFUSED", problems=problems)
                )
            case _:
                continue
    found = [result for result in results if isinstance(result, FoundModule)]
    puts, clashes = _allotted(found, ids, at_path, holders)
    held.update(put.found.content.definition.name for put in puts)
    gone = [module for module in at_path.values() if module.name not in held]
    return Plan(
        puts=puts,
        withdrawn=tuple(sorted(module.module_id for module in gone)),
        reports=(*reports, *clashes),
        passed_over=first_passed_over(results),
    )


def first_passed_over(results: Iterable[ReadModule]) -> tuple[str, ...]:
    """Return the first directories by path that are no modules."""
    return tuple(sorted(r.path for r in results if isinstance(r, NotModule))[:PASSED_OVER_MAX])


def _unchanged(module: ListedModule) -> ModuleReport:
    return ModuleReport(
        path=module.path,
        name=module.name,
        outcome="UNCHANGED",
        module_id=module.module_id,
        version=module.version,
    )


def _allotted(
    found: Iterable[FoundModule],
    ids: Mapping[str, str],
    at_path: Mapping[str, ListedModule],
    holders: dict[str, str],
) -> tuple[tuple[Put, ...], list[ModuleReport]]:
    """Give each name to one directory; tell the others who has it."""

    def has_it(result: FoundModule) -> bool:
        known = at_path.get(result.path)
        return known is not None and known.name == result.content.definition.name

    puts: list[Put] = []
    clashes: list[ModuleReport] = []
    for result in sorted(found, key=lambda each: (not has_it(each), each.path)):
        name = result.content.definition.name
        if name in holders:
            message = f"the name `{name}` is taken by `{holders[name] or '.'}`"
            clashes.append(
                ModuleReport(
                    path=result.path,
                    name=name,
                    outcome="REFUSED",
                    problems=(Problem(file=".", line=0, message=message),),
                )
            )
            continue
        holders[name] = result.path
        puts.append(Put(ids.get(name, result.new_id), name not in ids, result))
    return tuple(puts), clashes


def bounded(reports: Sequence[ModuleReport]) -> tuple[ModuleReport, ...]:
    """Return the reports by path, cut to what one message can carry, and saying so."""
    left = REPORT_CHARACTERS_MAX
    kept: list[ModuleReport] = []
    for report in sorted(reports, key=lambda each: (each.path, each.name)):
        whole = msgspec.structs.replace(report, changes=_first_changes(report.changes))
        left -= len(msgspec.json.encode(whole))
        if left < 0:
            message = "more could be said, but this sync's report is too long"
            note = Problem(file=".", line=0, message=message)
            whole = msgspec.structs.replace(report, problems=(note,), changes=())
        kept.append(whole)
    return tuple(kept)


def _first_changes(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    if len(changes) <= CHANGES_MAX:
        return changes
    breaking_first = sorted(changes, key=lambda change: not change.breaking)
    return tuple(breaking_first[:CHANGES_MAX])
