"""Where Stripe says that something happened: believed under its signature, and only as a hint."""

from datetime import timedelta
from typing import Annotated, Final, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from contracts.stripe_events import STRIPE_EVENTS
from contracts.types import ForeignId, Id
from services.gateway.events import StripeEventTaken
from services.gateway.handlers import Ask
from services.gateway.http.access import anyone_afresh
from services.gateway.http.parameters import TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Output
from services.gateway.stripe_signature import SignatureError, check_signature

router = resource("Hooks")

STRIPE: Final = "stripe"
"""Who says what a webhook says."""
WORTH_KNOWING_FOR: Final = timedelta(days=30)


class _Lax(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _About(_Lax):
    id: ForeignId
    object: Annotated[str, Field(min_length=1, max_length=100)]


class _Data(_Lax):
    object: _About


class _Event(_Lax):
    """What of an event is read: Stripe may add fields at any time."""

    id: Id
    object: Literal["event"]
    type: Annotated[str, Field(max_length=200)]
    data: _Data


class _Any(_Lax):
    type: Annotated[str, Field(max_length=200)]


class Received(Output):
    """What was sent has been kept, or is not of use here."""

    received: Literal[True] = True


@router.post("/api/hooks/stripe")
@anyone_afresh
async def stripe_hook(request: Request, gateway: TheGateway) -> Received:
    """Take an event of Stripe's; for Stripe only, which signs what it sends."""
    secret = gateway.settings.stripe_webhook_secret
    if secret is None:
        raise ProblemError("STRIPE_NOT_CONFIGURED")
    body = await request.body()
    try:
        check_signature(
            body,
            request.headers.get("stripe-signature"),
            secret=secret.get_secret_value(),
            now=int(gateway.now.timestamp()),
        )
    except SignatureError as error:
        structlog.get_logger().warning("stripe_hook.refused", code=error.code)
        raise ProblemError(error.code) from error
    event = _read(body)
    if event is not None:
        await gateway.execute(
            Ask(
                actor=STRIPE,
                correlation_id=event.id,
                request_id=event.id,
                fact=StripeEventTaken(
                    expires_at=gateway.now + WORTH_KNOWING_FOR,
                    event_type=event.type,
                    object_id=event.data.object.id,
                    object_type=event.data.object.object,
                ),
            )
        )
    return Received()


def _read(body: bytes) -> _Event | None:
    """Return an event that purchases depend on; nothing of another; a 400 of what is no event."""
    try:
        if _Any.model_validate_json(body).type not in STRIPE_EVENTS:
            return None
        return _Event.model_validate_json(body)
    except ValidationError as error:
        raise ProblemError("BAD_REQUEST", "the body is no event of Stripe's") from error
