"""A revenue service on a real database, handed its messages by the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import msgspec
import pytest_asyncio
from pydantic import SecretStr

from runtime.inbox import Delivery
from runtime.process import Running, assemble
from services.revenue.main import build
from services.revenue.settings import RevenueSettings
from services.wiring import WIRING
from tests.support.environment import Database

WAIT_SECONDS_MAX: Final = 10
POLL_SECONDS: Final = 0.01


@dataclass
class Revenue:
    """The running service."""

    running: Running
    dsn: str
    admin_dsn: str

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection of the service's own role."""
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def forge(self, statement: str) -> None:
        """Change what is stored as only whoever has the whole server in hand can."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute("set session_replication_role = replica")
            await connection.execute(statement)
        finally:
            await connection.close()

    async def take(self, *deliveries: Delivery) -> None:
        """Hand in messages, and wait until the bus was told that they need not come again."""
        told: list[asyncio.Event] = []
        for delivery in deliveries:
            told.append(self._watch(delivery))
            await self.running.processor.submit(delivery)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            for event in told:
                await event.wait()

    async def published(self) -> list[dict[str, Any]]:
        """Return all messages of the outbox, in the order of their writing."""
        rows = await self.running.pool.fetch("select body from outbox order by position")
        return [msgspec.json.decode(row["body"]) for row in rows]

    def _watch(self, delivery: Delivery) -> asyncio.Event:
        event = asyncio.Event()
        settle = delivery.settle

        async def settle_and_tell() -> None:
            await settle()
            event.set()

        delivery.settle = settle_and_tell
        return event


@pytest_asyncio.fixture
async def revenue(
    database_for: Callable[[str], Awaitable[Database]],
) -> AsyncIterator[Revenue]:
    """Run the service on a fresh database, with nothing on the bus."""
    database = await database_for("revenue")
    settings = RevenueSettings(
        postgres_dsn=SecretStr(database.dsn), nats_user="revenue", nats_password=SecretStr("none")
    )
    async with assemble(build(settings), settings, WIRING) as running:
        yield Revenue(running, database.dsn, database.admin_dsn)
