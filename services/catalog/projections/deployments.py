"""Each deployment with its module, and whether it owns resources: for the report of a sync."""

from collections.abc import Sequence

import asyncpg

from contracts.deployer.v1 import DeploymentEvent, DeploymentQueued, DeploymentSucceeded
from contracts.envelope import Envelope
from runtime.projector import Change


class Deployments:
    """A row for each deployment."""

    name = "deployments"

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Bring the rows up to date, in the order of the messages."""
        for change in changes:
            if isinstance(change, Envelope) and isinstance(change.data, DeploymentEvent):
                await _apply(connection, change.data)


async def _apply(connection: asyncpg.Connection, event: DeploymentEvent) -> None:
    if isinstance(event, DeploymentQueued):
        await connection.execute(
            """insert into deployments (deployment_id, module_id, live) values ($1, $2, false)
               on conflict (deployment_id) do nothing""",
            event.deployment_id,
            event.module_id,
        )
    live = owns_resources(event)
    if live is not None:
        await connection.execute(
            "update deployments set live = $2 where deployment_id = $1", event.deployment_id, live
        )


def owns_resources(event: DeploymentEvent) -> bool | None:
    """Return whether the deployment owns resources by this message; nothing where it is silent."""
    if isinstance(event, DeploymentSucceeded):
        return event.action != "DESTROY"
    owns: bool | None = getattr(event, "owns_resources", None)
    return owns
