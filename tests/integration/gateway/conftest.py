"""A gateway as it runs, with its own Postgres, and the others played by the tests."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from tests.integration.gateway.api import Api, running_api
from tests.support.environment import Database


@pytest_asyncio.fixture
async def api(database_for: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Api]:
    """Give a gateway that serves HTTP, on a database of the test's own."""
    database = await database_for("gateway")
    async with running_api(database) as running:
        yield running
