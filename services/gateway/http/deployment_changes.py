"""What can be done with a deployment that is there: update, destroy, cancel, retry.

The deployer decides; what the present status forbids is its `ILLEGAL_TRANSITION`. Each call is
answered with 202 once the build is queued, or in the case of a cancellation has ended.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from contracts.types import Ordinal
from services.gateway.asking import ask
from services.gateway.credentials import Principal
from services.gateway.events import (
    CancelAsked,
    DestroyAsked,
    RequestFact,
    RetryAsked,
    UpdateAsked,
)
from services.gateway.gateway import Gateway
from services.gateway.http.access import signed_in
from services.gateway.http.deployment_shapes import ACTIVE, DeploymentOut
from services.gateway.http.deployments import (
    WORTH_DOING_FOR,
    shown_deployment,
    visible_deployment,
)
from services.gateway.http.outcomes import Pending, conclude
from services.gateway.http.parameters import Asker, IdInPath, OperationId, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.quotes import Variables
from services.gateway.http.route import check_if_match, resource
from services.gateway.http.shapes import Input
from services.gateway.queries.modules import module_version

router = resource("Deployments")


class DeploymentUpdate(Input):
    """The variables that the deployment shall have, all of them, and the module's version.

    A variable that is left out gets the module's default. Only a sensitive one that is left out,
    or sent back as the `(sensitive value)` that is shown for it, keeps its value: it is write-only.
    Where the version would show it, it must be given anew (`NO_LONGER_SENSITIVE`).
    Without `version` the deployment stays at the one that it has.
    """

    variables: Variables
    version: Ordinal | None = None


@router.put(
    "/api/deployments/{deployment_id}", status_code=202, response_model=DeploymentOut | Pending
)
@signed_in
async def update(
    *,
    deployment_id: IdInPath,
    body: DeploymentUpdate,
    request: Request,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> DeploymentOut | Response:
    """Give a live deployment other variables, another version of its module, or both.

    It costs nothing. An update that fails leaves the deployment `SUCCESS`, with what the build had
    changed by then, and its last build failed: see `builds` and `error`.
    """
    row = await _own(gateway, asker, deployment_id)
    if "if-match" in request.headers:
        check_if_match(request, await shown_deployment(gateway, asker, deployment_id))
    version = body.version or row["version"]
    async with gateway.connection() as connection:
        if await module_version(connection, row["module_id"], version) is None:
            raise ProblemError("UNKNOWN_MODULE_VERSION", f"there is no version {version}")
    if row["data_key"] is None:
        raise ProblemError("NOT_FOUND")
    asked = UpdateAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        deployment_id=deployment_id,
        module_id=row["module_id"],
        module_version=version,
        variables=gateway.vault.seal_json(row["data_key"], body.variables),
    )
    return await _ask(gateway, asker, request_id, asked, f"module-{row['module_id']}")


@router.delete(
    "/api/deployments/{deployment_id}", status_code=202, response_model=DeploymentOut | Pending
)
@signed_in
async def destroy(
    deployment_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> DeploymentOut | Response:
    """Destroy all that a deployment owns; nothing is given back for it.

    What owns nothing is `DESTROYED` at once. A changed or withdrawn module does not stand in the
    way: Terraform runs with the source and the variables that the resources were made of.
    """
    await _own(gateway, asker, deployment_id)
    asked = DestroyAsked(expires_at=gateway.now + WORTH_DOING_FOR, deployment_id=deployment_id)
    return await _ask(gateway, asker, request_id, asked)


@router.post(
    "/api/deployments/{deployment_id}/retry",
    status_code=202,
    response_model=DeploymentOut | Pending,
)
@signed_in
async def retry(
    deployment_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> DeploymentOut | Response:
    """Try the build again that ended last, and not well.

    To create again costs what the deployment costs: the credits that were held before were given
    back. To update or to destroy again costs nothing.
    """
    row = await _own(gateway, asker, deployment_id)
    asked = RetryAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        deployment_id=deployment_id,
        module_id=row["module_id"],
    )
    return await _ask(gateway, asker, request_id, asked, f"module-{row['module_id']}")


@router.post(
    "/api/deployments/{deployment_id}/cancel",
    status_code=202,
    response_model=DeploymentOut | Pending,
)
@signed_in
async def cancel(
    deployment_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> DeploymentOut | Response:
    """Cancel a build that waits or runs: answered once it has ended, or will take longer."""
    row = await _own(gateway, asker, deployment_id)
    if row["status"] not in ACTIVE and await gateway.answers.read(request_id) is None:
        raise ProblemError(
            "ILLEGAL_TRANSITION",
            f"the deployment is {row['status']}: there is nothing to cancel",
            current_status=row["status"],
        )
    asked = CancelAsked(expires_at=gateway.now + WORTH_DOING_FOR, deployment_id=deployment_id)
    return await _ask(gateway, asker, request_id, asked)


async def _own(gateway: Gateway, asker: Principal, deployment_id: str) -> dict[str, Any]:
    """Return the row of a deployment that is the asker's to change."""
    async with gateway.connection() as connection:
        row = await visible_deployment(connection, asker, deployment_id)
    if row["user_id"] != asker.user_id and not asker.has("admin"):
        raise ProblemError("FORBIDDEN")
    return row


async def _ask(
    gateway: Gateway,
    asker: Principal,
    request_id: str,
    asked: CancelAsked | UpdateAsked | DestroyAsked | RetryAsked,
    *streams: str,
) -> DeploymentOut | Response:
    """Ask the deployer, which must have applied what we have of the deployment and of these."""
    seen = await gateway.sequences(f"deployment-{asked.deployment_id}", *streams)
    fact: RequestFact = asked
    answer = await ask(gateway, asker, request_id, fact, seen=seen)
    result: DeploymentOut | Response = await conclude(gateway, asker, answer)
    return result
