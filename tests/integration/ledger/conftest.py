"""A ledger on a database of its own, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from runtime.clock import ManualClock
from runtime.process import assemble
from services.ledger.main import build
from services.wiring import WIRING
from tests.integration.ledger.driver import START, Ledger, settings_for
from tests.support.environment import Database


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock of the test's own."""
    return ManualClock(START)


@pytest_asyncio.fixture
async def database(database_for: Callable[[str], Awaitable[Database]]) -> Database:
    """Give a fresh database of the ledger's."""
    return await database_for("ledger")


@pytest_asyncio.fixture
async def ledger(database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    """Give a running ledger that knows its settings and a user."""
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=clock) as running:
        ledger = Ledger(running)
        await ledger.set()
        await ledger.register("user-1")
        yield ledger
