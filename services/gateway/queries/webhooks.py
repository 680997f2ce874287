"""Webhooks and their deliveries, as their owner sees them."""

from datetime import datetime
from typing import Any, Final

from runtime.connection import Connection

_WEBHOOK: Final = """
    select webhook_id as id, owner_id, url, event_types as events, description, enabled,
           disabled_reason, failing_since, both_secrets_until, created_at, changed_at
    from webhooks where owner_id = $1"""
_DELIVERY: Final = """
    select delivery_id as id, webhook_id, event_type as type, event_sequence as sequence, status,
           attempts, answer_status, error, duration_ms, queued_at, attempted_at, next_attempt_at
    from webhook_deliveries where webhook_id = $1"""


async def list_webhooks(
    connection: Connection, owner_id: str, after: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Return an owner's webhooks, the oldest first."""
    rows = await connection.fetch(
        f"""{_WEBHOOK} and ($2::timestamptz is null or (created_at, webhook_id) > ($2, $3))
        order by created_at, webhook_id limit $4""",
        owner_id,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def webhook_of(
    connection: Connection, owner_id: str, webhook_id: str
) -> dict[str, Any] | None:
    """Return an owner's webhook; nothing where there is none, or it is another's."""
    row = await connection.fetchrow(f"{_WEBHOOK} and webhook_id = $2", owner_id, webhook_id)
    return None if row is None else dict(row)


async def list_deliveries(
    connection: Connection, webhook_id: str, after: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Return the deliveries to a webhook that were attempted, the latest queued first."""
    rows = await connection.fetch(
        f"""{_DELIVERY} and ($2::timestamptz is null or (queued_at, delivery_id) < ($2, $3))
        order by queued_at desc, delivery_id desc limit $4""",
        webhook_id,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def has_delivery(connection: Connection, webhook_id: str, delivery_id: str) -> bool:
    """Return whether something was sent to a webhook under this id."""
    found = await connection.fetchval(
        "select true from webhook_deliveries where webhook_id = $1 and delivery_id = $2",
        webhook_id,
        delivery_id,
    )
    return found is True
