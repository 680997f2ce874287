"""Removes what is over: sessions, tokens, kept answers, tries to sign in, old events and logs."""

from datetime import timedelta
from functools import partial
from typing import Final

from contracts.webhook_rules import KEPT_FOR
from runtime.chores import Beat, delete_in_steps, every
from runtime.process import Running

EVERY_SECONDS: Final = 600.0
ROWS_MAX: Final = 5_000

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
    await every(EVERY_SECONDS, running.liveness, "housekeeping", partial(remove_expired, running))


async def remove_expired(running: Running, beat: Beat) -> int:
    """Remove all that has expired by now; return how many rows that were."""
    removed = 0
    for sql, kept_for in _EXPIRED:
        before = running.clock.now() - kept_for
        removed += await delete_in_steps(running.pool, sql, before, ROWS_MAX, beat)
    return removed
