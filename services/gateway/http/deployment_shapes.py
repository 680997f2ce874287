"""Deployments as the API has them, with what must not be shown masked."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import structlog
from pydantic import Field

from contracts.types import BuildAction, DeploymentStatus, JsonData
from contracts.variables import MASK
from runtime.sealing import SealingError
from services.gateway.gateway import Gateway
from services.gateway.http.shapes import Output

ACTIVE: Final = frozenset({"QUEUED", "PROVISIONING", "UPDATING", "DESTROYING"})


class BuildProblem(Output):
    """Why a build ended badly; `platform_fault` is true where the module is not to blame."""

    code: str
    message: str
    platform_fault: bool


class DeploymentCard(Output):
    """A deployment in a list."""

    id: str
    status: DeploymentStatus
    user_id: str
    user_email: str | None
    module_id: str
    module_name: str
    version: int
    project: str | None
    credit_cost: int
    awarded_part: int
    purchased_part: int
    error: BuildProblem | None
    created_at: datetime
    updated_at: datetime


class StatusChange(Output):
    """A status that a deployment came to."""

    status: DeploymentStatus
    at: datetime
    build_id: str


class Build(Output):
    """One run of Terraform; `version` is the module's that it wants, none where it destroys."""

    id: str
    action: BuildAction
    version: int | None
    status: DeploymentStatus
    executor: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: BuildProblem | None


class OutputValue(Output):
    """A value that the deployment gives back; null where it is sensitive."""

    value: JsonData
    type: JsonData
    sensitive: bool


class Queue(Output):
    """Where a deployment waits, and for what; users take turns.

    `OTHERS_FIRST`: somebody with fewer builds running, or served longer ago, comes before, though
    they asked later. The start is what is expected if builds take as long as they lately did;
    null where none was measured yet.
    """

    position: int
    reason: Literal["WAITING_FOR_A_RUNNER", "OTHERS_FIRST"]
    expected_start_at: datetime | None


class Settlement(Output):
    """What became of the credits that were held, and how many were given back once spent."""

    status: Literal["HELD", "SETTLED", "RELEASED"]
    credits: int
    awarded_part: int
    purchased_part: int
    held_at: datetime
    ended_at: datetime | None
    reason: str | None
    refunded: int


class DeploymentOut(Output):
    """A deployment. Sensitive variables are shown as `(sensitive value)`."""

    id: str
    status: DeploymentStatus
    user_id: str
    module_id: str
    module_name: str
    version: int
    project: str | None
    variables: dict[str, JsonData] | None
    credit_cost: int
    awarded_part: int
    purchased_part: int
    created_at: datetime
    updated_at: datetime
    owns_resources: bool
    error: BuildProblem | None
    status_history: list[StatusChange]
    builds: list[Build]
    outputs: dict[str, OutputValue] | None
    queue: Queue | None
    settlement: Settlement | None
    rating: Annotated[int, Field(ge=1, le=5)] | None


def deployment_out(
    gateway: Gateway,
    row: Mapping[str, Any],
    *,
    sensitive: frozenset[str] | None,
    statuses: Sequence[Mapping[str, Any]],
    builds: Sequence[Mapping[str, Any]],
    hold: Mapping[str, Any] | None,
    queue: Queue | None,
) -> DeploymentOut:
    """Return a deployment as the API has it.

    `sensitive` are the names of its sensitive variables; where they are not known, all are masked.
    """
    same = (
        *("id", "status", "user_id", "module_id", "module_name", "version", "project"),
        *("credit_cost", "awarded_part", "purchased_part", "created_at", "updated_at"),
        *("owns_resources", "error"),
    )
    return DeploymentOut(
        **{name: row[name] for name in same},
        variables=_variables(gateway, row, sensitive),
        status_history=[StatusChange(**each) for each in statuses],
        builds=[Build(**each) for each in builds],
        outputs=_outputs(gateway, row),
        queue=queue,
        settlement=None if hold is None else _settlement(hold),
        rating=row["rating"],
    )


def _settlement(hold: Mapping[str, Any]) -> Settlement:
    return Settlement(
        status=hold["status"],
        credits=hold["cost"],
        awarded_part=hold["awarded_part"],
        purchased_part=hold["purchased_part"],
        held_at=hold["placed_at"],
        ended_at=hold["ended_at"],
        reason=hold["reason"],
        refunded=hold["refunded"],
    )


def _variables(
    gateway: Gateway, row: Mapping[str, Any], sensitive: frozenset[str] | None
) -> dict[str, Any] | None:
    values = _opened(gateway, row, "variables")
    if not isinstance(values, dict):
        return None
    return {
        name: MASK if sensitive is None or name in sensitive else value
        for name, value in values.items()
    }


def _outputs(gateway: Gateway, row: Mapping[str, Any]) -> dict[str, OutputValue] | None:
    values = _opened(gateway, row, "outputs")
    if not isinstance(values, dict):
        return None
    return {
        name: OutputValue(
            value=None if output["sensitive"] else output["value"],
            type=output["type"],
            sensitive=output["sensitive"],
        )
        for name, output in values.items()
    }


def _opened(gateway: Gateway, row: Mapping[str, Any], name: str) -> Any:
    """Return an encrypted value; nothing where there is none, or its key was destroyed."""
    if row[name] is None or row["data_key"] is None:
        return None
    try:
        return gateway.vault.open_json(row["data_key"], row[name])
    except SealingError:
        structlog.get_logger().error("deployment.unreadable", deployment_id=row["id"], value=name)
        return None
