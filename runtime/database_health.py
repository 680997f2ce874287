"""Whether the database takes what is written, and agrees with this machine about the time.

A full disk, a database that only reads and one that is away look alike from here: what is written
fails, is tried again for as long as it takes, and nothing is lost. It is said in the log, in
readiness and by a counter. Whoever writes tells of each failure; a watch writes next to nothing
every few seconds, so that an idle service knows too, and knows when it is over.
"""

import asyncio
from typing import Final

import asyncpg
import structlog

from runtime.clock import Clock, monotonic_seconds
from runtime.metrics import CLOCK_AHEAD, DATABASE_OUTAGES

WATCH_SECONDS: Final = 5.0
RECENT_SECONDS: Final = 15.0
"""So long what failed counts, where nobody says that it works again."""
CLOCK_AHEAD_SECONDS_MAX: Final = 30.0
"""So far a clock may be off, either way, before the process is not ready any more."""

_PROBE: Final = """
    select pg_current_xact_id(), clock_timestamp() as at,
           current_setting('transaction_read_only') = 'on' as reads_only"""


class DatabaseHealth:
    """What is known of the database; the problems are for readiness."""

    def __init__(self) -> None:
        self._failed_at: float | None = None
        self._failure = ""
        self._found: str | None = None
        self.clock_problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the database does not take what is written, if it does not."""
        if self._failed_at is not None and monotonic_seconds() - self._failed_at < RECENT_SECONDS:
            return self._failure
        return self._found

    def failed(self, error: BaseException) -> None:
        """Say that something could not be written; who could not tries again all the time."""
        self._failure, self._failed_at = _told(error), monotonic_seconds()

    def succeeded(self) -> None:
        """Say that something was written."""
        if self._failed_at is not None:
            structlog.get_logger().info("database.back", was=self._failure)
        self._failed_at = None

    async def watch(
        self, pool: asyncpg.Pool, clock: Clock, outages: tuple[type[Exception], ...]
    ) -> None:
        """Look every few seconds, for ever."""
        while True:
            try:
                [row] = await pool.fetch(_PROBE)
                if row["reads_only"]:
                    raise asyncpg.ReadOnlySQLTransactionError("the database only reads")
            except outages as error:
                self._found = _told(error)
            else:
                self._found = None
                self._compare((clock.now() - row["at"]).total_seconds())
            await asyncio.sleep(WATCH_SECONDS)

    def _compare(self, ahead_seconds: float) -> None:
        CLOCK_AHEAD.set(ahead_seconds)
        if abs(ahead_seconds) <= CLOCK_AHEAD_SECONDS_MAX:
            self.clock_problem = None
            return
        self.clock_problem = f"{ahead_seconds:+.0f} s from the database's"
        structlog.get_logger().error("clock.skewed", ahead_seconds=round(ahead_seconds, 1))


def _told(error: BaseException) -> str:
    """Log and count a failure; return what it is called."""
    reason = type(error).__name__
    DATABASE_OUTAGES.labels(reason=reason).inc()
    structlog.get_logger().warning("database.away", error=repr(error))
    return reason
