"""What the deployer does with a message: one deployment's stream, locked, decided, appended to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import asyncpg
import msgspec

from contracts.catalog import v1 as catalog
from contracts.envelope import Envelope
from contracts.events import Problem
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from runtime.refusal import Refusal
from runtime.sealing import DataKey, SealingError
from runtime.work import Command, Message, Needs, Work
from services.deployer import commands, decider, subscribers
from services.deployer.builds import LeaseTokens, close_log, erase_builds, give_lease
from services.deployer.events import (
    BuildCancelled,
    BuildEnd,
    BuildSucceeded,
    Deployment,
    DeploymentFact,
    DeploymentRefused,
    RetryRefused,
)
from services.deployer.knowledge import (
    DATA_KEY,
    MODULE,
    MODULE_VERSION,
    RETENTION,
    Module,
    ModuleVersion,
    Retention,
    module_of,
    version_key,
)
from services.deployer.knowledge import DataKey as KeptDataKey
from services.deployer.metrics import BUILD_SECONDS, outcome_of

ACTOR = "deployer"

Change = (
    gateway.DeploymentCancelRequested
    | gateway.DeploymentUpdateRequested
    | gateway.DeploymentDestroyRequested
    | gateway.DeploymentRetryRequested
)
"""What may be asked of a deployment that is there."""


@dataclass(frozen=True, kw_only=True)
class ClaimBuild(Command):
    """Give a queued build to a runner that will prove itself by these tokens."""

    deployment_id: str
    build_id: str
    executor: str
    tokens: LeaseTokens = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ReassignBuild(Command):
    """Give a build that the runner of this attempt never came for to another one."""

    deployment_id: str
    build_id: str
    attempt: int
    tokens: LeaseTokens = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class EndBuild(Command):
    """End a build's attempt."""

    deployment_id: str
    end: commands.End


@dataclass(frozen=True, kw_only=True)
class EraseDeployment(Command):
    """Forget a deployment whose last build, this one, has ended too long ago."""

    deployment_id: str
    build_id: str


class DeployerHandlers:
    """Turns requests, modules and holds into commands for deployments."""

    def __init__(self, *, sealing_key: str, master_key: DataKey, wake: Callable[[], None]) -> None:
        self._sealing_key = sealing_key
        self._master_key = master_key
        self._wake = wake

    def needs(self, message: Message) -> Needs:
        """Return the deployment a message is about, and what the decision rests on."""
        match message:
            case ClaimBuild() | ReassignBuild() | EndBuild() | EraseDeployment():
                return Needs(streams=(deployment_stream(message.deployment_id),))
            case Envelope(data=gateway.DeploymentRequested() as request):
                version = version_key(request.module_id, request.module_version or 0)
                return Needs(
                    (deployment_stream(request.deployment_id),),
                    ((MODULE, request.module_id), (MODULE_VERSION, version)),
                )
            case Envelope(data=gateway.DeploymentUpdateRequested() as request):
                version = version_key(request.module_id, request.module_version)
                return Needs(
                    (deployment_stream(request.deployment_id),),
                    (
                        (MODULE, request.module_id),
                        (MODULE_VERSION, version),
                        (DATA_KEY, request.deployment_id),
                    ),
                )
            case Envelope(data=gateway.DeploymentRetryRequested() as request):
                return Needs(
                    (deployment_stream(request.deployment_id),), ((MODULE, request.module_id),)
                )
            case Envelope(
                data=(
                    gateway.DeploymentCancelRequested() | gateway.DeploymentDestroyRequested()
                ) as request
            ):
                return Needs((deployment_stream(request.deployment_id),))
            case Envelope(data=ledger.HoldPlaced() as event):
                return Needs((deployment_stream(event.hold.deployment_id),))
            case Envelope(data=ledger.HoldRefused() as event):
                return Needs((deployment_stream(event.deployment_id),))
            case Envelope(data=catalog.ModuleWithdrawn() as event):
                return Needs((), ((MODULE, event.module_id),))
            case _:
                return Needs()

    def handle(self, message: Message, work: Work) -> None:
        """Carry the message out on its deployment."""
        match message:
            case ClaimBuild():
                start = commands.Start(build_id=message.build_id, executor=message.executor)
                _give(message, start, work)
            case ReassignBuild():
                again = commands.Reassign(build_id=message.build_id, attempt=message.attempt)
                _give(message, again, work)
            case EndBuild():
                self._end(message, work)
            case Envelope(data=gateway.DeploymentRequested() as request):
                self._request(request, work)
            case Envelope(
                data=(
                    gateway.DeploymentCancelRequested()
                    | gateway.DeploymentUpdateRequested()
                    | gateway.DeploymentDestroyRequested()
                    | gateway.DeploymentRetryRequested()
                ) as request
            ):
                self._change(request, work)
            case Envelope(data=ledger.HoldPlaced() as event):
                self._decide(event.hold.deployment_id, subscribers.queue(event), work)
            case Envelope(data=ledger.HoldRefused() as event):
                self._refuse_hold(event, work)
            case EraseDeployment():
                _erase(message, work)
            case Envelope(data=gateway.SettingsChanged() as event):
                work.put(*RETENTION, Retention(days=event.retention_days))
            case Envelope(data=catalog.ModulePublished() as event):
                _keep_module(event, work)
            case Envelope(data=catalog.ModuleWithdrawn() as event):
                _withdraw(event, work)
            case _:
                pass

    def _request(self, request: gateway.DeploymentRequested, work: Work) -> None:
        stream = deployment_stream(request.deployment_id)
        if work.state(stream).status != "NEW":
            return
        if work.now >= request.expires_at:
            late = "the request came too late to be carried out"
            command: commands.Request | commands.Refuse = commands.Refuse(
                user_id=request.user_id, code="REQUEST_EXPIRED", detail=late
            )
        else:
            module = work.document(MODULE, request.module_id, Module)
            key = self._open(request)
            command = subscribers.gate(request, module, _version(request, module, work), key)
            if key is not None and isinstance(command, commands.Request):
                wrapped = KeptDataKey(wrapped=key.wrap(self._master_key))
                work.put(DATA_KEY, request.deployment_id, wrapped)
        work.append(stream, decider.decide(command, work.state(stream)))

    def _open(self, request: gateway.DeploymentRequested) -> DataKey | None:
        try:
            return DataKey.open_sealed(request.sealed_data_key, self._sealing_key)
        except SealingError:
            return None

    def _change(self, request: Change, work: Work) -> None:
        """Carry out what is asked of a deployment that is there, or tell the asker why not."""
        stream = deployment_stream(request.deployment_id)
        if work.now >= request.expires_at:
            work.refuse("REQUEST_EXPIRED", "the request came too late to be carried out")
            return
        deployment: Deployment = work.state(stream)
        try:
            facts = self._changes(request, deployment, work)
        except Refusal as refusal:
            work.refuse(refusal.code, refusal.detail, errors=(), **refusal.fields)
            return
        if isinstance(facts, commands.Refuse):
            errors = tuple(
                Problem(pointer=each.pointer, message=each.message, code=each.code)
                for each in facts.errors
            )
            work.refuse(facts.code, facts.detail, errors=errors)
            return
        work.append(stream, facts, actor=request.requested_by)
        work.effect(self._wake)
        for fact in facts:
            if isinstance(fact, BuildCancelled | BuildSucceeded):
                _close_log(fact.build_id, work)

    def _changes(
        self, request: Change, deployment: Deployment, work: Work
    ) -> list[DeploymentFact] | commands.Refuse:
        """Return what the request brings. What the status forbids is refused before all else."""
        match request:
            case gateway.DeploymentCancelRequested(requested_by=requested_by):
                return decider.decide(commands.Cancel(requested_by=requested_by), deployment)
            case gateway.DeploymentDestroyRequested():
                return decider.decide(commands.Destroy(), deployment)
            case gateway.DeploymentRetryRequested():
                retry = commands.Retry(
                    requested_at=request.requested_at, expires_at=request.expires_at
                )
                facts = decider.decide(retry, deployment)
                module = work.document(MODULE, request.module_id, Module)
                subscribers.check_deployable(deployment, module, decider.retried(deployment))
                return facts
            case gateway.DeploymentUpdateRequested():
                decider.check_updatable(deployment)
                version = version_key(request.module_id, request.module_version)
                update = subscribers.update(
                    request,
                    deployment,
                    work.document(MODULE, request.module_id, Module),
                    work.document(MODULE_VERSION, version, ModuleVersion),
                    self._unwrap(work.document(DATA_KEY, request.deployment_id, KeptDataKey)),
                )
                if isinstance(update, commands.Refuse):
                    return update
                return decider.decide(update, deployment)
            case _:
                assert_never(request)

    def _unwrap(self, kept: KeptDataKey | None) -> DataKey | None:
        return None if kept is None else DataKey.unwrap(kept.wrapped, self._master_key)

    def _refuse_hold(self, event: ledger.HoldRefused, work: Work) -> None:
        """Turn down what the wallet cannot bear; who asked for a retry is told by an answer."""
        stream = deployment_stream(event.deployment_id)
        refusal = subscribers.refusal(event)
        facts = decider.decide(refusal, work.state(stream))
        work.append(stream, facts)
        if any(isinstance(fact, RetryRefused) for fact in facts):
            work.refuse(
                refusal.code,
                refusal.detail,
                required=event.required,
                available=event.available,
            )
        if any(isinstance(fact, DeploymentRefused) for fact in facts):
            work.delete(DATA_KEY, event.deployment_id)

    def _end(self, message: EndBuild, work: Work) -> None:
        """End the build; nothing follows in its log."""
        facts = self._decide(message.deployment_id, message.end, work)
        _measure_end(message.end.build_id, facts, work)
        _close_log(message.end.build_id, work)

    def _decide(
        self, deployment_id: str, command: commands.DeploymentCommand, work: Work
    ) -> list[DeploymentFact]:
        stream = deployment_stream(deployment_id)
        facts = decider.decide(command, work.state(stream))
        work.append(stream, facts)
        work.effect(self._wake)
        return facts


def _measure_end(build_id: str, facts: Sequence[DeploymentFact], work: Work) -> None:
    """Count how long the build took, and how it ended, once that is committed."""
    seconds: list[float] = []

    async def read(connection: asyncpg.Connection) -> None:
        started_at = await connection.fetchval(
            "select started_at from builds where build_id = $1", build_id
        )
        if started_at is not None:
            seconds.append(max(0.0, (work.now - started_at).total_seconds()))

    def observe() -> None:
        for fact in facts:
            if seconds and isinstance(fact, BuildEnd):
                BUILD_SECONDS.labels(outcome=outcome_of(fact)).observe(seconds[0])

    work.alongside(read)
    work.effect(observe)


def deployment_stream(deployment_id: str) -> str:
    """Return the name of a deployment's stream."""
    return f"deployment-{deployment_id}"


def _give(
    message: ClaimBuild | ReassignBuild, command: commands.Start | commands.Reassign, work: Work
) -> None:
    """Begin an attempt, and write its lease beside it: both are there, or neither."""
    stream = deployment_stream(message.deployment_id)
    work.append(stream, decider.decide(command, work.state(stream)))
    attempt, now = work.state(stream).build.attempt, work.now

    async def lease(connection: asyncpg.Connection) -> None:
        given = await give_lease(
            connection,
            build_id=message.build_id,
            deployment_id=message.deployment_id,
            attempt=attempt,
            tokens=message.tokens,
            at=now,
        )
        if not given:
            raise Refusal("BUILD_TAKEN", "a runner has come for the build")

    work.alongside(lease)


def _close_log(build_id: str, work: Work) -> None:
    now = work.now

    async def close(connection: asyncpg.Connection) -> None:
        await close_log(connection, build_id, now)

    work.alongside(close)


def _erase(message: EraseDeployment, work: Work) -> None:
    """Destroy the key to all that is encrypted, and what is in the clear: logs."""
    stream = deployment_stream(message.deployment_id)
    erase = commands.Erase(build_id=message.build_id)
    work.append(stream, decider.decide(erase, work.state(stream)))
    work.delete(DATA_KEY, message.deployment_id)

    async def erase_rows(connection: asyncpg.Connection) -> None:
        await erase_builds(connection, message.deployment_id)

    work.alongside(erase_rows)


def _version(
    request: gateway.DeploymentRequested, module: Module | None, work: Work
) -> ModuleVersion | None:
    """Return the version that is asked for, or the newest where none is named."""
    if module is None:
        return None
    if request.module_version in (None, module.newest.module_version):
        return module.newest
    key = version_key(request.module_id, request.module_version or 0)
    return work.document(MODULE_VERSION, key, ModuleVersion)


def _keep_module(event: catalog.ModulePublished, work: Work) -> None:
    module = module_of(event)
    work.put(MODULE, event.module_id, module)
    work.put(MODULE_VERSION, version_key(event.module_id, event.module_version), module.newest)


def _withdraw(event: catalog.ModuleWithdrawn, work: Work) -> None:
    module = work.document(MODULE, event.module_id, Module)
    if module is not None:
        withdrawn = msgspec.structs.replace(module, withdrawn=True)
        work.put(MODULE, event.module_id, withdrawn)
