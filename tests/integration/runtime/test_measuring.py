"""What is read now and then: how old it is can always be told."""

import asyncio

from prometheus_client import REGISTRY
from pydantic import SecretStr

from runtime.measuring import Measure, measuring
from runtime.process import Running, assemble
from runtime.settings import RuntimeSettings
from tests.integration.runtime.conftest import CounterDatabase
from tests.support import counter

BOUND_SECONDS = 20.0
NAME = "never"


def read_at() -> float | None:
    labels = {"measure": NAME}
    return REGISTRY.get_sample_value("tollgate_measured_timestamp_seconds", labels)


async def test_what_could_never_be_read_grows_old_as_well(real_database: CounterDatabase) -> None:
    """An alert that asks how old it is would otherwise have nothing to ask."""
    tried = asyncio.Event()

    async def fail(_: Running) -> None:
        tried.set()
        raise RuntimeError("no such table")

    settings = RuntimeSettings(
        postgres_dsn=SecretStr(real_database.dsn),
        nats_user="counter",
        nats_password=SecretStr("none"),
    )
    async with assemble(counter.build(), settings, counter.WIRING) as running:
        begun_at = running.clock.now().timestamp()
        task = asyncio.create_task(measuring(Measure(NAME, 0.01, fail))(running))
        async with asyncio.timeout(BOUND_SECONDS):
            await tried.wait()
        first = read_at()
        assert first is not None
        assert first >= begun_at
        tried.clear()
        async with asyncio.timeout(BOUND_SECONDS):
            await tried.wait()
        assert read_at() == first
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
