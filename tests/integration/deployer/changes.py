"""What users ask of a deployment that is there, as the gateway tells it."""

from datetime import UTC, datetime
from typing import Any

from contracts.gateway import v1 as gateway
from runtime.clock import system_clock
from runtime.ids import new_id
from tests.integration.deployer.driver import Deployer

FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


async def update(
    deployer: Deployer,
    deployment_id: str,
    module_id: str,
    values: Any,
    module_version: int = 1,
) -> None:
    """Ask for other variables, or another version of the module."""
    variables = deployer.keys[deployment_id].encrypt_json(values)
    head = _head(deployment_id)
    event = gateway.DeploymentUpdateRequested(
        **head, module_id=module_id, module_version=module_version, variables=variables
    )
    await _ask(deployer, event)


async def destroy(deployer: Deployer, deployment_id: str) -> None:
    """Ask for all that it owns to be destroyed."""
    await _ask(deployer, gateway.DeploymentDestroyRequested(**_head(deployment_id)))


def _head(deployment_id: str) -> dict[str, Any]:
    return {
        "request_id": new_id(),
        "requested_by": "user-1",
        "requested_at": system_clock.now(),
        "expires_at": FOREVER,
        "deployment_id": deployment_id,
    }


async def _ask(deployer: Deployer, event: gateway.Request) -> None:
    await deployer.tell("gateway", f"request-{event.request_id}", event, event.request_id)
