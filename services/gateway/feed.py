"""What clients are told live: one reader of the table for the whole process.

The newest events are kept in memory, so that a thousand who listen cost one query, not a thousand.
Who is further behind than that reads the table from where they stopped. Nobody has a queue that
could grow: each listener has a position, and goes on from there at their own pace.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Final

import asyncpg
import structlog

from runtime.processor import OUTAGES
from services.gateway.http.sse import event_bytes
from services.gateway.wakes import FEED, Wakes, until_woken

KEPT_MAX: Final = 2_000
READ_MAX: Final = 500
POLL_SECONDS: Final = 0.25
AWAY_SECONDS: Final = 0.5
CONNECTION_SECONDS_MAX: Final = 5.0

_READ: Final = """
    select position, kind, user_id, roles, everyone, data from client_events
    where position > $1 order by position limit $2"""


@dataclass(frozen=True)
class FeedEvent:
    """An event as it is kept; `data` is JSON."""

    position: int
    kind: str
    user_id: str | None
    roles: frozenset[str]
    everyone: bool
    data: str

    @cached_property
    def wire(self) -> bytes:
        """The event as every listener gets it, written once for all of them."""
        return event_bytes(kind=self.kind, data=self.data, event_id=str(self.position))


class Feed:
    """Reads the table of events while somebody listens."""

    def __init__(self, pool: asyncpg.Pool, wakes: Wakes, stopping: asyncio.Event) -> None:
        self._pool = pool
        self._wakes = wakes
        self._stopping = stopping
        self._kept: deque[FeedEvent] = deque(maxlen=KEPT_MAX)
        self._kept_after = 0
        self._tail = 0
        self._listeners = 0
        self._moving = asyncio.Lock()
        self._somebody = asyncio.Event()
        self._grown = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        with self._wakes.waiting(FEED) as woken:
            while True:
                await self._somebody.wait()
                try:
                    read = await self._read_on()
                except (*OUTAGES, TimeoutError) as error:
                    structlog.get_logger().warning("feed.database_away", error=repr(error))
                    await asyncio.sleep(AWAY_SECONDS)
                    continue
                if read < READ_MAX:
                    await until_woken(woken, POLL_SECONDS)

    async def last_position(self) -> int:
        """Return the position of the newest event, 0 where there is none."""
        async with self._pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
            last: int = await connection.fetchval(
                "select coalesce(max(position), 0) from client_events"
            )
        return last

    async def covers(self, position: int) -> bool:
        """Return whether nothing after this position was lost: neither purged nor unheard of."""
        async with self._pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
            row = await connection.fetchrow(
                "select min(position) as first, max(position) as last from client_events"
            )
        if row is None or row["first"] is None:
            return position == 0
        return bool(row["first"] <= position + 1 and position <= row["last"])

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Have the table read for as long as the block lasts."""
        async with self._moving:
            if self._listeners == 0:
                self._tail = self._kept_after = await self.last_position()
                self._kept.clear()
            self._listeners += 1
        self._somebody.set()
        try:
            yield
        finally:
            self._listeners -= 1
            if self._listeners == 0:
                self._somebody.clear()

    async def after(self, position: int, seconds_max: float) -> list[FeedEvent]:
        """Return the events after a position, in order; none where none came for this long."""
        if position < self._kept_after:
            return await self._read(position)
        if position >= self._tail:
            grown = self._grown
            try:
                async with asyncio.timeout(seconds_max):
                    await grown.wait()
            except TimeoutError:
                return []
        if position < self._kept_after:
            return await self._read(position)
        # From the newest back: most who listen lack the last one alone, of thousands that are kept.
        newer = list(takewhile(lambda event: event.position > position, reversed(self._kept)))
        return newer[: -READ_MAX - 1 : -1]

    def stir(self) -> None:
        """Let all who wait look up: the process stops."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def _read_on(self) -> int:
        async with self._moving:
            events = await self._read(self._tail)
            if not events:
                return 0
            for event in events:
                if len(self._kept) == KEPT_MAX:
                    self._kept_after = self._kept[0].position
                self._kept.append(event)
            self._tail = events[-1].position
        self.stir()
        return len(events)

    async def _read(self, position: int) -> list[FeedEvent]:
        async with self._pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
            rows = await connection.fetch(_READ, position, READ_MAX)
        return [
            FeedEvent(
                position=row["position"],
                kind=row["kind"],
                user_id=row["user_id"],
                roles=frozenset(row["roles"]),
                everyone=row["everyone"],
                data=row["data"],
            )
            for row in rows
        ]
