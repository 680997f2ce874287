"""A gateway as it runs, with its own Postgres, and the others played by the tests."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from tests.integration.gateway.api import Api, running_api
from tests.support.environment import Database


@pytest_asyncio.fixture
async def gateway_database(database_for: Callable[[str], Awaitable[Database]]) -> Database:
    """Give the database of the test's gateway."""
    return await database_for("gateway")


@pytest_asyncio.fixture
async def api(gateway_database: Database) -> AsyncIterator[Api]:
    """Give a gateway that serves HTTP, on a database of the test's own."""
    async with running_api(gateway_database) as running:
        yield running
