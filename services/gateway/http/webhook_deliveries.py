"""What is sent to webhooks: tests, the log of deliveries, and what shall be sent again."""

from datetime import datetime
from typing import Literal

from starlette.responses import Response

from contracts.types import Instant
from services.gateway.gateway import Gateway
from services.gateway.http.access import only
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.outcomes import PENDING
from services.gateway.http.parameters import (
    Asker,
    IdInPath,
    OperationId,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input, Output, Page, by_time, page
from services.gateway.http.webhooks import WORTH_DOING_FOR, Webhook, put, shown_webhook
from services.gateway.queries.webhooks import has_delivery, list_deliveries
from services.gateway.webhook_requests import WebhookResendAsked, WebhookTestAsked

router = resource("Webhooks")


class Resend(Input):
    """All that was queued at or after an instant shall be sent again."""

    since: Instant


class Delivery(Output):
    """Something that was sent, and how the last attempt fared; `id` is the `webhook-id` header.

    `sequence` is that of a line of the payee's.
    """

    id: str
    type: str
    sequence: int | None
    status: Literal["RETRYING", "DELIVERED", "GIVEN_UP"]
    attempts: int
    answer_status: int | None
    error: str | None
    duration_ms: int
    queued_at: datetime
    attempted_at: datetime
    next_attempt_at: datetime | None


class WebhookQueued(Output):
    """What will be sent, under this id."""

    delivery_id: str


@router.post("/api/webhooks/{webhook_id}/test", responses=PENDING, response_model=WebhookQueued)
@only("partner", "agent")
async def test_webhook(
    webhook_id: IdInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> WebhookQueued | Response:
    """Send an endpoint a `webhook.test`; how it fares is in the endpoint's deliveries."""
    await shown_webhook(gateway, asker, webhook_id)
    expires_at = gateway.now + WORTH_DOING_FOR
    asked = WebhookTestAsked(expires_at=expires_at, webhook_id=webhook_id)
    queued: WebhookQueued | Response = await put(gateway, asker, request_id, asked)
    return queued


@router.get("/api/webhooks/{webhook_id}/deliveries")
@only("partner", "agent")
async def deliveries(
    webhook_id: IdInPath,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
) -> Page[Delivery]:
    """List what was sent to an endpoint, the latest first, and how it fared."""
    await shown_webhook(gateway, asker, webhook_id)
    scope = {"list": "deliveries", "webhook": webhook_id}
    after = cursors.read(scope, paging.cursor, TIME_AND_ID)
    async with gateway.connection() as connection:
        rows = await list_deliveries(connection, webhook_id, after, paging.limit + 1)
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=by_time("queued_at"),
        item=lambda row: Delivery(**{k: v for k, v in row.items() if k != "webhook_id"}),
    )
    return Page(items=items, next_cursor=cursor)


@router.post(
    "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
    responses=PENDING,
    response_model=WebhookQueued,
)
@only("partner", "agent")
async def resend_delivery(
    webhook_id: IdInPath,
    delivery_id: IdInPath,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> WebhookQueued | Response:
    """Send something again, as it was, under the same `webhook-id`."""
    await shown_webhook(gateway, asker, webhook_id)
    async with gateway.connection() as connection:
        if not await has_delivery(connection, webhook_id, delivery_id):
            raise ProblemError("NOT_FOUND")
    asked = _resend(gateway, webhook_id, delivery_id=delivery_id)
    queued: WebhookQueued | Response = await put(gateway, asker, request_id, asked)
    return queued


@router.post("/api/webhooks/{webhook_id}/resend", responses=PENDING, response_model=Webhook)
@only("partner", "agent")
async def resend_since(
    webhook_id: IdInPath,
    body: Resend,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> Webhook | Response:
    """Send all again that was queued for an endpoint at or after an instant."""
    await shown_webhook(gateway, asker, webhook_id)
    asked = _resend(gateway, webhook_id, since=body.since)
    queued: Webhook | Response = await put(gateway, asker, request_id, asked)
    return queued


def _resend(
    gateway: Gateway,
    webhook_id: str,
    *,
    delivery_id: str | None = None,
    since: datetime | None = None,
) -> WebhookResendAsked:
    return WebhookResendAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        webhook_id=webhook_id,
        delivery_id=delivery_id,
        since=since,
    )
