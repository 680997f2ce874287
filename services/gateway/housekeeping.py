"""Removes what is over: sessions, tokens, kept answers, tries to sign in, old events and logs."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from contracts.webhook_rules import KEPT_FOR
from runtime.process import Running
from runtime.processor import OUTAGES

EVERY_SECONDS: Final = 600.0
TURN_SECONDS: Final = 30.0
ROWS_MAX: Final = 5_000
CONNECTION_SECONDS_MAX: Final = 5.0

_EXPIRED: Final = (
    (
        """delete from sessions where id_hash in
           (select id_hash from sessions where expires_at < $1 limit $2)""",
        timedelta(0),
    ),
    (
        """delete from api_tokens where token_id in
           (select token_id from api_tokens where expires_at < $1 limit $2)""",
        timedelta(days=30),
    ),
    (
        """delete from idempotency_keys where key in
           (select key from idempotency_keys where expires_at < $1 limit $2)""",
        timedelta(0),
    ),
    (
        """delete from sign_in_attempts where key in
           (select key from sign_in_attempts where updated_at < $1 limit $2)""",
        timedelta(days=1),
    ),
    (
        """delete from acts where id in
           (select id from acts where at < $1 order by at limit $2)""",
        timedelta(days=400),
    ),
    (
        """delete from client_events where position in
           (select position from client_events where created_at < $1 order by position limit $2)""",
        timedelta(days=1),
    ),
    (
        """delete from webhook_deliveries where delivery_id in
           (select delivery_id from webhook_deliveries where queued_at < $1
            order by queued_at limit $2)""",
        KEPT_FOR,
    ),
)
"""Statements, and how long what they remove is kept after it has expired."""


async def keep_house(running: Running) -> None:
    """Remove what has expired every ten minutes, in small steps, until cancelled."""
    beat = running.liveness.beat("housekeeping")
    passed = EVERY_SECONDS
    while True:
        beat()
        if passed >= EVERY_SECONDS:
            passed = 0.0
            try:
                await remove_expired(running)
            except (*OUTAGES, TimeoutError) as error:
                structlog.get_logger().warning("housekeeping.postponed", error=repr(error))
        await asyncio.sleep(TURN_SECONDS)
        passed += TURN_SECONDS


async def remove_expired(running: Running) -> int:
    """Remove all that has expired by now; return how many rows that were."""
    removed = 0
    for sql, kept_for in _EXPIRED:
        while True:
            async with running.pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
                status = await connection.execute(sql, running.clock.now() - kept_for, ROWS_MAX)
            count = int(status.rpartition(" ")[2])
            removed += count
            if count < ROWS_MAX:
                break
    return removed
