"""What a deployment is after each of its facts; refuses nothing."""

from typing import Any, assert_never

import msgspec

from services.deployer.events import (
    Build,
    BuildCancelled,
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

_Queued = BuildQueued | UpdateQueued | DestroyQueued
_Unsuccessful = BuildFailed | BuildCancelled | BuildTimedOut


def evolve(  # noqa: PLR0911 - one return for each fact
    deployment: Deployment, fact: DeploymentFact
) -> Deployment:
    """Return the deployment after a fact."""
    match fact:
        case HoldRequested():
            return _changed(
                deployment, status="REQUESTED", request=fact, builds=deployment.builds + 1
            )
        case DeploymentRefused():
            return _changed(deployment, status="REFUSED", resting="REFUSED")
        case RetryRefused():
            return _changed(deployment, status=deployment.resting)
        case BuildQueued() | UpdateQueued() | DestroyQueued():
            return _queued(deployment, fact)
        case BuildStarted():
            status = "PROVISIONING" if fact.action == "CREATE" else deployment.status
            started = _build(deployment, phase="RUNNING", attempt=fact.attempt)
            return _changed(started, status=status)
        case BuildReassigned():
            return _build(deployment, attempt=fact.attempt)
        case CancelRequested():
            return _build(deployment, cancel_requested_by=fact.requested_by)
        case BuildSucceeded():
            return _succeeded(deployment, fact)
        case BuildFailed() | BuildCancelled() | BuildTimedOut():
            return _unsuccessful(deployment, fact)
        case DeploymentErased():
            # What was encrypted cannot be read any more: nothing of it is kept here either.
            return Deployment(
                deployment_id=deployment.deployment_id, status="ERASED", resting="ERASED"
            )
        case _:
            assert_never(fact)


def initial(stream: str) -> Deployment:
    """Return the deployment that nobody has asked for yet."""
    return Deployment(deployment_id=stream.partition("-")[2])


def _queued(deployment: Deployment, fact: _Queued) -> Deployment:
    inputs = fact.request.inputs if isinstance(fact, BuildQueued) else fact.inputs
    statuses: dict[str, Status] = {
        "CREATE": "QUEUED",
        "UPDATE": "UPDATING",
        "DESTROY": "DESTROYING",
    }
    # The hold that a CREATE waits for has counted it already.
    counted = deployment.builds if fact.action == "CREATE" else deployment.builds + 1
    build = Build(build_id=fact.build_id, action=fact.action, inputs=inputs)
    return _changed(deployment, status=statuses[fact.action], build=build, builds=counted)


def _succeeded(deployment: Deployment, fact: BuildSucceeded) -> Deployment:
    status: Status = "DESTROYED" if fact.action == "DESTROY" else "SUCCESS"
    return _changed(
        _build(deployment, phase="SUCCEEDED"),
        status=status,
        resting=status,
        inputs=None if deployment.build is None else deployment.build.inputs,
        owns_resources=fact.owns_resources,
    )


def _unsuccessful(deployment: Deployment, fact: _Unsuccessful) -> Deployment:
    """What the build changed is made of its inputs from now on, though not all of it may be."""
    build = deployment.build
    changed = build is not None and (fact.state_changed or deployment.inputs is None)
    return _changed(
        _build(deployment, phase="UNSUCCESSFUL"),
        status=fact.status,
        resting=fact.status,
        inputs=build.inputs if build is not None and changed else deployment.inputs,
        owns_resources=fact.owns_resources,
    )


def _build(deployment: Deployment, **changes: Any) -> Deployment:
    build = deployment.build
    changed = None if build is None else msgspec.structs.replace(build, **changes)
    return _changed(deployment, build=changed)


def _changed(deployment: Deployment, **changes: Any) -> Deployment:
    return msgspec.structs.replace(deployment, **changes)
