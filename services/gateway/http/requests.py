"""Requests that took longer than a call waits."""

from pydantic import BaseModel

from services.gateway.http.access import signed_in
from services.gateway.http.outcomes import Pending, problem_of, result_of
from services.gateway.http.parameters import Asker, IdInPath, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource

router = resource("Requests")


@router.get("/api/requests/{request_id}")
@signed_in
async def read_request(request_id: IdInPath, gateway: TheGateway, asker: Asker) -> Pending:
    """Read how a request of one's own stands; `result` is what the call would have answered."""
    answer = await gateway.answers.read(request_id)
    if answer is None or answer.requested_by != asker.user_id:
        raise ProblemError("NOT_FOUND")
    result = await result_of(gateway, asker, answer) if answer.status == "DONE" else None
    return Pending(
        id=answer.request_id,
        status=answer.status,
        result=result.model_dump(mode="json") if isinstance(result, BaseModel) else result,
        problem=problem_of(answer),
    )
