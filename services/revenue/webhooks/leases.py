"""Which process sends to which endpoint, for how long, and what is due there.

A process leases an endpoint for a turn. One that is killed leaves a lease that ends by itself, and
what it had not recorded is sent again. Nobody else sends to a leased endpoint, so its deliveries go
out in order, as far as they are taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from runtime.ids import new_id

SECRETS_MAX: Final = 5
"""How many secrets sign at most: the one in force, and those before it of the last 24 hours."""

_CLAIM: Final = """
    with free as materialized (
        select webhook_id from webhook_endpoints
        where enabled and due_at <= $1 and not_before <= $1
        order by due_at limit $4 for update skip locked)
    update webhook_endpoints as e set lease = $2, not_before = $3
    from free where e.webhook_id = free.webhook_id
    returning e.webhook_id, e.owner_id, e.url, e.failures, e.lease"""
_DUE: Final = """
    select d.delivery_id, d.event_type, d.event_sequence, d.body, d.queued_at, d.attempts
    from webhook_deliveries as d join webhook_endpoints as e using (webhook_id)
    where d.webhook_id = $1 and d.due_at <= $2 and e.enabled and e.lease = $3
    order by d.due_at, d.position limit $4"""
_SECRETS: Final = """
    select wrapped from webhook_secrets
    where webhook_id = $1 and (valid_until is null or valid_until > $2)
    order by valid_until desc nulls first limit $3"""
_LOCK: Final = """
    select true from webhook_endpoints where webhook_id = $1 and lease = $2 for update"""
_RELEASE: Final = """
    update webhook_endpoints
    set lease = null, not_before = $2, failures = $3,
        due_at = (select min(d.due_at) from webhook_deliveries as d where d.webhook_id = $1)
    where webhook_id = $1"""
_GIVE_BACK: Final = """
    update webhook_endpoints set lease = null, not_before = '-infinity'
    where lease = any ($1::text[])"""


@dataclass(frozen=True)
class Leased:
    """An endpoint that is this process's to send to; `failures` counts turns that failed."""

    webhook_id: str
    owner_id: str
    url: str
    failures: int
    lease: str


async def claim(
    pool: asyncpg.Pool, now: datetime, *, lease_for: timedelta, limit: int
) -> list[Leased]:
    """Return at most so many endpoints for which something is due, leased."""
    rows = await pool.fetch(_CLAIM, now, new_id(), now + lease_for, limit)
    return [Leased(**row) for row in rows]


async def due(
    pool: asyncpg.Pool, leased: Leased, now: datetime, limit: int
) -> Sequence[asyncpg.Record]:
    """Return what is due first; nothing where the lease or the endpoint's being enabled ended."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(
        _DUE, leased.webhook_id, now, leased.lease, limit
    )
    return rows


async def wrapped_secrets(pool: asyncpg.Pool, webhook_id: str, now: datetime) -> list[str]:
    """Return the secrets that sign now, the one in force first, each under the master key."""
    rows = await pool.fetch(_SECRETS, webhook_id, now, SECRETS_MAX)
    return [row["wrapped"] for row in rows]


async def release(
    pool: asyncpg.Pool, leased: Leased, *, not_before: datetime, failures: int
) -> None:
    """End a turn: the endpoint is due when the first of what waits is, but not before then.

    The endpoint's row is locked first, so that what is queued meanwhile is seen.
    """
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(_LOCK, leased.webhook_id, leased.lease):
            await connection.execute(_RELEASE, leased.webhook_id, not_before, failures)


async def give_back(pool: asyncpg.Pool, leased: Sequence[Leased]) -> None:
    """End leases at once, for others to take: this process stops."""
    leases: list[Any] = [each.lease for each in leased]
    await pool.execute(_GIVE_BACK, leases)
