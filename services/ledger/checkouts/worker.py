"""Does what is to be done with Stripe: one replica at a time, a few things at once.

The replica that holds a session lock of the database does it; a killed one's lock is gone with
its connection, and the next carries on with what is written down.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, Final

import asyncpg
import structlog

from runtime.leadership import lead
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.spans import within
from services.ledger.checkouts.handlers import ChangeCheckout
from services.ledger.checkouts.jobs import Job, due_jobs, job_done, job_failed
from services.ledger.checkouts.known import (
    KnownCheckout,
    Misfit,
    checkout_by_id,
    tell_problem,
)
from services.ledger.checkouts.opening import order_of
from services.ledger.checkouts.rules import CheckoutCommand, End, Open
from services.ledger.checkouts.sweeping import Sweep
from services.ledger.checkouts.syncing import STRIPE, Syncing
from services.ledger.metrics import STRIPE_JOBS
from services.ledger.settings import LedgerSettings
from services.ledger.stripe_gateway import (
    StripeGateway,
    StripeRefusedError,
    StripeUnavailableError,
)

AT_ONCE: Final = 4
POLL_SECONDS: Final = 0.5
OUTAGE_SECONDS: Final = 1.0
_LOCK: Final = "tollgate.stripe"

Task = Callable[[Running], Coroutine[Any, Any, None]]


def work_with_stripe(settings: LedgerSettings, wake: asyncio.Event) -> Task:
    """Return the task that does it, for `Service.tasks`; it rests where no key is set."""

    async def stripe(running: Running) -> None:
        if settings.stripe_api_key is None:
            structlog.get_logger().info("stripe.off")
            await asyncio.Event().wait()
            return
        gateway = StripeGateway(
            settings.stripe_api_key.get_secret_value(), url=settings.stripe_api_url
        )
        worker = Worker(running, gateway, settings, wake)
        try:
            await lead(
                settings.postgres_dsn.get_secret_value(),
                lock=_LOCK,
                beat=worker.beat,
                run=worker.run,
            )
        finally:
            gateway.close()

    return stripe


class Worker:
    """Takes jobs and does them; a job that cannot be done now is done later, however often."""

    def __init__(
        self,
        running: Running,
        gateway: StripeGateway,
        settings: LedgerSettings,
        wake: asyncio.Event,
    ) -> None:
        self._running = running
        self._gateway = gateway
        self._settings = settings
        self._wake = wake
        self._syncing = Syncing(running, gateway)
        self._sweep = Sweep(running, gateway, settings.stripe_sweep_seconds)
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.beat: Callable[[], None] = running.liveness.beat("stripe")

    async def run(self, leadership: asyncpg.Connection) -> None:
        """Work until the connection that holds the leadership is lost."""
        async with asyncio.TaskGroup() as group:
            sweeping = group.create_task(self._sweep.run(), name="stripe sweep")
            try:
                while not leadership.is_closed():
                    self.beat()
                    self._wake.clear()
                    await self._take(group)
                    await self._until_something()
            finally:
                for task in (sweeping, *self._busy.values()):
                    task.cancel()

    async def _take(self, group: asyncio.TaskGroup) -> None:
        """Begin what is due, as far as there is room."""
        room = AT_ONCE - len(self._busy)
        if room <= 0:
            return
        try:
            async with self._running.pool.acquire() as connection:
                now = self._running.clock.now()
                jobs = await due_jobs(connection, now, list(self._busy), room)
        except OUTAGES as error:
            structlog.get_logger().warning("stripe.database_away", error=repr(error))
            await asyncio.sleep(OUTAGE_SECONDS)
            return
        for job in jobs:
            task = group.create_task(self._attempt(job), name=f"stripe {job.kind}")
            self._busy[job.place] = task
            task.add_done_callback(partial(self._ended, job.place))

    def _ended(self, place: tuple[str, str], _: asyncio.Task[None]) -> None:
        self._busy.pop(place, None)
        self._wake.set()

    async def _until_something(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _attempt(self, job: Job) -> None:
        """Do a job, or write down that it is done later; never raises but when cancelled."""
        try:
            try:
                with within(job.traceparent):
                    await self._do(job)
            except StripeUnavailableError as error:
                after = timedelta(seconds=error.after_seconds)
                await self._postpone(job, str(error), after=after)
            except UnavailableError as error:
                await self._postpone(job, str(error))
            except OUTAGES:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the job stays and others go on
                structlog.get_logger().error(
                    "stripe.job_failed", kind=job.kind, key=job.key, exc_info=error
                )
                await self._postpone(job, repr(error), stuck=True)
            else:
                async with self._running.pool.acquire() as connection:
                    await job_done(connection, job)
                STRIPE_JOBS.labels(outcome="done").inc()
        except OUTAGES as error:
            structlog.get_logger().warning("stripe.database_away", error=repr(error))
            await asyncio.sleep(OUTAGE_SECONDS)

    async def _postpone(
        self, job: Job, error: str, *, stuck: bool = False, after: timedelta = timedelta()
    ) -> None:
        STRIPE_JOBS.labels(outcome="postponed").inc()
        structlog.get_logger().warning(
            "stripe.postponed", kind=job.kind, key=job.key, attempts=job.attempts + 1, error=error
        )
        async with self._running.pool.acquire() as connection:
            now = self._running.clock.now()
            await job_failed(connection, job, now=now, error=error, stuck=stuck, after=after)

    async def _do(self, job: Job) -> None:
        match job.kind:
            case "open":
                await self._open(job)
            case "check":
                await self._syncing.check(job.key, job.correlation_id)
            case "follow":
                object_type, _, object_id = job.key.partition(" ")
                try:
                    await self._syncing.follow(object_type, object_id, job.correlation_id)
                except StripeRefusedError as error:
                    await self._tell(object_id, None, Misfit("NOT_READABLE", str(error)))

    async def _open(self, job: Job) -> None:
        """Open a session for a checkout; give up when nobody waits for it any more."""
        async with self._running.pool.acquire() as connection:
            known = await checkout_by_id(connection, job.key)
        if known is None or known.status != "REQUESTED":
            return
        if self._running.clock.now() >= known.request_expires_at:
            failure = ("STRIPE_UNAVAILABLE", "Stripe could not be reached in time")
            await self._change(job, known, End(failure=failure))
            return
        try:
            session = await self._gateway.open_session(order_of(known, self._settings))
        except StripeRefusedError as error:
            failure = ("STRIPE_REFUSED", f"Stripe opens no session: {error.code}")
            structlog.get_logger().warning("stripe.refused", code=error.code, why=error.message)
            await self._change(job, known, End(failure=failure))
            return
        if session.url is None:
            failure = ("STRIPE_REFUSED", f"the session is {session.status}")
            await self._change(job, known, End(failure=failure))
            return
        opened = Open(
            session_id=session.session_id,
            url=session.url,
            session_expires_at=session.expires_at,
        )
        await self._change(job, known, opened)

    async def _change(self, job: Job, known: KnownCheckout, change: CheckoutCommand) -> None:
        await self._running.processor.execute(
            ChangeCheckout(
                actor=STRIPE,
                correlation_id=job.correlation_id,
                checkout_id=known.checkout_id,
                change=change,
            )
        )

    async def _tell(self, object_id: str, checkout_id: str | None, why: Misfit) -> None:
        async with self._running.pool.acquire() as connection:
            await tell_problem(connection, object_id, checkout_id, why, self._running.clock.now())
