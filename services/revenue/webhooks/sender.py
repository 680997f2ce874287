"""Sends what is queued: many endpoints at a time, each in turns, so that none delays another.

A turn sends what is due for one endpoint in waves, and ends with the first wave in which something
failed, with nothing left, or after a while. After a failure the endpoint rests, longer with each
turn that fails; then one delivery tries whether it is back.
"""

import asyncio
import random
import ssl
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import aiohttp
import asyncpg
import structlog

from runtime.clock import monotonic_seconds
from runtime.outbox import traceparents
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.sealing import DataKey
from runtime.spans import PassOn, linked
from services.revenue.handlers import payee_stream
from services.revenue.metrics import count_attempt
from services.revenue.settings import RevenueSettings
from services.revenue.webhooks.addresses import Lookup, ThreadLookup
from services.revenue.webhooks.bodies import signature
from services.revenue.webhooks.decider import Attempt, Attempts
from services.revenue.webhooks.handlers import SENDER, RecordAttempts, master_key
from services.revenue.webhooks.leases import (
    Leased,
    claim,
    due,
    give_back,
    release,
    wrapped_secrets,
)
from services.revenue.webhooks.posting import open_session, post

TURNS_MAX: Final = 256
"""Endpoints that one process sends to at a time."""
CLAIM_MAX: Final = 64
WAVE_MAX: Final = 8
"""Deliveries to one endpoint at a time."""
TURN_SECONDS_MAX: Final = 20.0
LEASE: Final = timedelta(seconds=60)
"""Longer than a turn's last wave can end after its beginning."""
LOOK_SECONDS: Final = 0.1
OUTAGE_SECONDS: Final = 2.0
REST_SECONDS: Final = 5.0
REST_SECONDS_MAX: Final = 300.0
USER_AGENT: Final = "Tollgate-Webhooks/1"


async def send_webhooks(running: Running) -> None:
    """Send what is due, for ever; without a master key there is nothing to sign with."""
    settings = running.settings
    if not isinstance(settings, RevenueSettings):
        raise TypeError("revenue runs with revenue's settings")
    master = master_key(settings)
    if master is None:
        structlog.get_logger().warning("webhook.no_master_key")
        await asyncio.Event().wait()
        return
    lookup = ThreadLookup()
    try:
        await Sender(running, master, lookup).run()
    finally:
        lookup.close()


class Sender:
    """Sends from one process; `tls` is for authorities other than the machine's."""

    def __init__(
        self,
        running: Running,
        master: DataKey,
        lookup: Lookup,
        *,
        lease_for: timedelta = LEASE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._running = running
        self._pool: asyncpg.Pool = running.pool
        self._master = master
        self._lookup = lookup
        self._lease_for = lease_for
        self._tls = tls
        self._turns: dict[asyncio.Task[None], Leased] = {}
        self._chance = random.SystemRandom()

    async def run(self) -> None:
        """Claim endpoints a few times a second and give each its turn, until cancelled."""
        beat = self._running.liveness.beat("webhooks")
        allow_loopback = self._running.settings.allow_private_webhooks
        async with open_session(
            self._lookup, allow_loopback=allow_loopback, tls=self._tls
        ) as session:
            try:
                while True:
                    beat()
                    await asyncio.sleep(await self._claim(session))
            finally:
                await self._stop()

    async def _claim(self, session: aiohttp.ClientSession) -> float:
        """Begin as many turns as there is room for; return for how long to wait."""
        limit = min(CLAIM_MAX, TURNS_MAX - len(self._turns))
        if limit == 0:
            return LOOK_SECONDS
        now = self._running.clock.now()
        try:
            claimed = await claim(self._pool, now, lease_for=self._lease_for, limit=limit)
        except (*OUTAGES, TimeoutError) as error:
            structlog.get_logger().warning("webhook.postponed", error=repr(error))
            return OUTAGE_SECONDS
        for leased in claimed:
            task = asyncio.create_task(self._turn(session, leased), name="webhook turn")
            self._turns[task] = leased
            task.add_done_callback(self._ended)
        return 0.0 if len(claimed) == limit else LOOK_SECONDS

    def _ended(self, task: asyncio.Task[None]) -> None:
        leased = self._turns.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error(
                "webhook.turn_failed", webhook_id=leased.webhook_id, exc_info=error
            )

    async def _stop(self) -> None:
        """End all turns; what was sent and not recorded will be sent again."""
        turns = dict(self._turns)
        for task in turns:
            task.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        if turns:
            try:
                await give_back(self._pool, list(turns.values()))
            except (*OUTAGES, TimeoutError) as error:
                structlog.get_logger().warning("webhook.leases_kept", error=repr(error))

    async def _turn(self, session: aiohttp.ClientSession, leased: Leased) -> None:
        """Send to an endpoint, wave by wave, and put it down again."""
        try:
            failures = await self._waves(session, leased)
            rest = timedelta()
            if failures:
                seconds = REST_SECONDS * 2 ** min(failures - 1, 10)
                rest = timedelta(seconds=min(seconds, REST_SECONDS_MAX))
            not_before = self._running.clock.now() + rest
            await release(self._pool, leased, not_before=not_before, failures=failures)
        except (*OUTAGES, TimeoutError, UnavailableError) as error:
            # The lease ends by itself, and what was not recorded is sent again.
            structlog.get_logger().warning(
                "webhook.turn_broken_off", webhook_id=leased.webhook_id, error=repr(error)
            )

    async def _waves(self, session: aiohttp.ClientSession, leased: Leased) -> int:
        """Return how many turns in a row have failed by now; 0 after one that went well."""
        failures = leased.failures
        until = monotonic_seconds() + TURN_SECONDS_MAX
        secrets = await self._secrets(leased)
        while monotonic_seconds() < until:
            width = 1 if failures else WAVE_MAX
            rows = await due(self._pool, leased, self._running.clock.now(), width)
            if not rows:
                break
            attempts = await asyncio.gather(
                *(self._attempt(session, leased, row, secrets) for row in rows)
            )
            with linked(await self._causes(leased, rows)):
                record = RecordAttempts(
                    actor=SENDER,
                    owner_id=leased.owner_id,
                    attempts=Attempts(webhook_id=leased.webhook_id, attempts=tuple(attempts)),
                )
            await self._running.processor.execute(record)
            if any(each.error is not None for each in attempts):
                return failures + 1
            failures = 0
        return failures

    async def _causes(self, leased: Leased, rows: Sequence[asyncpg.Record]) -> list[str | None]:
        """Return the traces of what a wave tells of, which may be days ago; none if unrecorded."""
        told = [row["event_sequence"] for row in rows if row["event_sequence"] is not None]
        if isinstance(self._running.spans, PassOn) or not told:
            return []
        return await traceparents(self._pool, payee_stream(leased.owner_id), told)

    async def _secrets(self, leased: Leased) -> list[str]:
        now = self._running.clock.now()
        wrapped = await wrapped_secrets(self._pool, leased.webhook_id, now)
        return [self._master.decrypt(each).decode() for each in wrapped]

    async def _attempt(
        self,
        session: aiohttp.ClientSession,
        leased: Leased,
        row: asyncpg.Record,
        secrets: list[str],
    ) -> Attempt:
        now = self._running.clock.now()
        timestamp, content = int(now.timestamp()), row["body"].encode()
        signed = signature(
            secrets, delivery_id=row["delivery_id"], timestamp=timestamp, content=content
        )
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "webhook-id": row["delivery_id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signed,
        }
        began = monotonic_seconds()
        answer = await post(session, leased.url, headers, content, now)
        seconds = monotonic_seconds() - began
        count_attempt(status=answer.status, failed=answer.error is not None, seconds=seconds)
        return Attempt(
            delivery_id=row["delivery_id"],
            event_type=row["event_type"],
            event_sequence=row["event_sequence"],
            attempt=row["attempts"] + 1,
            answer_status=answer.status,
            error=answer.error,
            duration_ms=int(seconds * 1_000),
            queued_at=row["queued_at"],
            retry_after_seconds=answer.retry_after_seconds,
            chance=self._chance.random(),
        )
