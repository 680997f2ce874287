"""Deployments, each status they had, and their builds."""

from collections.abc import Iterator
from typing import Final

from contracts.deployer.v1 import (
    BuildError,
    BuildEvent,
    DeploymentCancelled,
    DeploymentDestroyed,
    DeploymentDestroying,
    DeploymentErased,
    DeploymentEvent,
    DeploymentFailed,
    DeploymentProvisioning,
    DeploymentQueued,
    DeploymentSucceeded,
    DeploymentTimedOut,
    DeploymentUpdating,
    UnsuccessfulEvent,
)
from contracts.envelope import Envelope
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

# In one round trip, for it is what customers wait for. A deployment that is tried again is there
# already, and was counted when it came to be; one that comes to be is none that is there.
_QUEUED = """
    with came_to_be as (
        insert into deployments (deployment_id, user_id, module_id, module_name, module_version,
                                 partner_id, project, variables, credit_cost, awarded_part,
                                 purchased_part, status, owns_resources, sequence, created_at,
                                 updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'QUEUED', false, $12, $13, $13)
        on conflict (deployment_id) do nothing returning user_id),
    counted as (
        insert into deployment_counts (kind, key, deployments)
        select 'user', user_id, 1 from came_to_be
        on conflict (kind, key) do update
        set deployments = deployment_counts.deployments + excluded.deployments),
    again as (
        update deployments set status = 'QUEUED', error = null, sequence = $12, updated_at = $14,
                               credit_cost = $9, awarded_part = $10, purchased_part = $11
        where deployment_id = $1 and sequence < $12),
    build as (
        insert into builds (build_id, deployment_id, action, status, created_at, user_id,
                            module_name, module_version, variables)
        values ($15, $1, $16, 'QUEUED', $13, $2, $4, $5, $8)
        on conflict (build_id) do nothing)
    insert into deployment_statuses (deployment_id, sequence, status, build_id, at)
    values ($1, $12, 'QUEUED', $15, $13)
    on conflict (deployment_id, sequence) do nothing"""
_BUILD = """
    insert into builds (build_id, deployment_id, action, status, created_at, user_id, module_name,
                        module_version, variables)
    values ($1, $2, $3, 'QUEUED', $4, $5, $6, $7, $8)
    on conflict (build_id) do nothing"""
_STATUS = """
    insert into deployment_statuses (deployment_id, sequence, status, build_id, at)
    values ($1, $2, $3, $4, $5)
    on conflict (deployment_id, sequence) do nothing"""
_MOVED = """
    update deployments set status = $2, sequence = $3, updated_at = $4, error = $5,
                           owns_resources = coalesce($6, owns_resources),
                           outputs = case when $2 = 'DESTROYED' then null
                                     else coalesce($7, outputs) end
    where deployment_id = $1 and sequence < $3"""
_MADE_OF = """
    update deployments d
    set module_name = b.module_name, module_version = b.module_version, variables = b.variables
    from builds b
    where d.deployment_id = $1 and b.build_id = $2 and b.variables is not null"""
_STARTED = """
    update builds set status = 'PROVISIONING', started_at = coalesce(started_at, $2), executor = $3
    where build_id = $1 and finished_at is null"""
_FINISHED = """
    update builds set status = $2, finished_at = $3, error = $4
    where build_id = $1 and finished_at is null"""
_ERASED: Final = tuple(
    f"delete from {table} where deployment_id = $1"  # noqa: S608 - names of our own tables
    for table in ("deployments", "deployment_statuses", "builds")
)

ENDS: Final = (DeploymentSucceeded, DeploymentDestroyed, UnsuccessfulEvent)
"""What ends a build."""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope) or not isinstance(change.data, DeploymentEvent):
        return
    event = change.data
    match event:
        case DeploymentQueued():
            yield from _queued(change, event)
        case DeploymentErased(deployment_id=deployment_id):
            yield from ((sql, (deployment_id,)) for sql in _ERASED)
        case BuildEvent():
            yield from _moved(change, event)
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
            change.time,
            event.build_id,
            event.action,
        ),
    )


def status_of(event: DeploymentEvent) -> str | None:  # noqa: PLR0911 - one return for each message
    """Return the status that a deployment has by this message, or nothing."""
    match event:
        case DeploymentQueued():
            return "QUEUED"
        case DeploymentProvisioning(action="CREATE"):
            return "PROVISIONING"
        case DeploymentUpdating() | DeploymentProvisioning(action="UPDATE"):
            return "UPDATING"
        case DeploymentDestroying() | DeploymentProvisioning(action="DESTROY"):
            return "DESTROYING"
        case DeploymentSucceeded():
            return "SUCCESS"
        case DeploymentDestroyed():
            return "DESTROYED"
        case UnsuccessfulEvent():
            return event.deployment_status or build_status_of(event)
        case DeploymentErased():
            return "ERASED"
        case _:
            return None


def build_status_of(event: DeploymentEvent) -> str:
    """Return the status that a build has by the message that ends it."""
    match event:
        case DeploymentFailed():
            return "FAILED"
        case DeploymentCancelled():
            return "CANCELLED"
        case DeploymentTimedOut():
            return "TIMED_OUT"
        case _:
            return "SUCCESS"


def _moved(change: Envelope[DeploymentEvent], event: BuildEvent) -> Iterator[Statement]:
    status = status_of(event)
    if status is None:
        return
    error = _error(event)
    error_json = None if error is None else error.model_dump_json()
    if isinstance(event, DeploymentUpdating | DeploymentDestroying):
        yield _BUILD, _waiting(change, event)
    outputs = event.outputs if isinstance(event, DeploymentSucceeded) else None
    head = (event.deployment_id, status, change.sequence, change.time)
    yield _MOVED, (*head, error_json, _owns_resources(event), outputs)
    if not isinstance(event, DeploymentProvisioning) or event.action == "CREATE":
        place = (event.deployment_id, change.sequence)
        yield _STATUS, (*place, status, event.build_id, change.time)
    if isinstance(event, DeploymentProvisioning):
        yield _STARTED, (event.build_id, change.time, event.executor)
    if isinstance(event, ENDS):
        yield _FINISHED, (event.build_id, build_status_of(event), change.time, error_json)
        if event.action == "UPDATE" and getattr(event, "state_changed", True):
            yield _MADE_OF, (event.deployment_id, event.build_id)


def _waiting(
    change: Envelope[DeploymentEvent], event: DeploymentUpdating | DeploymentDestroying
) -> tuple[object, ...]:
    made_of = (
        (event.module_name, event.module_version, event.variables)
        if isinstance(event, DeploymentUpdating)
        else (None, None, None)
    )
    head = (event.build_id, event.deployment_id, event.action, change.time, event.user_id)
    return (*head, *made_of)


def _owns_resources(event: BuildEvent) -> bool | None:
    """Return whether the deployment owns resources by this message; nothing if it is silent."""
    match event:
        case DeploymentSucceeded() | UnsuccessfulEvent():
            return event.owns_resources
        case DeploymentDestroyed():
            return False
        case _:
            return None


def _error(event: BuildEvent) -> BuildError | None:
    match event:
        case DeploymentFailed(error=error):
            return error
        case DeploymentTimedOut(limit_seconds=limit_seconds):
            message = f"took longer than {limit_seconds} seconds"
            return BuildError(code="TIMED_OUT", message=message, platform_fault=False)
        case _:
            return None


DEPLOYMENTS = SqlProjection(
    "deployments",
    _statements,
    tables=("deployments", "deployment_statuses", "builds", "deployment_counts"),
    by_stream=True,
)
