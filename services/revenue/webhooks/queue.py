"""What waits to be sent, kept in the transaction of what it tells of.

Each line is queued for every endpoint of its payee that wants it, enabled or not, so that nothing
is missing once an endpoint is enabled again. It stays for 90 days, in which it may be sent again
at any time (`retention.py`), or until the endpoint is removed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from contracts.webhook_rules import TEST_EVENT
from runtime.ids import new_id
from runtime.projector import Change
from runtime.store import Recorded
from services.revenue.events import ShareAccrued, ShareReversed
from services.revenue.month_facts import StatementClosed
from services.revenue.webhooks.bodies import body, share_data, statement_data
from services.revenue.webhooks.facts import (
    AttemptFailed,
    Delivered,
    DeliveryQueued,
    EndpointChanged,
    EndpointDisabled,
    EndpointRegistered,
    EndpointRemoved,
    SecretRotated,
    WebhookFact,
)
from services.revenue.webhooks.publishing import WEBHOOK_STREAM, owner_of

_REGISTERED: Final = """
    insert into webhook_endpoints (webhook_id, owner_id, url, event_types, enabled)
    values ($1, $2, $3, $4, true) on conflict (webhook_id) do nothing"""
_CHANGED: Final = """
    update webhook_endpoints
    set url = $2, event_types = $3, enabled = $4, failures = 0,
        not_before = case when lease is null then '-infinity' else not_before end
    where webhook_id = $1"""
_DISABLED: Final = "update webhook_endpoints set enabled = false where webhook_id = $1"
_REMOVED: Final = "delete from webhook_endpoints where webhook_id = $1"
_SECRETS_REMOVED: Final = "delete from webhook_secrets where webhook_id = $1"
_ATTEMPTED: Final = """
    update webhook_deliveries set attempts = $2, due_at = $3 where delivery_id = $1"""
_AGAIN: Final = """
    update webhook_deliveries set attempts = 0, due_at = $4
    where webhook_id = $1 and (delivery_id = $2 or ($2 is null and queued_at >= $3))"""
_LAST: Final = "select last_sequence from webhook_endpoints where webhook_id = $1 for update"
_WAKE: Final = """
    update webhook_endpoints
    set due_at = least(due_at, $2), failures = 0,
        not_before = case when lease is null then '-infinity' else not_before end
    where webhook_id = $1"""
_ENDPOINTS: Final = """
    select webhook_id, owner_id, event_types, last_sequence from webhook_endpoints
    where owner_id = any ($1::text[]) order by webhook_id for update"""
_QUEUED: Final = """
    insert into webhook_deliveries (delivery_id, webhook_id, event_type, event_sequence, body,
                                    queued_at, due_at)
    select id, webhook, type, sequence, body, at, at from unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[])
        with ordinality as q (id, webhook, type, sequence, body, at, place)
    order by place"""
_MOVED: Final = """
    update webhook_endpoints as e
    set last_sequence = m.last_sequence, due_at = least(e.due_at, m.due_at)
    from unnest($1::text[], $2::bigint[], $3::timestamptz[]) as m (id, last_sequence, due_at)
    where e.webhook_id = m.id"""


class News(NamedTuple):
    """Something that a payee may be told: a line with a sequence of theirs, or a statement."""

    payee_id: str
    event_type: str
    sequence: int | None
    at: datetime
    data: dict[str, Any]


class WebhookQueue:
    """Keeps endpoints, and queues for them what their owners want to be told."""

    name = "webhook_queue"
    tables: tuple[str, ...] = ()

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Apply what happened to endpoints, then queue the batch's lines and statements."""
        news: list[News] = []
        for change in changes:
            if not isinstance(change, Recorded):
                continue
            if change.stream.startswith(f"{WEBHOOK_STREAM}-"):
                await _apply(connection, change)
            else:
                news += _news(change)
        if news:
            await _queue(connection, news)


def _news(record: Recorded[Any]) -> list[News]:
    match record.fact:
        case ShareAccrued() | ShareReversed() as fact:
            told = "accrued" if isinstance(fact, ShareAccrued) else "reversed"
            kind = f"revenue.share_{told}"
            return [News(fact.payee_id, kind, record.version, record.at, share_data(fact))]
        case StatementClosed() as fact:
            payee, kind = fact.statement.payee_id, "revenue.statement_closed"
            return [News(payee, kind, None, record.at, statement_data(fact))]
        case _:
            return []


async def _queue(connection: asyncpg.Connection, news: list[News]) -> None:
    """Queue news for whoever wants them, each endpoint's in their order."""
    endpoints = await connection.fetch(_ENDPOINTS, sorted({each.payee_id for each in news}))
    rows: list[tuple[Any, ...]] = []
    moved: list[tuple[str, int | None, datetime]] = []
    for endpoint in endpoints:
        last, first_at = endpoint["last_sequence"], None
        for each in news:
            if (
                each.payee_id != endpoint["owner_id"]
                or each.event_type not in endpoint["event_types"]
            ):
                continue
            rows.append(_row(endpoint["webhook_id"], each, last, new_id()))
            last = last if each.sequence is None else each.sequence
            first_at = first_at or each.at
        if first_at is not None:
            moved.append((endpoint["webhook_id"], last, first_at))
    if rows:
        await connection.execute(_QUEUED, *map(list, zip(*rows, strict=True)))
        await connection.execute(_MOVED, *map(list, zip(*moved, strict=True)))


def _row(
    webhook_id: str, news: News, previous_sequence: int | None, delivery_id: str
) -> tuple[Any, ...]:
    text = body(
        delivery_id=delivery_id,
        event_type=news.event_type,
        at=news.at,
        sequence=news.sequence,
        previous_sequence=previous_sequence,
        data=news.data,
    )
    return (delivery_id, webhook_id, news.event_type, news.sequence, text, news.at)


async def _apply(connection: asyncpg.Connection, record: Recorded[WebhookFact]) -> None:
    fact = record.fact
    webhook_id = fact.webhook_id
    match fact:
        case EndpointRegistered():
            types = list(fact.event_types)
            await connection.execute(_REGISTERED, webhook_id, owner_of(record), fact.url, types)
        case EndpointChanged():
            types = list(fact.event_types)
            await connection.execute(_CHANGED, webhook_id, fact.url, types, fact.enabled)
        case EndpointDisabled():
            await connection.execute(_DISABLED, webhook_id)
        case EndpointRemoved():
            await connection.execute(_REMOVED, webhook_id)
            await connection.execute(_SECRETS_REMOVED, webhook_id)
        case Delivered():
            await connection.execute(_ATTEMPTED, fact.delivery_id, fact.attempt, None)
        case AttemptFailed():
            again = fact.next_attempt_at
            await connection.execute(_ATTEMPTED, fact.delivery_id, fact.attempt, again)
        case DeliveryQueued(queued="test", delivery_id=str() as delivery_id):
            last = await connection.fetchval(_LAST, webhook_id)
            data = {"payee_id": owner_of(record)}
            test = News(owner_of(record), TEST_EVENT, None, record.at, data)
            row = _row(webhook_id, test, last, delivery_id)
            await connection.execute(_QUEUED, *([value] for value in row))
            await connection.execute(_WAKE, webhook_id, record.at)
        case DeliveryQueued():
            await connection.execute(_WAKE, webhook_id, record.at)
            await connection.execute(_AGAIN, webhook_id, fact.delivery_id, fact.since, record.at)
        case SecretRotated():
            return
