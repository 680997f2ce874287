"""The life of a deployment, pure: which step may follow which, and what is ignored or refused.

`NEW` → `REQUESTED` → `QUEUED` → `PROVISIONING` → `SUCCESS` | `FAILED` | `CANCELLED` | `TIMED_OUT`,
or `REFUSED`. What ended never changes: a late or repeated report is refused as stale.

A build is begun at most once. Only where no runner has come for it, which whoever commands
`Reassign` must know, may it be given to another, and then under a new attempt.
"""

from dataclasses import dataclass
from typing import TypedDict, assert_never

import msgspec

from runtime.refusal import Refusal
from services.deployer.events import (
    Action,
    Build,
    BuildCancelled,
    BuildEnd,
    BuildFailed,
    BuildQueued,
    BuildReassigned,
    BuildStarted,
    BuildSucceeded,
    BuildTimedOut,
    CancelRequested,
    Deployment,
    DeploymentFact,
    DeploymentRefused,
    HoldRequested,
    Problem,
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Ask for a hold: the request was found valid."""

    accepted: HoldRequested


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """Turn a request down."""

    user_id: str
    code: str
    detail: str
    required: int | None = None
    available: int | None = None
    errors: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The hold stands: the build may wait for a runner."""

    hold_id: str
    credit_cost: int
    awarded_part: int
    purchased_part: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """Give the build to a runner, as its first attempt."""

    build_id: str
    executor: str


@dataclass(frozen=True, kw_only=True)
class Reassign:
    """Give the build to another runner, since the one of this attempt never came for it."""

    build_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Somebody who may wants the build stopped."""

    requested_by: str


@dataclass(frozen=True, kw_only=True)
class Succeed:
    """The runner reports success."""

    outputs: str


@dataclass(frozen=True, kw_only=True)
class Fail:
    """The build failed: by the module, or (`platform_fault`) by ours."""

    code: str
    message: str
    platform_fault: bool


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The runner stopped the build because it was told to."""


@dataclass(frozen=True, kw_only=True)
class TimeOut:
    """The runner stopped the build because it took too long."""

    limit_seconds: int


Ending = Succeed | Fail | Stopped | TimeOut


@dataclass(frozen=True, kw_only=True)
class End:
    """End a build's attempt; `owns_resources` tells that its state is not empty."""

    build_id: str
    attempt: int
    ending: Ending
    owns_resources: bool


DeploymentCommand = Request | Refuse | Queue | Start | Reassign | Cancel | End


def decide(command: DeploymentCommand, deployment: Deployment) -> list[DeploymentFact]:
    """Return the facts that a command brings; `Refusal` where it cannot be.

    No rule here depends on the time.
    """
    match command:
        case Request():
            return [command.accepted] if deployment.status == "NEW" else []
        case Refuse():
            return _refuse(command, deployment)
        case Queue():
            return _queue(command, deployment)
        case Start():
            return _start(command, deployment)
        case Reassign():
            return _reassign(command, deployment)
        case Cancel():
            return _cancel(command, deployment)
        case End():
            return [_end(command, deployment)]
        case _:
            assert_never(command)


def _refuse(command: Refuse, deployment: Deployment) -> list[DeploymentFact]:
    if deployment.status not in {"NEW", "REQUESTED"}:
        return []
    refused = DeploymentRefused(
        user_id=command.user_id,
        code=command.code,
        detail=command.detail,
        required=command.required,
        available=command.available,
        errors=command.errors,
    )
    return [refused]


def _queue(command: Queue, deployment: Deployment) -> list[DeploymentFact]:
    request = deployment.request
    if deployment.status != "REQUESTED" or request is None or request.hold_id != command.hold_id:
        return []
    queued = BuildQueued(
        build_id=request.build_id,
        action="CREATE",
        user_id=request.user_id,
        hold_id=request.hold_id,
        request=request,
        credit_cost=command.credit_cost,
        awarded_part=command.awarded_part,
        purchased_part=command.purchased_part,
    )
    return [queued]


def _start(command: Start, deployment: Deployment) -> list[DeploymentFact]:
    build = deployment.build
    if deployment.status != "QUEUED" or build is None or build.build_id != command.build_id:
        raise Refusal("ILLEGAL_TRANSITION", "only a queued build starts", status=deployment.status)
    started = BuildStarted(
        **_of(deployment, build),
        attempt=build.attempt + 1,
        executor=command.executor,
    )
    return [started]


def _reassign(command: Reassign, deployment: Deployment) -> list[DeploymentFact]:
    build = _current(deployment, command.build_id, command.attempt)
    if build.cancel_requested_by is not None:
        raise Refusal("ILLEGAL_TRANSITION", "a build that is to be cancelled is not begun anew")
    return [BuildReassigned(**_of(deployment, build), attempt=build.attempt + 1)]


def _cancel(command: Cancel, deployment: Deployment) -> list[DeploymentFact]:
    """End a waiting build at once; have a running one stopped."""
    build = deployment.build
    if deployment.status == "NEW":
        raise Refusal("UNKNOWN_DEPLOYMENT", "there is no such deployment")
    if build is None or deployment.status not in {"QUEUED", "PROVISIONING"}:
        raise Refusal(
            "ILLEGAL_TRANSITION",
            f"a deployment that is {deployment.status} cannot be cancelled",
            status=deployment.status,
        )
    if deployment.status == "QUEUED":
        cancelled = BuildCancelled(
            **_of(deployment, build),
            attempt=build.attempt,
            cancelled_by=command.requested_by,
            owns_resources=False,
        )
        return [cancelled]
    if build.cancel_requested_by is not None:
        return []
    return [CancelRequested(build_id=build.build_id, requested_by=command.requested_by)]


def _end(command: End, deployment: Deployment) -> BuildEnd:
    build = _current(deployment, command.build_id, command.attempt)
    attempt, owns = build.attempt, command.owns_resources
    match command.ending:
        case Succeed(outputs=outputs):
            return BuildSucceeded(**_of(deployment, build), attempt=attempt, outputs=outputs)
        case Fail() as failure:
            return BuildFailed(
                **_of(deployment, build),
                attempt=attempt,
                code=failure.code,
                message=failure.message,
                platform_fault=failure.platform_fault,
                owns_resources=owns,
            )
        case Stopped():
            return BuildCancelled(
                **_of(deployment, build),
                attempt=attempt,
                cancelled_by=build.cancel_requested_by or "tollgate",
                owns_resources=owns,
            )
        case TimeOut(limit_seconds=limit):
            return BuildTimedOut(
                **_of(deployment, build),
                attempt=attempt,
                limit_seconds=limit,
                owns_resources=owns,
            )
        case _:
            assert_never(command.ending)


def _current(deployment: Deployment, build_id: str, attempt: int) -> Build:
    """Return the build where this is its running attempt, else refuse the report as stale."""
    build = deployment.build
    if (
        build is None
        or deployment.status != "PROVISIONING"
        or (build.build_id, build.attempt) != (build_id, attempt)
    ):
        raise Refusal("STALE_REPORT", "this attempt has ended", status=deployment.status)
    return build


class _BuildFields(TypedDict):
    build_id: str
    action: Action
    user_id: str
    hold_id: str | None


def _of(deployment: Deployment, build: Build) -> _BuildFields:
    """Return what every fact of the build says."""
    request = deployment.request
    if request is None:
        raise LookupError(f"deployment {deployment.deployment_id} has a build but no request")
    return {
        "build_id": build.build_id,
        "action": build.action,
        "user_id": request.user_id,
        "hold_id": request.hold_id,
    }


def evolve(deployment: Deployment, fact: DeploymentFact) -> Deployment:
    """Return the deployment after a fact."""
    match fact:
        case HoldRequested():
            return msgspec.structs.replace(deployment, status="REQUESTED", request=fact)
        case DeploymentRefused():
            return msgspec.structs.replace(deployment, status="REFUSED")
        case BuildQueued():
            build = Build(build_id=fact.build_id, action=fact.action)
            return msgspec.structs.replace(deployment, status="QUEUED", build=build)
        case BuildStarted():
            started = Build(build_id=fact.build_id, action=fact.action, attempt=fact.attempt)
            return msgspec.structs.replace(deployment, status="PROVISIONING", build=started)
        case BuildReassigned():
            return _with_build(deployment, attempt=fact.attempt)
        case CancelRequested():
            return _with_build(deployment, cancel_requested_by=fact.requested_by)
        case BuildSucceeded():
            return msgspec.structs.replace(deployment, status="SUCCESS")
        case BuildFailed():
            return msgspec.structs.replace(deployment, status="FAILED")
        case BuildCancelled():
            return msgspec.structs.replace(deployment, status="CANCELLED")
        case BuildTimedOut():
            return msgspec.structs.replace(deployment, status="TIMED_OUT")
        case _:
            assert_never(fact)


def _with_build(deployment: Deployment, **changes: int | str) -> Deployment:
    build = deployment.build
    changed = None if build is None else msgspec.structs.replace(build, **changes)
    return msgspec.structs.replace(deployment, build=changed)


def initial(stream: str) -> Deployment:
    """Return the deployment that nobody has asked for yet."""
    return Deployment(deployment_id=stream.partition("-")[2])
