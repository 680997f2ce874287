"""The life of a deployment, pure: which step may follow which, and what is ignored or refused.

A deployment begins with a hold: `NEW` → `REQUESTED` → `QUEUED` → `PROVISIONING` → `SUCCESS` |
`FAILED` | `CANCELLED` | `TIMED_OUT`, or `REFUSED`. Of the four, the last three may be retried, for
another hold. A `SUCCESS` may be updated (`UPDATING`), and any of the four destroyed (`DESTROYING` →
`DESTROYED`), both for nothing. An update or a destroy that does not succeed leaves the deployment
as it was, and may be retried too. What rests and owns nothing may be `ERASED`.

At most one build is open at a time. What has ended never changes: a late or repeated report is
refused as stale. A build is begun at most once. Only where no runner has come for it, which whoever
commands `Reassign` must know, may it be given to another, and then under a new attempt.
"""

from typing import Final, TypedDict, assert_never

import msgspec

from runtime.refusal import Refusal
from services.deployer.commands import (
    Cancel,
    DeploymentCommand,
    Destroy,
    End,
    Erase,
    Fail,
    Queue,
    Reassign,
    Refuse,
    Request,
    Retry,
    Start,
    Stopped,
    Succeed,
    TimeOut,
    Update,
)
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
    DeploymentErased,
    DeploymentFact,
    DeploymentRefused,
    DestroyQueued,
    HoldRequested,
    Inputs,
    RetryRefused,
    Status,
    UpdateQueued,
)

NOWHERE: Final = frozenset({"NEW", "REFUSED", "ERASED"})
"""Statuses of what nobody may know of."""

RESTING: Final = frozenset({"SUCCESS", "FAILED", "CANCELLED", "TIMED_OUT"})
"""Statuses of what has been built, well or not, and is neither gone nor being changed."""


def decide(  # noqa: PLR0911 - one return for each command
    command: DeploymentCommand, deployment: Deployment
) -> list[DeploymentFact]:
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
        case Update():
            return _update(command, deployment)
        case Destroy():
            return _destroy(deployment)
        case Retry():
            return _retry(command, deployment)
        case Start():
            return _start(command, deployment)
        case Reassign():
            return _reassign(command, deployment)
        case Cancel():
            return _cancel(command, deployment)
        case End():
            return [_end(command, deployment)]
        case Erase():
            return _erase(command, deployment)
        case _:
            assert_never(command)


# What is asked for.


def _refuse(command: Refuse, deployment: Deployment) -> list[DeploymentFact]:
    request = deployment.request
    if deployment.status not in {"NEW", "REQUESTED"}:
        return []
    if command.hold_id is not None and (request is None or request.hold_id != command.hold_id):
        return []
    if deployment.resting != "NEW":
        return [RetryRefused(user_id=command.user_id, code=command.code)]
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


def check_updatable(deployment: Deployment) -> None:
    """Refuse an update of what has not been built, or is being changed."""
    _check(deployment, frozenset({"SUCCESS"}), "be updated")


def _update(command: Update, deployment: Deployment) -> list[DeploymentFact]:
    check_updatable(deployment)
    return [_update_queued(deployment, command.inputs)]


def _update_queued(deployment: Deployment, inputs: Inputs) -> UpdateQueued:
    request = _request(deployment)
    return UpdateQueued(**_next(deployment, "UPDATE"), module_id=request.module_id, inputs=inputs)


def _destroy(deployment: Deployment) -> list[DeploymentFact]:
    """Queue the build; what owns nothing is destroyed at once, without Terraform."""
    _check(deployment, RESTING, "be destroyed")
    queued = DestroyQueued(**_next(deployment, "DESTROY"), inputs=_made_of(deployment))
    if deployment.owns_resources:
        return [queued]
    destroyed = BuildSucceeded(
        **_next(deployment, "DESTROY"), attempt=0, outputs="", owns_resources=False
    )
    return [queued, destroyed]


def _retry(command: Retry, deployment: Deployment) -> list[DeploymentFact]:
    _check(deployment, RESTING, "be retried")
    build, action = deployment.build, retried(deployment)
    if build is None or action is None:
        raise _illegal(deployment, "there is no build to retry: the last one succeeded")
    if action == "UPDATE":
        return [_update_queued(deployment, build.inputs)]
    if action == "DESTROY":
        return _destroy(deployment)
    ids = _next(deployment, "CREATE")
    again = msgspec.structs.replace(
        _request(deployment),
        build_id=ids["build_id"],
        hold_id=f"hold-{deployment.deployment_id}-{deployment.builds + 1}",
        requested_at=command.requested_at,
        expires_at=command.expires_at,
    )
    return [again]


def retried(deployment: Deployment) -> Action | None:
    """Return what kind of build a retry would be; nothing where the last one succeeded."""
    build = deployment.build
    return None if build is None or build.phase != "UNSUCCESSFUL" else build.action


def _check(deployment: Deployment, allowed: frozenset[str], what: str) -> None:
    """Refuse what is not possible in the present status, saying which one that is."""
    _check_known(deployment)
    if deployment.status not in allowed:
        raise _illegal(deployment, f"a deployment that is {_shown(deployment)} cannot {what}")


def _check_known(deployment: Deployment) -> None:
    if deployment.status in NOWHERE:
        raise Refusal("UNKNOWN_DEPLOYMENT", "there is no such deployment")


def _illegal(deployment: Deployment, detail: str) -> Refusal:
    return Refusal("ILLEGAL_TRANSITION", detail, status=_shown(deployment))


def _shown(deployment: Deployment) -> Status:
    """Return the status as others know it: of a retry that waits for its hold they know nothing."""
    waits = deployment.status == "REQUESTED" and deployment.resting != "NEW"
    return deployment.resting if waits else deployment.status


# What becomes of builds.


def _start(command: Start, deployment: Deployment) -> list[DeploymentFact]:
    build = deployment.build
    if build is None or build.phase != "QUEUED" or build.build_id != command.build_id:
        raise _illegal(deployment, "only a queued build starts")
    started = BuildStarted(
        **_of(deployment, build), attempt=build.attempt + 1, executor=command.executor
    )
    return [started]


def _reassign(command: Reassign, deployment: Deployment) -> list[DeploymentFact]:
    build = _current(deployment, command.build_id, command.attempt)
    if build.cancel_requested_by is not None:
        raise _illegal(deployment, "a build that is to be cancelled is not begun anew")
    return [BuildReassigned(**_of(deployment, build), attempt=build.attempt + 1)]


def _cancel(command: Cancel, deployment: Deployment) -> list[DeploymentFact]:
    """End a waiting build at once; have a running one stopped."""
    _check_known(deployment)
    build = deployment.build
    if build is None or build.phase not in {"QUEUED", "RUNNING"}:
        raise _illegal(deployment, f"a deployment that is {_shown(deployment)} cannot be cancelled")
    if build.phase == "QUEUED":
        cancelled = BuildCancelled(
            **_of(deployment, build),
            attempt=build.attempt,
            cancelled_by=command.requested_by,
            owns_resources=deployment.owns_resources,
            state_changed=False,
            status=_after(deployment, build, "CANCELLED"),
        )
        return [cancelled]
    if build.cancel_requested_by is not None:
        return []
    return [CancelRequested(build_id=build.build_id, requested_by=command.requested_by)]


def _end(command: End, deployment: Deployment) -> BuildEnd:
    build = _current(deployment, command.build_id, command.attempt)
    attempt, owns, changed = build.attempt, command.owns_resources, command.state_changed
    match _honest(command, build):
        case Succeed(outputs=outputs):
            return BuildSucceeded(
                **_of(deployment, build), attempt=attempt, outputs=outputs, owns_resources=owns
            )
        case Fail() as failure:
            return BuildFailed(
                **_of(deployment, build),
                attempt=attempt,
                code=failure.code,
                message=failure.message,
                platform_fault=failure.platform_fault,
                owns_resources=owns,
                state_changed=changed,
                status=_after(deployment, build, "FAILED"),
            )
        case Stopped():
            return BuildCancelled(
                **_of(deployment, build),
                attempt=attempt,
                cancelled_by=build.cancel_requested_by or "tollgate",
                owns_resources=owns,
                state_changed=changed,
                status=_after(deployment, build, "CANCELLED"),
            )
        case TimeOut(limit_seconds=limit):
            return BuildTimedOut(
                **_of(deployment, build),
                attempt=attempt,
                limit_seconds=limit,
                owns_resources=owns,
                state_changed=changed,
                status=_after(deployment, build, "TIMED_OUT"),
            )
        case _ as other:
            assert_never(other)


def _honest(command: End, build: Build) -> Succeed | Fail | Stopped | TimeOut:
    """Return how the build ended: to destroy is to leave nothing, whatever Terraform says."""
    if build.action == "DESTROY" and isinstance(command.ending, Succeed) and command.owns_resources:
        left = "the destroy ended well, and yet there are resources in the state"
        return Fail(code="RESOURCES_LEFT", message=left, platform_fault=False)
    return command.ending


def _after(deployment: Deployment, build: Build, ended: Status) -> Status:
    """Return what the deployment is after a build that was no success."""
    return ended if build.action == "CREATE" else deployment.resting


def _erase(command: Erase, deployment: Deployment) -> list[DeploymentFact]:
    rests = deployment.status in RESTING | {"DESTROYED"}
    last = None if deployment.build is None else deployment.build.build_id
    if not rests or deployment.owns_resources or last != command.build_id:
        raise _illegal(deployment, "only what rests and owns nothing is erased")
    return [DeploymentErased(user_id=_request(deployment).user_id)]


def _current(deployment: Deployment, build_id: str, attempt: int) -> Build:
    """Return the build where this is its running attempt, else refuse the report as stale."""
    build = deployment.build
    if (
        build is None
        or build.phase != "RUNNING"
        or (build.build_id, build.attempt) != (build_id, attempt)
    ):
        raise Refusal("STALE_REPORT", "this attempt has ended", status=_shown(deployment))
    return build


class _BuildFields(TypedDict):
    build_id: str
    action: Action
    user_id: str
    hold_id: str | None


def _of(deployment: Deployment, build: Build) -> _BuildFields:
    """Return what every fact of the build says; only a CREATE has a hold."""
    request = _request(deployment)
    return {
        "build_id": build.build_id,
        "action": build.action,
        "user_id": request.user_id,
        "hold_id": request.hold_id if build.action == "CREATE" else None,
    }


def _next(deployment: Deployment, action: Action) -> _BuildFields:
    """Return what every fact of the next build says, where that needs no hold."""
    return {
        "build_id": f"build-{deployment.deployment_id}-{deployment.builds + 1}",
        "action": action,
        "user_id": _request(deployment).user_id,
        "hold_id": None,
    }


def _request(deployment: Deployment) -> HoldRequested:
    if deployment.request is None:
        raise LookupError(f"deployment {deployment.deployment_id} was never asked for")
    return deployment.request


def _made_of(deployment: Deployment) -> Inputs:
    return deployment.inputs or _request(deployment).inputs
