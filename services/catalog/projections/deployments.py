"""Each deployment with its module, and whether it owns resources: for the report of a sync."""

from collections.abc import Sequence

import asyncpg

from contracts.deployer.v1 import (
    DeploymentDestroyed,
    DeploymentErased,
    DeploymentEvent,
    DeploymentQueued,
    DeploymentSucceeded,
    UnsuccessfulEvent,
)
from contracts.envelope import Envelope
from runtime.projector import Change


class Deployments:
    """A row for each deployment."""

    name = "deployments"
    tables = ("deployments",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Bring the rows up to date, in the order of the messages."""
        for change in changes:
            if isinstance(change, Envelope) and isinstance(change.data, DeploymentEvent):
                await _apply(connection, change.data)


async def _apply(connection: asyncpg.Connection, event: DeploymentEvent) -> None:
    match event:
        case DeploymentQueued():
            await connection.execute(
                """insert into deployments (deployment_id, module_id, live) values ($1, $2, false)
                   on conflict (deployment_id) do nothing""",
                event.deployment_id,
                event.module_id,
            )
        case DeploymentSucceeded() | UnsuccessfulEvent():
            await _is_live(connection, event.deployment_id, live=event.owns_resources)
        case DeploymentDestroyed():
            await _is_live(connection, event.deployment_id, live=False)
        case DeploymentErased():
            await connection.execute(
                "delete from deployments where deployment_id = $1", event.deployment_id
            )
        case _:
            return


async def _is_live(connection: asyncpg.Connection, deployment_id: str, *, live: bool) -> None:
    await connection.execute(
        "update deployments set live = $2 where deployment_id = $1", deployment_id, live
    )
