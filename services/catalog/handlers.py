"""What the catalogue does with a message: requests of the gateway, and its own syncs' results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts.deployer.v1 import (
    DeploymentErased,
    DeploymentEvent,
    DeploymentQueued,
    DeploymentSucceeded,
)
from contracts.envelope import Envelope
from contracts.gateway.v1 import FeatureRequested, RatingRequested, SyncRequested
from runtime.refusal import Refusal
from runtime.spans import current_traceparent
from runtime.store import StreamKind
from runtime.work import Command, Message, Needs, Work
from services.catalog.decider.modules import (
    CountStars,
    FeatureModule,
    PutModule,
    WithdrawModule,
    decide_module,
    evolve_module,
)
from services.catalog.decider.ratings import (
    RateDeployment,
    decide_rating,
    evolve_rating,
)
from services.catalog.decider.syncs import (
    FinishSync,
    QueueSync,
    StartSync,
    check_attempt,
    decide_sync,
    evolve_scope,
    evolve_sync,
)
from services.catalog.events import (
    ModuleFact,
    ModuleListed,
    ModuleReport,
    ModuleReread,
    ModuleSource,
    ModuleState,
    ModuleUpdated,
    RatingFact,
    RatingState,
    ScopeFact,
    ScopeState,
    SyncAdmitted,
    SyncFact,
    SyncFinished,
    SyncLeft,
    SyncState,
    scope_stream,
)
from services.catalog.knowledge import DEPLOYMENTS, Deployment
from services.catalog.publishing import (
    publish_module,
    publish_rating,
    publish_scope,
    publish_sync,
    restore_module,
)
from services.catalog.sync_plan import ListedModule, Put, ReadModule, bounded, plan_sync

TOKENS: Final = "sync_token"
TRACES: Final = "sync_trace"
"""The collection of repositories' tokens, sealed, by sync; each is gone once its sync has ended."""

KINDS: Final = (
    StreamKind(
        "module",
        ModuleFact,
        ModuleState,
        lambda _: ModuleState(),
        evolve_module,
        publish_module,
        restore_module,
    ),
    StreamKind("sync", SyncFact, SyncState, lambda _: SyncState(), evolve_sync, publish_sync),
    StreamKind("scope", ScopeFact, ScopeState, lambda _: ScopeState(), evolve_scope, publish_scope),
    StreamKind(
        "rating", RatingFact, RatingState, lambda _: RatingState(), evolve_rating, publish_rating
    ),
)


class SealedToken(msgspec.Struct, frozen=True):
    """A repository's token, sealed for the catalogue."""

    jwe: str


class KeptTrace(msgspec.Struct, frozen=True):
    """The trace that a sync was asked for in, until it has ended."""

    traceparent: str


@dataclass(frozen=True, kw_only=True)
class BeginSync(Command):
    """Begin a sync that waits, or whose process ended."""

    sync_id: str
    partner_id: str | None


@dataclass(frozen=True, kw_only=True)
class ConcludeSync(Command):
    """End an attempt at a sync, with what was read; `listed` is what its scope held by then."""

    sync_id: str
    partner_id: str | None
    attempt: int
    commit: str
    listed: tuple[ListedModule, ...]
    results: tuple[ReadModule, ...]


@dataclass(frozen=True, kw_only=True)
class FailSync(Command):
    """End an attempt at a sync whose repository could not be read."""

    sync_id: str
    partner_id: str | None
    attempt: int
    error: str


class CatalogHandlers:
    """Loads, decides, appends; `wake` is called when a sync has been queued."""

    def __init__(self, *, allow_local: bool, wake: Callable[[], None]) -> None:
        self._allow_local = allow_local
        self._wake = wake

    def needs(self, message: Message) -> Needs:
        """Return the streams of the sync, its scope, and every module that it may change."""
        match message:
            case Envelope(data=SyncRequested() as request):
                return _sync_needs(request.sync_id, request.partner_id)
            case Envelope(data=RatingRequested() as request):
                streams = (rating_stream(request.deployment_id), module_stream(request.module_id))
                return Needs(streams, ((DEPLOYMENTS, request.deployment_id),))
            case Envelope(data=FeatureRequested() as request):
                return Needs((module_stream(request.module_id),))
            case Envelope(data=DeploymentEvent() as event):
                return Needs((), ((DEPLOYMENTS, event.deployment_id),))
            case ConcludeSync():
                needs = _sync_needs(message.sync_id, message.partner_id)
                plan = plan_sync(message.results, message.listed)
                ids = (*(put.module_id for put in plan.puts), *plan.withdrawn)
                modules = tuple(module_stream(module_id) for module_id in ids)
                return Needs(streams=(*needs.streams, *modules), documents=needs.documents)
            case BeginSync() | FailSync():
                return _sync_needs(message.sync_id, message.partner_id)
            case _:
                return Needs()

    def handle(self, message: Message, work: Work) -> None:
        """Do what the message asks for; what is none of our business changes nothing."""
        match message:
            case Envelope(data=SyncRequested() as request):
                self._queue(request, work)
            case Envelope(data=RatingRequested() as request):
                _rate(request, work)
            case Envelope(data=FeatureRequested() as request):
                _feature(request, work)
            case Envelope(data=DeploymentEvent() as event):
                _follow(event, work)
            case BeginSync():
                stream = sync_stream(message.sync_id)
                scope: ScopeState = work.state(scope_stream(message.partner_id))
                start = StartSync(is_first=scope.syncs[:1] == (message.sync_id,))
                facts = decide_sync(start, work.state(stream), work.at(stream))
                _append_sync(work, message.sync_id, message.partner_id, facts)
            case ConcludeSync():
                _conclude(message, work)
            case FailSync():
                _finish(work, message, commit=None, error=message.error, reports=())
            case _:
                return

    def _queue(self, request: SyncRequested, work: Work) -> None:
        stream = sync_stream(request.sync_id)
        scope = scope_stream(request.partner_id)
        scope_state: ScopeState = work.state(scope)
        command = QueueSync(
            scope=request.scope,
            partner_id=request.partner_id,
            repository_url=request.repository_url,
            branch=request.branch,
            requested_by=request.requested_by,
            expires_at=request.expires_at,
            waiting=len(scope_state.syncs),
            allow_local=self._allow_local,
        )
        facts = decide_sync(command, work.state(stream), work.at(stream))
        if not facts:
            return
        work.append(stream, facts, actor=request.requested_by)
        if work.state(stream).status != "WAITING":
            return
        work.append(scope, [SyncAdmitted(sync_id=request.sync_id)], actor=request.requested_by)
        if request.sealed_token is not None:
            work.put(TOKENS, request.sync_id, SealedToken(request.sealed_token))
        traceparent = current_traceparent()
        if traceparent is not None:
            work.put(TRACES, request.sync_id, KeptTrace(traceparent))
        work.effect(self._wake)


def sync_stream(sync_id: str) -> str:
    """Return the name of a sync's stream."""
    return f"sync-{sync_id}"


def module_stream(module_id: str) -> str:
    """Return the name of a module's stream."""
    return f"module-{module_id}"


def rating_stream(deployment_id: str) -> str:
    """Return the name of the stream of a deployment's rating."""
    return f"rating-{deployment_id}"


def _follow(event: DeploymentEvent, work: Work) -> None:
    """Keep of a deployment what its rating needs."""
    known = work.document(DEPLOYMENTS, event.deployment_id, Deployment)
    match event:
        case DeploymentQueued() if known is None:
            known = Deployment(user_id=event.user_id, module_id=event.module_id)
            work.put(DEPLOYMENTS, event.deployment_id, known)
        case DeploymentErased() if known is not None:
            work.delete(DEPLOYMENTS, event.deployment_id)
        case DeploymentSucceeded() if known is not None and not known.succeeded:
            succeeded = msgspec.structs.replace(known, succeeded=True)
            work.put(DEPLOYMENTS, event.deployment_id, succeeded)
        case _:
            return


def _rate(request: RatingRequested, work: Work) -> None:
    stream, module = rating_stream(request.deployment_id), module_stream(request.module_id)
    command = RateDeployment(
        asker=request.requested_by,
        module_id=request.module_id,
        stars=request.stars,
        expires_at=request.expires_at,
    )
    deployment = work.document(DEPLOYMENTS, request.deployment_id, Deployment)
    before: RatingState = work.state(stream)
    try:
        facts = decide_rating(command, deployment, work.at(stream))
    except Refusal as refusal:
        work.refuse(refusal.code, refusal.detail)
        return
    work.append(stream, facts, actor=request.requested_by)
    count = CountStars(request.deployment_id, request.stars, before.stars)
    work.append(module, decide_module(count, work.state(module)), actor=request.requested_by)


def _feature(request: FeatureRequested, work: Work) -> None:
    stream = module_stream(request.module_id)
    command = FeatureModule(request.featured, request.expires_at, work.at(stream))
    try:
        facts = decide_module(command, work.state(stream))
    except Refusal as refusal:
        work.refuse(refusal.code, refusal.detail)
        return
    work.append(stream, facts, actor=request.requested_by)


def _sync_needs(sync_id: str, partner_id: str | None) -> Needs:
    streams = (sync_stream(sync_id), scope_stream(partner_id))
    return Needs(streams=streams, documents=((TOKENS, sync_id),))


def _append_sync(work: Work, sync_id: str, partner_id: str | None, facts: list[SyncFact]) -> None:
    """Append a sync's facts; with the last of them it leaves its scope, and its token goes."""
    work.append(sync_stream(sync_id), facts)
    if any(isinstance(fact, SyncFinished) for fact in facts):
        work.append(scope_stream(partner_id), [SyncLeft(sync_id=sync_id)])
        work.delete(TOKENS, sync_id)
        work.delete(TRACES, sync_id)


def _finish(
    work: Work,
    command: ConcludeSync | FailSync,
    *,
    commit: str | None,
    error: str | None,
    reports: tuple[ModuleReport, ...],
    passed_over: tuple[str, ...] = (),
) -> None:
    stream = sync_stream(command.sync_id)
    finish = FinishSync(
        attempt=command.attempt,
        commit=commit,
        error=error,
        modules=reports,
        passed_over=passed_over,
    )
    facts = decide_sync(finish, work.state(stream), work.at(stream))
    _append_sync(work, command.sync_id, command.partner_id, facts)


def _conclude(command: ConcludeSync, work: Work) -> None:
    sync: SyncState = work.state(sync_stream(command.sync_id))
    check_attempt(sync, command.attempt)
    plan = plan_sync(command.results, command.listed)
    live = {module.module_id: module.live_deployments for module in command.listed}
    told = [
        *plan.reports,
        *[_put(work, sync, put) for put in plan.puts],
        *[_withdraw(work, module_id) for module_id in plan.withdrawn],
    ]
    reports = [
        msgspec.structs.replace(each, live_deployments=live.get(each.module_id or "", 0))
        for each in told
    ]
    listed = [
        ModuleListed(name=put.found.content.definition.name, module_id=put.module_id)
        for put in plan.puts
        if put.is_new
    ]
    work.append(scope_stream(command.partner_id), listed)
    _finish(
        work,
        command,
        commit=command.commit,
        error=None,
        reports=bounded(reports),
        passed_over=plan.passed_over,
    )


def _put(work: Work, sync: SyncState, put: Put) -> ModuleReport:
    stream = module_stream(put.module_id)
    before: ModuleState = work.state(stream)
    source: ModuleSource = "admin" if sync.scope == "platform" else "partner"
    content = put.found.content
    facts = decide_module(PutModule(source, sync.partner_id, content), before)
    work.append(stream, facts)
    updated = next((fact for fact in facts if isinstance(fact, ModuleUpdated)), None)
    is_same = all(isinstance(fact, ModuleReread) for fact in facts)
    after: ModuleState = work.state(stream)
    return ModuleReport(
        path=content.path,
        name=content.definition.name,
        outcome="UPDATED" if updated else "UNCHANGED" if is_same else "PUBLISHED",
        module_id=put.module_id,
        version=after.version,
        problems=put.found.warnings,
        changes=updated.changes if updated else (),
    )


def _withdraw(work: Work, module_id: str) -> ModuleReport:
    stream = module_stream(module_id)
    state: ModuleState = work.state(stream)
    work.append(stream, decide_module(WithdrawModule(), state))
    content = state.content
    return ModuleReport(
        path=content.path if content else "",
        name=content.definition.name if content else module_id,
        outcome="WITHDRAWN",
        module_id=module_id,
        version=state.version,
    )
