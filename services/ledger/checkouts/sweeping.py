"""Finds what webhooks did not tell: open checkouts that are no longer open, and missed events.

An open checkout is looked at when it is 5, 10, 20, 40 … minutes old, and once it should have
expired; so one that nobody ever pays costs a dozen calls. Events that Stripe has and that were
never followed are followed; Stripe keeps them for 30 days, so a ledger may be away as long.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from contracts.stripe_events import STRIPE_EVENTS
from runtime.ids import new_id
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from services.ledger.checkouts.handlers import note_followed
from services.ledger.checkouts.jobs import put_job
from services.ledger.stripe_gateway import Happened, StripeGateway, StripeUnavailableError

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 30.0
FIRST_LOOK: Final = timedelta(minutes=5)
OVERLAP: Final = timedelta(hours=1)
"""Events are listed by when they came to be, and may be listed late: so far back again."""
KEPT_BY_STRIPE: Final = timedelta(days=29)
CHECKOUTS_MAX: Final = 100_000
"""So many are open at most: what is beyond is still found by its events."""

_UNFINISHED: Final = """
    select checkout_id, requested_at, session_expires_at from checkouts
    where status = 'OPEN' and requested_at <= $1
    order by requested_at limit $2
"""


class Sweep:
    """Sweeps every so many seconds; 0 is never."""

    def __init__(self, running: Running, gateway: StripeGateway, interval_seconds: float) -> None:
        self._running = running
        self._gateway = gateway
        self._interval = timedelta(seconds=interval_seconds)

    async def run(self) -> None:
        """Sweep until cancelled."""
        if not self._interval:
            await asyncio.Event().wait()
        while True:
            try:
                since = await self._swept_until()
                now = self._running.clock.now()
                if since is None or now >= since + self._interval:
                    await self.sweep_once(since, now)
            except (StripeUnavailableError, UnavailableError, *OUTAGES) as error:
                structlog.get_logger().warning("stripe.sweep_postponed", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # noqa: BLE001 - webhooks and jobs go on, and so does the next sweep
                structlog.get_logger().exception("stripe.sweep_failed")
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def sweep_once(self, since: datetime | None, now: datetime) -> int:
        """Put a job for everything that was missed since the last sweep; return how many."""
        since = max(since or now - KEPT_BY_STRIPE, now - KEPT_BY_STRIPE)
        missed = await self._missed_events(since - OVERLAP)
        open_ones = await self._due_checkouts(since, now)
        correlation_id = new_id()
        async with self._running.pool.acquire() as connection, connection.transaction():
            for checkout_id in open_ones:
                await put_job(
                    connection, "check", checkout_id, correlation_id=correlation_id, at=now
                )
            for event in missed:
                await note_followed(connection, event.event_id, now)
                key = f"{event.object_type} {event.object_id}"
                await put_job(connection, "follow", key, correlation_id=event.event_id, at=now)
            await connection.execute(
                """insert into stripe_sweeps (name, swept_until) values ('all', $1)
                   on conflict (name) do update set swept_until = excluded.swept_until""",
                now,
            )
            await connection.execute(
                "delete from stripe_events_followed where at < $1",
                now - 2 * KEPT_BY_STRIPE,
            )
        if missed or open_ones:
            structlog.get_logger().info(
                "stripe.swept", missed_events=len(missed), open_checkouts=len(open_ones)
            )
        return len(missed) + len(open_ones)

    async def _swept_until(self) -> datetime | None:
        async with self._running.pool.acquire() as connection:
            found: datetime | None = await connection.fetchval(
                "select swept_until from stripe_sweeps where name = 'all'"
            )
        return found

    async def _missed_events(self, since: datetime) -> list[Happened]:
        happened = await self._gateway.happened_since(since, STRIPE_EVENTS)
        async with self._running.pool.acquire() as connection:
            rows = await connection.fetch(
                "select event_id from stripe_events_followed where event_id = any ($1::text[])",
                [event.event_id for event in happened],
            )
        followed = {row["event_id"] for row in rows}
        return [event for event in happened if event.event_id not in followed and event.object_id]

    async def _due_checkouts(self, since: datetime, now: datetime) -> list[str]:
        async with self._running.pool.acquire() as connection:
            rows = await connection.fetch(_UNFINISHED, now - FIRST_LOOK, CHECKOUTS_MAX)
        return [
            row["checkout_id"]
            for row in rows
            if looks(now - row["requested_at"]) > looks(since - row["requested_at"])
            or since <= row["session_expires_at"] < now
        ]


def looks(age: timedelta) -> int:
    """Return how often a checkout of this age was looked at: at 5, 10, 20, 40 … minutes."""
    return max(0, age // FIRST_LOOK).bit_length()
