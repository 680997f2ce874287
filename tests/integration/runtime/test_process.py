"""The life of a service's process: what ends it, and with which status."""

import asyncio

import asyncpg
from pydantic import SecretStr

from runtime import process
from runtime.settings import RuntimeSettings
from tests.integration.runtime.conftest import CounterDatabase
from tests.support import counter

END_SECONDS_MAX = 30
NOWHERE = "nats://127.0.0.1:1"


async def test_a_process_that_can_no_longer_handle_messages_ends_and_says_so(
    real_database: CounterDatabase,
) -> None:
    """It would look ready for ever: whoever runs it can only start again what has ended."""
    settings = RuntimeSettings(
        postgres_dsn=SecretStr(real_database.dsn),
        nats_url=NOWHERE,
        nats_user="counter",
        nats_password=SecretStr("none"),
    )
    # `run` makes an event loop of its own, which a test already has.
    running = asyncio.create_task(process._main(counter.build(), settings, counter.WIRING))
    administrator = await asyncpg.connect(real_database.admin_dsn)
    try:
        await administrator.execute("drop table inbox_waiting")
        async with asyncio.timeout(END_SECONDS_MAX):
            status = await running
    finally:
        await administrator.close()

    assert status == 1
