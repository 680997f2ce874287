"""What people put on modules: pins of their own, stars, and what admins feature.

A mark that is there already is answered at once; else whoever decides it is asked.
"""

from datetime import timedelta
from typing import Final

from starlette.responses import Response

from contracts.types import Stars
from services.gateway.answers import Answer
from services.gateway.asking import ask
from services.gateway.credentials import Principal
from services.gateway.decider.pins import PinModule
from services.gateway.events import FeatureAsked, RatingAsked
from services.gateway.gateway import Gateway
from services.gateway.handlers import SetPin
from services.gateway.http.access import only, signed_in
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import Asker, IdInPath, OperationId, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input
from services.gateway.queries.deployments import deployment_by_id
from services.gateway.queries.modules import visible_module

router = resource("Modules")

WORTH_DOING_FOR: Final = timedelta(minutes=5)
_NO_CONTENT: Final = 204


class NewRating(Input):
    """How many stars, 1 to 5."""

    stars: Stars


@router.put("/api/modules/{module_id}/pin", status_code=_NO_CONTENT)
@signed_in
async def pin(module_id: IdInPath, gateway: TheGateway, asker: Asker) -> Response:
    """Have a module before all others, in your own lists; 200 at most."""
    return await _set_pin(gateway, asker, PinModule(module_id, pinned=True))


@router.delete("/api/modules/{module_id}/pin", status_code=_NO_CONTENT)
@signed_in
async def unpin(module_id: IdInPath, gateway: TheGateway, asker: Asker) -> Response:
    """Have a module before all others no longer."""
    return await _set_pin(gateway, asker, PinModule(module_id, pinned=False))


async def _set_pin(gateway: Gateway, asker: Principal, wanted: PinModule) -> Response:
    await _module(gateway, asker, wanted.module_id)
    await gateway.execute(SetPin(actor=asker.user_id, pin=wanted))
    return Response(status_code=_NO_CONTENT)


@router.put("/api/modules/{module_id}/featured", status_code=_NO_CONTENT, responses=PENDING)
@only("admin")
async def feature(
    module_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Response:
    """Put a module before others, for everybody."""
    return await _set_featured(gateway, asker, request_id, module_id, featured=True)


@router.delete("/api/modules/{module_id}/featured", status_code=_NO_CONTENT, responses=PENDING)
@only("admin")
async def unfeature(
    module_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Response:
    """Put a module before others no longer."""
    return await _set_featured(gateway, asker, request_id, module_id, featured=False)


async def _set_featured(
    gateway: Gateway, asker: Principal, request_id: str, module_id: str, *, featured: bool
) -> Response:
    row = await _module(gateway, asker, module_id)
    if row["featured"] == featured:
        return Response(status_code=_NO_CONTENT)
    asked = FeatureAsked(
        expires_at=gateway.now + WORTH_DOING_FOR, module_id=module_id, featured=featured
    )
    return await _answered(gateway, asker, await ask(gateway, asker, request_id, asked))


@router.put("/api/deployments/{deployment_id}/rating", status_code=_NO_CONTENT, responses=PENDING)
@signed_in
async def rate(
    deployment_id: IdInPath,
    body: NewRating,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> Response:
    """Rate the module of a deployment of yours that succeeded; the last stars count."""
    async with gateway.connection() as connection:
        row = await deployment_by_id(connection, deployment_id)
    if row is None or row["user_id"] != asker.user_id:
        raise ProblemError("NOT_FOUND")
    if row["rating"] == body.stars:
        return Response(status_code=_NO_CONTENT)
    asked = RatingAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        deployment_id=deployment_id,
        module_id=row["module_id"],
        stars=body.stars,
    )
    seen = await gateway.sequences(f"deployment-{deployment_id}")
    return await _answered(gateway, asker, await ask(gateway, asker, request_id, asked, seen=seen))


async def _module(gateway: Gateway, asker: Principal, module_id: str) -> dict[str, object]:
    """Return a module that the asker may see; else a 404."""
    async with gateway.connection() as connection:
        row = await visible_module(connection, asker.user_id, module_id)
    if row is None:
        raise ProblemError("UNKNOWN_MODULE", f"there is no module {module_id}")
    return row


async def _answered(gateway: Gateway, asker: Principal, answer: Answer) -> Response:
    if answer.status == "DONE":
        return Response(status_code=_NO_CONTENT)
    response: Response = await conclude(gateway, asker, answer)
    return response
