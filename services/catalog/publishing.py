"""What others are told of a stored fact: the only translation of facts into messages."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, assert_never

import msgspec

from contracts.catalog import v1
from contracts.events import Event
from runtime.store import Recorded
from services.catalog.definition import Definition
from services.catalog.events import (
    Content,
    ModuleFact,
    ModuleFeatured,
    ModulePublished,
    ModuleRated,
    ModuleReport,
    ModuleReread,
    ModuleUnfeatured,
    ModuleUpdated,
    ModuleWithdrawn,
    RatingFact,
    ScopeFact,
    SyncFact,
    SyncFinished,
    SyncQueued,
    SyncStarted,
)

_SHORT_MAX: Final = 500
_LONG_MAX: Final = 20_000


def publish_module(record: Recorded[ModuleFact]) -> Sequence[Event]:
    """Return what is said of a module."""
    match record.fact:
        case ModulePublished() as fact:
            return [v1.ModulePublished(**_published(record, fact))]
        case ModuleUpdated() as fact:
            changes = tuple(
                v1.Change(variable=each.variable, change=each.change, breaking=each.breaking)
                for each in fact.changes
            )
            return [v1.ModuleUpdated(**_published(record, fact), changes=changes)]
        case ModuleWithdrawn():
            return [v1.ModuleWithdrawn(module_id=_id(record.stream), withdrawn_at=record.at)]
        case ModuleReread():
            return []
        case ModuleRated() as fact:
            return [
                v1.ModuleRated(
                    module_id=_id(record.stream),
                    deployment_id=fact.deployment_id,
                    stars=fact.stars,
                    rating_sum=fact.rating_sum,
                    rating_count=fact.rating_count,
                    rated_at=record.at,
                )
            ]
        case ModuleFeatured():
            return [v1.ModuleFeatured(module_id=_id(record.stream), featured_at=record.at)]
        case ModuleUnfeatured():
            return [v1.ModuleUnfeatured(module_id=_id(record.stream), unfeatured_at=record.at)]
        case _:
            assert_never(record.fact)


def _published(
    record: Recorded[ModuleFact], fact: ModulePublished | ModuleUpdated
) -> dict[str, Any]:
    content: Content = fact.content
    return {
        "module_id": _id(record.stream),
        "source": fact.source,
        "partner_id": fact.partner_id,
        "module_version": fact.version,
        "definition": published_definition(content.definition),
        "repository": content.repository,
        "path": content.path,
        "commit": content.commit,
        "archive_digest": content.archive_digest,
        "archive_folder": content.archive_folder,
        "fingerprint": content.fingerprint,
        "fingerprint_paths": content.fingerprint_paths,
        "published_at": record.at,
    }


def restore_module(_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the fact that a message of a module tells."""
    content = {each: data[each] for each in Content.__struct_fields__ if each in data}
    return {**data, "version": data.get("module_version"), "content": content}


def published_definition(definition: Definition) -> v1.Definition:
    """Return the definition as others read it."""
    fields = msgspec.structs.asdict(definition)
    fields["variables"] = tuple(
        v1.Variable(
            **{
                **msgspec.structs.asdict(variable),
                "validations": tuple(
                    v1.Validation(**msgspec.structs.asdict(each)) for each in variable.validations
                ),
            }
        )
        for variable in definition.variables
    )
    fields["outputs"] = tuple(
        v1.Output(**msgspec.structs.asdict(output)) for output in definition.outputs
    )
    return v1.Definition(**fields)


def publish_sync(record: Recorded[SyncFact]) -> Sequence[Event]:
    """Return what is said of a sync: how it ended."""
    match record.fact:
        case SyncFinished() as fact:
            return [
                v1.SyncFinished(
                    sync_id=_id(record.stream),
                    scope=fact.scope,
                    partner_id=fact.partner_id,
                    status=fact.status,
                    commit=fact.commit,
                    error=None if fact.error is None else _cut(fact.error, _LONG_MAX),
                    modules=tuple(_report(report) for report in fact.modules),
                    passed_over=tuple(_cut(path or ".", _SHORT_MAX) for path in fact.passed_over),
                    started_at=fact.started_at,
                    finished_at=record.at,
                )
            ]
        case SyncQueued() | SyncStarted():
            return []
        case _:
            assert_never(record.fact)


def publish_rating(_: Recorded[RatingFact]) -> Sequence[Event]:
    """Return nothing: what a rating comes to, its module says."""
    return []


def publish_scope(_: Recorded[ScopeFact]) -> Sequence[Event]:
    """Return nothing: what a scope holds, its modules say themselves."""
    return []


def _report(report: ModuleReport) -> v1.ModuleReport:
    return v1.ModuleReport(
        path=_cut(report.path or ".", _SHORT_MAX),
        name=_cut(report.name, _SHORT_MAX),
        outcome=report.outcome,
        module_id=report.module_id,
        module_version=report.version,
        problems=tuple(
            v1.FileProblem(
                file=_cut(problem.file, _SHORT_MAX),
                line=problem.line,
                message=_cut(problem.message, _LONG_MAX),
            )
            for problem in report.problems
        ),
        changes=tuple(
            v1.Change(variable=each.variable, change=each.change, breaking=each.breaking)
            for each in report.changes
        ),
        live_deployments=report.live_deployments,
    )


def _id(stream: str) -> str:
    return stream.partition("-")[2]


def _cut(text: str, length_max: int) -> str:
    """Return the text as a message can carry it: what strangers wrote may hold anything."""
    clean = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return clean if len(clean) <= length_max else clean[: length_max - 1] + "…"
