"""What the deployer tells of a deployment that is there."""

from typing import Any

from contracts.deployer import v1 as deployer
from tests.integration.gateway.neighbours import Deployer


async def updates(played: Deployer, variables: dict[str, Any], version: int) -> None:
    """Have an update wait for a runner."""
    event = deployer.DeploymentUpdating(
        **played.head(),
        module_id=played.asked.module_id,
        module_name="Website",
        module_version=version,
        variables=played.key.encrypt_json(variables),
    )
    await played.tells(event)


async def destroys(played: Deployer) -> None:
    """Have a destroy wait for a runner."""
    await played.tells(deployer.DeploymentDestroying(**played.head()))


async def has_destroyed(played: Deployer) -> None:
    """End a destroy well."""
    await played.tells(deployer.DeploymentDestroyed(**played.head()))


async def erases(played: Deployer) -> None:
    """Erase the deployment."""
    head = {name: played.head()[name] for name in ("deployment_id", "user_id")}
    await played.tells(deployer.DeploymentErased(**head))
