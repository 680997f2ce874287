"""What others are told of a deployment's facts: the only translation of one into the other."""

from collections.abc import Sequence
from typing import Final, TypedDict, assert_never, cast

from contracts.deployer import v1
from contracts.events import Event, Problem
from contracts.types import Credits, DeploymentStatus
from runtime.store import Recorded, StreamKind
from services.deployer.events import (
    Action,
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
    RetryRefused,
    Status,
    UpdateQueued,
)
from services.deployer.evolution import evolve, initial


def publish(record: Recorded[DeploymentFact]) -> Sequence[Event]:
    """Return the message that a fact is.

    That a running build should stop, or is given to another runner, concerns nobody else. That a
    retry is refused is told to whoever asked for it, as the answer to that.
    """
    deployment_id = record.stream.partition("-")[2]
    fact = record.fact
    match fact:
        case HoldRequested():
            return [_hold_requested(deployment_id, fact)]
        case DeploymentRefused():
            return [_refused(deployment_id, fact)]
        case BuildQueued():
            return [_queued(deployment_id, fact)]
        case UpdateQueued():
            return [_updating(deployment_id, fact)]
        case DestroyQueued():
            destroying = v1.DeploymentDestroying(
                deployment_id=deployment_id,
                user_id=fact.user_id,
                build_id=fact.build_id,
                action=fact.action,
            )
            return [destroying]
        case DeploymentErased(user_id=user_id):
            return [v1.DeploymentErased(deployment_id=deployment_id, user_id=user_id)]
        case CancelRequested() | BuildReassigned() | RetryRefused():
            return []
        case BuildStarted():
            started = v1.DeploymentProvisioning(
                deployment_id=deployment_id,
                user_id=fact.user_id,
                build_id=fact.build_id,
                action=fact.action,
                attempt=fact.attempt,
                executor=fact.executor,
            )
            return [started]
        case BuildSucceeded() | BuildFailed() | BuildCancelled() | BuildTimedOut():
            return [_ended(deployment_id, fact)]
        case _:
            assert_never(fact)


def _hold_requested(deployment_id: str, fact: HoldRequested) -> Event:
    return v1.HoldRequested(
        deployment_id=deployment_id,
        user_id=fact.user_id,
        hold_id=fact.hold_id,
        build_id=fact.build_id,
        module_id=fact.module_id,
        module_name=fact.inputs.module_name,
        module_version=fact.inputs.module_version,
        partner_id=fact.partner_id,
        project=fact.project,
        list_price=Credits(fact.list_price),
        premium=fact.premium,
        requested_at=fact.requested_at,
        expires_at=fact.expires_at,
    )


def _refused(deployment_id: str, fact: DeploymentRefused) -> Event:
    return v1.DeploymentRefused(
        deployment_id=deployment_id,
        user_id=fact.user_id,
        code=fact.code,
        detail=fact.detail,
        required=None if fact.required is None else Credits(fact.required),
        available=fact.available,
        errors=tuple(
            Problem(pointer=error.pointer, message=error.message, code=error.code)
            for error in fact.errors
        ),
    )


def _queued(deployment_id: str, fact: BuildQueued) -> Event:
    request, inputs = fact.request, fact.request.inputs
    return v1.DeploymentQueued(
        deployment_id=deployment_id,
        user_id=fact.user_id,
        build_id=fact.build_id,
        action=fact.action,
        hold_id=request.hold_id,
        module_id=request.module_id,
        module_name=inputs.module_name,
        module_version=inputs.module_version,
        partner_id=request.partner_id,
        project=request.project,
        variables=inputs.variables,
        credit_cost=Credits(fact.credit_cost),
        awarded_part=Credits(fact.awarded_part),
        purchased_part=Credits(fact.purchased_part),
        created_at=request.requested_at,
    )


def _updating(deployment_id: str, fact: UpdateQueued) -> Event:
    return v1.DeploymentUpdating(
        deployment_id=deployment_id,
        user_id=fact.user_id,
        build_id=fact.build_id,
        action=fact.action,
        module_id=fact.module_id,
        module_name=fact.inputs.module_name,
        module_version=fact.inputs.module_version,
        variables=fact.inputs.variables,
    )


def _ended(deployment_id: str, fact: BuildEnd) -> Event:
    head: _Head = {
        "deployment_id": deployment_id,
        "user_id": fact.user_id,
        "build_id": fact.build_id,
        "action": fact.action,
    }
    match fact:
        case BuildSucceeded(action="DESTROY"):
            return v1.DeploymentDestroyed(**head)
        case BuildSucceeded():
            return v1.DeploymentSucceeded(
                **head,
                hold_id=fact.hold_id,
                outputs=fact.outputs,
                owns_resources=fact.owns_resources,
            )
        case BuildFailed():
            error = v1.BuildError(
                code=fact.code, message=fact.message, platform_fault=fact.platform_fault
            )
            return v1.DeploymentFailed(**head, **_standing(fact, "FAILED"), error=error)
        case BuildCancelled():
            return v1.DeploymentCancelled(
                **head, **_standing(fact, "CANCELLED"), cancelled_by=fact.cancelled_by
            )
        case BuildTimedOut():
            return v1.DeploymentTimedOut(
                **head, **_standing(fact, "TIMED_OUT"), limit_seconds=fact.limit_seconds
            )
        case _:
            assert_never(fact)


class _Head(TypedDict):
    deployment_id: str
    user_id: str
    build_id: str
    action: Action


class _Standing(TypedDict):
    hold_id: str | None
    owns_resources: bool
    state_changed: bool
    deployment_status: DeploymentStatus | None


def _standing(fact: BuildFailed | BuildCancelled | BuildTimedOut, said: Status) -> _Standing:
    """Return how the deployment stands; its status only where that is not what is said anyway."""
    # What a build leaves behind rests: it is none of the statuses that nobody is told.
    status = cast("DeploymentStatus", fact.status)
    return {
        "hold_id": fact.hold_id,
        "owns_resources": fact.owns_resources,
        "state_changed": fact.state_changed,
        "deployment_status": None if fact.status == said else status,
    }


DEPLOYMENT: Final = StreamKind(
    name="deployment",
    facts=DeploymentFact,
    state=Deployment,
    initial=initial,
    evolve=evolve,
    publish=publish,
)
