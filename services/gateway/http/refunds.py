"""Giving back what a deployment cost."""

from typing import Any

from starlette.responses import Response

from contracts.types import PositiveAmount
from services.gateway.asking import ask
from services.gateway.events import RefundAsked, user_stream
from services.gateway.http.access import only
from services.gateway.http.credit_changes import WORTH_DOING_FOR, Reason
from services.gateway.http.credits import HistoryLine
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import Asker, IdInPath, OperationId, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input
from services.gateway.queries.deployments import deployment_by_id

router = resource("Deployments")


class Refund(Input):
    """Why credits shall be given back, and how many: all that are left, if it is not said."""

    credits: PositiveAmount | None = None
    reason: Reason


@router.post(
    "/api/deployments/{deployment_id}/refund",
    status_code=201,
    responses=PENDING,
    response_model=HistoryLine,
)
@only("admin", "finance")
async def refund(
    deployment_id: IdInPath,
    body: Refund,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> HistoryLine | Response:
    """Give back what a deployment cost, or a part of it; never of one's own.

    Credits return to the lots that they were taken from, purchased ones first.
    """
    async with gateway.connection() as connection:
        row: dict[str, Any] | None = await deployment_by_id(connection, deployment_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    if row["user_id"] == asker.user_id:
        raise ProblemError("SELF_AWARD")
    asked = RefundAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        deployment_id=deployment_id,
        user_id=row["user_id"],
        credits=body.credits,
        reason=body.reason,
    )
    seen = await gateway.sequences(f"deployment-{deployment_id}", user_stream(row["user_id"]))
    answer = await ask(gateway, asker, request_id, asked, seen=seen)
    result: HistoryLine | Response = await conclude(gateway, asker, answer)
    return result
