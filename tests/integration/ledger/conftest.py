"""A ledger on a database of its own, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.clock import ManualClock
from runtime.process import assemble
from services.ledger.main import build
from services.wiring import WIRING
from tests.integration.ledger.driver import START, Ledger, settings_for
from tests.integration.ledger.shop import Shop, open_shop
from tests.support.environment import Database
from tests.support.stripe_fake import StripeFake, running_stripe_fake


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


@pytest.fixture
def stripe_fake(tmp_path: Path, clock: ManualClock) -> Iterator[StripeFake]:
    """Give a fake of Stripe that goes by the test's clock."""
    with running_stripe_fake(tmp_path / "stripe.sqlite", clock=clock) as fake:
        yield fake


@pytest_asyncio.fixture
async def shop(
    database: Database, stripe_fake: StripeFake, clock: ManualClock
) -> AsyncIterator[Shop]:
    """Give a ledger that sells credits through it."""
    async with open_shop(database, stripe_fake, clock) as shop:
        yield shop
