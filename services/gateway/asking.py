"""Putting a request to another service, and waiting, bounded, for its answer."""

from collections.abc import Mapping

from services.gateway.answers import Answer, pending
from services.gateway.credentials import Principal
from services.gateway.events import RequestFact
from services.gateway.gateway import Gateway
from services.gateway.handlers import Ask


async def ask(
    gateway: Gateway,
    asker: Principal,
    request_id: str,
    fact: RequestFact,
    *,
    seen: Mapping[str, int] | None = None,
    data_key: str | None = None,
    waits: bool = True,
) -> Answer:
    """Return the request as it is answered, or as it stands when that takes too long.

    `seen` are the streams, and how far, that whoever answers must have applied as well. A request
    that was put before under this id is not put again; its answer is returned.
    """
    outcome = await gateway.execute(
        Ask(
            actor=asker.user_id,
            correlation_id=request_id,
            request_id=request_id,
            fact=fact,
            seen=dict(seen or {}),
            data_key=data_key,
        )
    )
    if waits:
        put = pending(request_id, outcome.records[0]) if outcome.records else None
        answer = await gateway.answers.wait(request_id, put=put)
    else:
        answer = await gateway.answers.read(request_id)
    if answer is None:
        raise LookupError(f"request {request_id} was put and is not there")
    return answer
