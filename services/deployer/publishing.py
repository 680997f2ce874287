"""What others are told of a deployment's facts: the only translation of one into the other."""

from collections.abc import Sequence
from typing import Final, assert_never

from contracts.deployer import v1
from contracts.events import Event, Problem
from contracts.types import Credits
from runtime.store import Recorded, StreamKind
from services.deployer import decider
from services.deployer.events import (
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
)


def publish(record: Recorded[DeploymentFact]) -> Sequence[Event]:
    """Return the message that a fact is.

    That a running build should stop, or is given to another runner, concerns nobody else.
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
        case CancelRequested() | BuildReassigned():
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
        module_name=fact.module_name,
        module_version=fact.module_version,
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
    request = fact.request
    return v1.DeploymentQueued(
        deployment_id=deployment_id,
        user_id=fact.user_id,
        build_id=fact.build_id,
        action=fact.action,
        hold_id=request.hold_id,
        module_id=request.module_id,
        module_name=request.module_name,
        module_version=request.module_version,
        partner_id=request.partner_id,
        project=request.project,
        variables=request.variables,
        credit_cost=Credits(fact.credit_cost),
        awarded_part=Credits(fact.awarded_part),
        purchased_part=Credits(fact.purchased_part),
        created_at=request.requested_at,
    )


def _ended(deployment_id: str, fact: BuildEnd) -> Event:
    build_id, action, user_id, hold_id = fact.build_id, fact.action, fact.user_id, fact.hold_id
    match fact:
        case BuildSucceeded():
            return v1.DeploymentSucceeded(
                deployment_id=deployment_id,
                user_id=user_id,
                build_id=build_id,
                action=action,
                hold_id=hold_id,
                outputs=fact.outputs,
            )
        case BuildFailed():
            return v1.DeploymentFailed(
                deployment_id=deployment_id,
                user_id=user_id,
                build_id=build_id,
                action=action,
                hold_id=hold_id,
                error=v1.BuildError(
                    code=fact.code, message=fact.message, platform_fault=fact.platform_fault
                ),
                owns_resources=fact.owns_resources,
            )
        case BuildCancelled():
            return v1.DeploymentCancelled(
                deployment_id=deployment_id,
                user_id=user_id,
                build_id=build_id,
                action=action,
                hold_id=hold_id,
                cancelled_by=fact.cancelled_by,
                owns_resources=fact.owns_resources,
            )
        case BuildTimedOut():
            return v1.DeploymentTimedOut(
                deployment_id=deployment_id,
                user_id=user_id,
                build_id=build_id,
                action=action,
                hold_id=hold_id,
                limit_seconds=fact.limit_seconds,
                owns_resources=fact.owns_resources,
            )
        case _:
            assert_never(fact)


DEPLOYMENT: Final = StreamKind(
    name="deployment",
    facts=DeploymentFact,
    state=Deployment,
    initial=decider.initial,
    evolve=decider.evolve,
    publish=publish,
)
