"""Webhooks: a payee's endpoints, which revenue tells of each thing that they earn."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from contracts.types import ShortText
from contracts.webhook_rules import (
    WEBHOOK_EVENTS,
    WebhookEvent,
    WebhookUrlError,
    check_url,
)
from runtime.sealing import seal
from services.gateway.asking import ask
from services.gateway.credentials import Principal
from services.gateway.events import user_stream
from services.gateway.gateway import Gateway
from services.gateway.http.access import only
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.outcomes import PENDING, conclude, look_again
from services.gateway.http.parameters import (
    Asker,
    IdInPath,
    OperationId,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import check_if_match, resource
from services.gateway.http.shapes import Input, Output, Page, by_time, left_out, page
from services.gateway.queries.webhooks import (
    list_webhooks,
    webhook_of,
)
from services.gateway.webhook_requests import (
    WebhookAsked,
    WebhookChangeAsked,
    WebhookRemovalAsked,
    WebhookRequest,
    WebhookRotationAsked,
)

router = resource("Webhooks")

WORTH_DOING_FOR: Final = timedelta(minutes=10)
SECRET_BYTES: Final = 32

Events = Annotated[
    list[WebhookEvent],
    Field(min_length=1, max_length=len(WEBHOOK_EVENTS), examples=[["revenue.share_accrued"]]),
]
Address = Annotated[ShortText, Field(min_length=1, examples=["https://hooks.example.com/tollgate"])]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class NewWebhook(Input):
    """Where one wants to be told, and of what."""

    url: Address
    events: Events
    description: Description | None = None


class WebhookChange(Input):
    """What shall be another; what is left out stays. What waits is sent once it is enabled."""

    url: Address = left_out()
    events: Events = left_out()
    description: Description | None = left_out()
    enabled: bool = left_out()


class Webhook(Output):
    """An endpoint. `disabled_reason` tells why it was disabled, where its owner has not done it.

    `failing_since` is when it first failed after it last took something. Until
    `both_secrets_until` deliveries are signed with the secret before as well.
    """

    id: str
    url: str
    events: list[WebhookEvent]
    description: str | None
    status: Literal["ENABLED", "DISABLED"]
    disabled_reason: Literal["GONE", "FAILING", "ROLE_LOST", "DEACTIVATED"] | None
    failing_since: datetime | None
    both_secrets_until: datetime | None
    created_at: datetime
    changed_at: datetime


class WebhookWithSecret(Webhook):
    """An endpoint with its signing secret, which is shown this once."""

    secret: Annotated[str, Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]


@router.post("/api/webhooks", status_code=201, responses=PENDING, response_model=WebhookWithSecret)
@only("partner", "agent")
async def register_webhook(
    body: NewWebhook, gateway: TheGateway, asker: Asker, webhook_id: OperationId
) -> WebhookWithSecret | Response:
    """Register an endpoint, up to 10. The answer shows its signing secret, which none other does.

    An answer that is pending (202) does not show it, nor one to a call that is made again after the
    first had no answer: rotate the secret then.
    """
    _check_url(gateway, body.url)
    secret, sealed = _new_secret(gateway)
    asked = WebhookAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        webhook_id=webhook_id,
        url=body.url,
        event_types=_once_each(body.events),
        description=body.description or None,
        sealed_secret=sealed,
    )
    return await _with_secret(gateway, asker, webhook_id, asked, secret)


@router.get("/api/webhooks")
@only("partner", "agent")
async def webhooks(
    gateway: TheGateway, asker: Asker, cursors: TheCursors, paging: ThePaging
) -> Page[Webhook]:
    """List one's endpoints, the oldest first."""
    scope = {"list": "webhooks", "owner": asker.user_id}
    after = cursors.read(scope, paging.cursor, TIME_AND_ID)
    async with gateway.connection() as connection:
        rows = await list_webhooks(connection, asker.user_id, after, paging.limit + 1)
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=by_time("created_at"),
        item=_webhook,
    )
    return Page(items=items, next_cursor=cursor)


@router.get("/api/webhooks/{webhook_id}")
@only("partner", "agent")
async def webhook(webhook_id: IdInPath, gateway: TheGateway, asker: Asker) -> Webhook:
    """Read an endpoint of one's own."""
    return await shown_webhook(gateway, asker, webhook_id)


@router.patch("/api/webhooks/{webhook_id}", responses=PENDING, response_model=Webhook)
@only("partner", "agent")
async def change_webhook(
    *,
    webhook_id: IdInPath,
    body: WebhookChange,
    request: Request,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> Webhook | Response:
    """Change where and of what one is told, or whether."""
    before = await shown_webhook(gateway, asker, webhook_id)
    check_if_match(request, before)
    given = body.model_fields_set
    if not given:
        return before
    if "url" in given:
        _check_url(gateway, body.url)
    asked = WebhookChangeAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        webhook_id=webhook_id,
        url=body.url if "url" in given else None,
        event_types=_once_each(body.events) if "events" in given else None,
        description=(body.description or "") if "description" in given else None,
        enabled=body.enabled if "enabled" in given else None,
    )
    changed: Webhook | Response = await put(gateway, asker, request_id, asked)
    return changed


@router.delete("/api/webhooks/{webhook_id}", status_code=204, responses=PENDING)
@only("partner", "agent")
async def remove_webhook(
    webhook_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Response:
    """Remove an endpoint with its log, and with all that waits for it."""
    await shown_webhook(gateway, asker, webhook_id)
    expires_at = gateway.now + WORTH_DOING_FOR
    asked = WebhookRemovalAsked(expires_at=expires_at, webhook_id=webhook_id)
    pending = await put(gateway, asker, request_id, asked)
    return Response(status_code=204) if pending is None else pending


@router.post(
    "/api/webhooks/{webhook_id}/rotate", responses=PENDING, response_model=WebhookWithSecret
)
@only("partner", "agent")
async def rotate_secret(
    webhook_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> WebhookWithSecret | Response:
    """Give an endpoint a new secret; for 24 hours deliveries are signed with the old one too."""
    await shown_webhook(gateway, asker, webhook_id)
    secret, sealed = _new_secret(gateway)
    asked = WebhookRotationAsked(
        expires_at=gateway.now + WORTH_DOING_FOR, webhook_id=webhook_id, sealed_secret=sealed
    )
    return await _with_secret(gateway, asker, request_id, asked, secret)


@router.post("/api/webhooks/{webhook_id}/enable", responses=PENDING, response_model=Webhook)
@only("partner", "agent")
async def enable_webhook(
    webhook_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Webhook | Response:
    """Have an endpoint told again, of what waited since it was disabled too."""
    await shown_webhook(gateway, asker, webhook_id)
    asked = WebhookChangeAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        webhook_id=webhook_id,
        url=None,
        event_types=None,
        description=None,
        enabled=True,
    )
    enabled: Webhook | Response = await put(gateway, asker, request_id, asked)
    return enabled


async def shown_webhook(gateway: Gateway, asker: Principal, webhook_id: str) -> Webhook:
    """Return an endpoint of the asker's; else a 404."""
    async with gateway.connection() as connection:
        row = await webhook_of(connection, asker.user_id, webhook_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return _webhook(row)


async def _with_secret(
    gateway: Gateway, asker: Principal, request_id: str, asked: WebhookRequest, secret: str
) -> WebhookWithSecret | Response:
    """Put a request, and show the secret that it brings.

    Where a call before this one put it, and died before it answered, the endpoint has the secret
    of that one, which nobody knows any more: then none is shown.
    """
    put_before = await gateway.answers.read(request_id)
    outcome: Webhook | Response = await put(gateway, asker, request_id, asked)
    if not isinstance(outcome, Webhook):
        return outcome
    if put_before is not None:
        return look_again(request_id, "DONE", outcome.model_dump(mode="json"))
    return WebhookWithSecret(**outcome.model_dump(), secret=secret)


async def put(gateway: Gateway, asker: Principal, request_id: str, asked: WebhookRequest) -> Any:
    """Put a request, and return what the call is answered with."""
    seen = await gateway.sequences(user_stream(asker.user_id))
    answer = await ask(gateway, asker, request_id, asked, seen=seen)
    return await conclude(gateway, asker, answer)


def _check_url(gateway: Gateway, url: str) -> None:
    try:
        check_url(url, allow_loopback=gateway.settings.allow_private_webhooks)
    except WebhookUrlError as error:
        wrong = {"pointer": "/url", "message": str(error), "code": "INVALID_WEBHOOK_URL"}
        detail = f"/url {error}"
        raise ProblemError("INVALID_WEBHOOK_URL", detail, errors=[wrong]) from None


def _once_each(events: list[WebhookEvent]) -> tuple[WebhookEvent, ...]:
    return tuple(event for event in WEBHOOK_EVENTS if event in events)


def _new_secret(gateway: Gateway) -> tuple[str, str]:
    """Return a new signing secret, and the same sealed for revenue, which alone will keep it."""
    key = gateway.settings.revenue_sealing_public_key
    if key is None:
        raise ProblemError("WEBHOOKS_NOT_CONFIGURED")
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
    return secret, seal(secret.encode(), key)


def _webhook(row: Mapping[str, Any]) -> Webhook:
    shown = {name: value for name, value in row.items() if name not in {"owner_id", "enabled"}}
    return Webhook(**shown, status="ENABLED" if row["enabled"] else "DISABLED")
