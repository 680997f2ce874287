"""What a call is answered with once another service has answered the request that it put."""

from typing import Any, Final, Literal

import structlog
from starlette.responses import Response

from services.gateway.answers import Answer
from services.gateway.credentials import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.json_bytes import json_bytes
from services.gateway.http.problems import ProblemError, problem_body
from services.gateway.http.shapes import Output, Problem


class Pending(Output):
    """A request that is not answered yet, or was: then with what came of it, or why not."""

    id: str
    status: Literal["PENDING", "DONE", "REFUSED"]
    result: Any
    problem: Problem | None


PENDING: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": Pending,
        "description": "It takes longer than 5 seconds: ask again at `Location`.",
        "headers": {
            "Location": {"description": "`/api/requests/{id}`", "schema": {"type": "string"}}
        },
    }
}
"""The answer that a call gives when the outcome is not known in time."""


_PUT_BY_FINANCE: Final = frozenset(
    {"award", "purchase", "adjustment", "refund", "verification", "close"}
)


async def conclude(gateway: Gateway, asker: Principal, answer: Answer) -> Any:
    """Return what came of a request; raise its problem; or answer 202 while it is pending."""
    match answer.status:
        case "DONE":
            return await result_of(gateway, asker, answer)
        case "REFUSED":
            raise refused(answer)
        case "PENDING":
            return look_again(answer.request_id, "PENDING", None)


def look_again(request_id: str, status: Literal["PENDING", "DONE"], result: Any) -> Response:
    """Answer 202: what came of a request is there, or will be, at `Location`."""
    body = {"id": request_id, "status": status, "result": result, "problem": None}
    headers = {"Location": f"/api/requests/{request_id}"}
    return Response(
        json_bytes(body), status_code=202, headers=headers, media_type="application/json"
    )


async def result_of(gateway: Gateway, asker: Principal, answer: Answer) -> Any:
    """Return what came of a request that was done, as the call that put it answers.

    A 403 where the asker has lost the role that it took to put it.
    """
    from services.gateway.http.checkout import shown_checkout
    from services.gateway.http.credits import line_shown, lot_shown
    from services.gateway.http.deployments import created_deployment, shown_deployment
    from services.gateway.http.ledger import shown_verification
    from services.gateway.http.modules import shown_module
    from services.gateway.http.statements import shown_month
    from services.gateway.http.syncs import shown_sync
    from services.gateway.http.webhook_deliveries import WebhookQueued
    from services.gateway.http.webhooks import shown_webhook

    if answer.kind in _PUT_BY_FINANCE and not asker.has("finance", "admin"):
        raise ProblemError("FORBIDDEN")
    match answer.kind:
        case "deployment":
            return await created_deployment(gateway, answer.resource_id)
        case "cancel" | "update" | "destroy" | "retry" | "rating":
            return await shown_deployment(gateway, asker, answer.resource_id)
        case "feature":
            return await shown_module(gateway, asker, answer.resource_id)
        case "award" | "purchase":
            return await lot_shown(gateway, answer.resource_id)
        case "adjustment" | "refund":
            return await line_shown(gateway, answer.resource_id)
        case "checkout":
            return await shown_checkout(gateway, asker, answer.resource_id)
        case "verification":
            return await shown_verification(gateway, answer.resource_id)
        case "close":
            return await shown_month(gateway, answer.resource_id)
        case "sync":
            return await shown_sync(gateway, asker, answer.resource_id)
        case "webhook":
            return await shown_webhook(gateway, asker, answer.resource_id)
        case "webhook_removal":
            return None
        case "webhook_delivery":
            return WebhookQueued(delivery_id=answer.resource_id)
        case _:
            raise LookupError(f"no call puts requests of the kind {answer.kind}")


def refused(answer: Answer) -> ProblemError:
    """Return why a request was refused, by whoever it was put to."""
    problem = answer.problem or {"code": "INTERNAL_ERROR", "detail": ""}
    return ProblemError(
        problem["code"],
        problem["detail"],
        errors=problem.get("errors", ()),
        **{
            "current_status" if name == "status" else name: value
            for name, value in problem.get("members", {}).items()
        },
    )


def problem_of(answer: Answer) -> Problem | None:
    """Return the problem of a request that was refused, as the call would have answered it."""
    if answer.status != "REFUSED":
        return None
    error = refused(answer)
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    body = problem_body(
        error.code,
        str(error.detail),
        request_id=str(request_id),
        errors=error.errors,
        members=error.members,
    )
    return Problem(**body)
