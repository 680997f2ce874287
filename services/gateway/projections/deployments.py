"""Deployments, each status they had, and their builds."""

from collections.abc import Iterator

from contracts.deployer.v1 import (
    BuildError,
    BuildEvent,
    DeploymentCancelled,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentProvisioning,
    DeploymentQueued,
    DeploymentSucceeded,
    DeploymentTimedOut,
)
from contracts.envelope import Envelope
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_QUEUED = """
    insert into deployments (deployment_id, user_id, module_id, module_name, module_version,
                             partner_id, project, variables, credit_cost, awarded_part,
                             purchased_part, status, owns_resources, sequence, created_at,
                             updated_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'QUEUED', false, $12, $13, $13)
    on conflict (deployment_id) do nothing"""
_COUNTED = """
    insert into deployment_counts (kind, key, deployments) values ($1, $2, 1)
    on conflict (kind, key) do update
    set deployments = deployment_counts.deployments + excluded.deployments"""
_BUILD = """
    insert into builds (build_id, deployment_id, action, status, created_at)
    values ($1, $2, $3, 'QUEUED', $4)
    on conflict (build_id) do nothing"""
_STATUS = """
    insert into deployment_statuses (deployment_id, sequence, status, build_id, at)
    values ($1, $2, $3, $4, $5)
    on conflict (deployment_id, sequence) do nothing"""
_MOVED = """
    update deployments set status = $2, sequence = $3, updated_at = $4, error = $5,
                           owns_resources = $6, outputs = coalesce($7, outputs)
    where deployment_id = $1 and sequence < $3"""
_STARTED = """
    update builds set status = 'PROVISIONING', started_at = coalesce(started_at, $2), executor = $3
    where build_id = $1 and finished_at is null"""
_FINISHED = """
    update builds set status = $2, finished_at = $3, error = $4
    where build_id = $1 and finished_at is null"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope) or not isinstance(change.data, DeploymentEvent):
        return
    event = change.data
    match event:
        case DeploymentQueued():
            yield from _queued(change, event)
        case BuildEvent():
            status = status_of(event)
            if status is None:
                return
            yield from _moved(change, event, status)
        case _:
            return


def _queued(change: Envelope[DeploymentEvent], event: DeploymentQueued) -> Iterator[Statement]:
    yield (
        _QUEUED,
        (
            event.deployment_id,
            event.user_id,
            event.module_id,
            event.module_name,
            event.module_version,
            event.partner_id,
            event.project,
            event.variables,
            event.credit_cost,
            event.awarded_part,
            event.purchased_part,
            change.sequence,
            event.created_at,
        ),
    )
    yield _BUILD, (event.build_id, event.deployment_id, event.action, event.created_at)
    yield (
        _STATUS,
        (event.deployment_id, change.sequence, "QUEUED", event.build_id, event.created_at),
    )
    yield _COUNTED, ("user", event.user_id)


def status_of(event: DeploymentEvent) -> str | None:
    """Return the status that a deployment has by this message, or nothing."""
    match event:
        case DeploymentQueued():
            return "QUEUED"
        case DeploymentProvisioning():
            return "PROVISIONING"
        case DeploymentSucceeded():
            return "SUCCESS"
        case DeploymentFailed():
            return "FAILED"
        case DeploymentCancelled():
            return "CANCELLED"
        case DeploymentTimedOut():
            return "TIMED_OUT"
        case _:
            return None


def _moved(
    change: Envelope[DeploymentEvent], event: BuildEvent, status: str
) -> Iterator[Statement]:
    error = _error(event)
    error_json = None if error is None else error.model_dump_json()
    owns_resources = isinstance(event, DeploymentSucceeded) or bool(
        getattr(event, "owns_resources", False)
    )
    outputs = event.outputs if isinstance(event, DeploymentSucceeded) else None
    head = (event.deployment_id, status, change.sequence, change.time)
    yield _MOVED, (*head, error_json, owns_resources, outputs)
    yield (
        _STATUS,
        (event.deployment_id, change.sequence, status, event.build_id, change.time),
    )
    if isinstance(event, DeploymentProvisioning):
        yield _STARTED, (event.build_id, change.time, event.executor)
    else:
        yield _FINISHED, (event.build_id, status, change.time, error_json)


def _error(event: BuildEvent) -> BuildError | None:
    match event:
        case DeploymentFailed(error=error):
            return error
        case DeploymentTimedOut(limit_seconds=limit_seconds):
            message = f"took longer than {limit_seconds} seconds"
            return BuildError(code="TIMED_OUT", message=message, platform_fault=False)
        case _:
            return None


DEPLOYMENTS = SqlProjection("deployments", _statements)
