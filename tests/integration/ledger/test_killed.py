"""The ledger as its own process, on the real bus, killed again and again at its work."""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from contracts.envelope import Envelope
from devkit.program import Child, Program, end, kill_group, start
from runtime.bus import Bus
from runtime.clock import system_clock
from runtime.process import assemble
from runtime.store import OutboxRow
from services.ledger.main import build
from services.ledger.replay import replay, verify
from services.ledger.replay_formats import summary
from services.wiring import WIRING
from tests.integration.ledger.driver import WAIT_SECONDS_MAX, Ledger, settings_for, succeeded
from tests.support.environment import PASSWORD, Database, RunningNats

ROOT: Final = Path(__file__).parents[3]
REQUESTS: Final = 200
ROUNDS: Final = 8


def ledger_process(database: Database, nats: RunningNats, log: Path) -> Child:
    """Start the ledger as `tollgate service ledger` does."""
    environment = {
        "PATH": os.environ["PATH"],
        "TOLLGATE_POSTGRES_DSN": database.dsn,
        "TOLLGATE_NATS_URL": nats.url,
        "TOLLGATE_NATS_USER": "ledger",
        "TOLLGATE_NATS_PASSWORD": PASSWORD,
    }
    command = (sys.executable, "-m", "tollgate", "service", "ledger")
    return start(Program("ledger", command, environment, log, directory=ROOT))


class Others:
    """What the deployer and the gateway say, on the bus."""

    def __init__(self, buses: dict[str, Bus]) -> None:
        self._buses = buses

    async def say(self, envelopes: Sequence[Envelope[Any]]) -> None:
        """Publish messages as their senders' relays do."""
        for service, bus in self._buses.items():
            rows = [
                OutboxRow(e.id, e.data.bus_subject(), e.subject, e.sequence, e.to_bytes().decode())
                for e in envelopes
                if e.service == service
            ]
            if rows:
                await bus.publish_batch(rows)


@pytest_asyncio.fixture
async def others(nats_server: RunningNats) -> AsyncIterator[Others]:
    """Give the voices of the others on a bus with all streams and consumers."""
    await nats_server.migrate()
    buses = {
        service: Bus(service=service, url=nats_server.url, user=service, password=PASSWORD)
        for service in ("deployer", "gateway")
    }
    for bus in buses.values():
        await bus.connect()
    yield Others(buses)
    for bus in buses.values():
        await bus.client.close()


async def until(connection: asyncpg.Connection, query: str, number: int) -> None:
    """Wait, within a bound, until a query counts so many."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await connection.fetchval(query) < number:
            await asyncio.sleep(0.02)


DECIDED: Final = """select count(*) from facts
    where body like '%"fact":"hold_placed"%' or body like '%"fact":"hold_refused"%'"""
SETTLED: Final = """select count(*) from facts where body like '%"fact":"hold_settled"%'"""


async def test_however_often_it_is_killed_exactly_the_seven_holds_that_can_be_paid_pass(
    database: Database, nats_server: RunningNats, others: Others, tmp_path: Path
) -> None:
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=system_clock) as running:
        ledger = Ledger(running)
        await ledger.set()
        await ledger.register("user-1")
        await ledger.award("user-1", 33)
        await ledger.purchase("user-1", 40, 4_000)
        asked = [
            ledger.envelope(f"deployment-d{n}", ledger.asking(f"d{n}", "user-1", 10))
            for n in range(REQUESTS)
        ]
        ends = [
            ledger.envelope(f"deployment-d{n}", succeeded(f"d{n}", "user-1"))
            for n in range(REQUESTS)
        ]
    moments = random.Random(20261121)
    connection = await asyncpg.connect(database.dsn)
    child = ledger_process(database, nats_server, tmp_path / "ledger.log")
    try:
        share = REQUESTS // ROUNDS
        for part in range(ROUNDS):
            await others.say(asked[part * share : (part + 1) * share])
            await until(connection, DECIDED, moments.randint(0, part * share + 1))
            kill_group(child.pid)
            child.process.wait()
            child = ledger_process(database, nats_server, tmp_path / "ledger.log")
        await until(connection, DECIDED, REQUESTS)
        rows = await connection.fetch("select deployment_id from holds order by deployment_id")
        paid = {row["deployment_id"] for row in rows}
        await others.say([e for e in ends if e.data.deployment_id in paid])
        await until(connection, SETTLED, len(paid))
        await until(connection, "select 1 - least(count(*), 1) from outbox_pending", 1)
    finally:
        assert end(child), "the ledger did not stop by itself"
        outcome = Counter(
            row["subject"].split(".")[3]
            for row in await connection.fetch("select subject from outbox")
        )
        waiting = await connection.fetch("select * from inbox_waiting")
        await connection.close()
    assert (outcome["hold_placed"], outcome["hold_refused"]) == (7, REQUESTS - 7)
    assert outcome["hold_settled"] == 7
    assert waiting == []
    assert (await verify(database.dsn)).ok
    result = await replay(database.dsn)
    assert result.ok, summary(result)
    assert result.totals.groups["user-1"].purchased == 3
    assert await on_the_bus(nats_server) == sum(outcome.values())


async def on_the_bus(nats: RunningNats) -> int:
    """Return how many messages of the ledger's the bus holds."""
    client = await nats.connect()
    try:
        info = await client.jetstream().stream_info("TOLLGATE_LEDGER")
        return int(info.state.messages)
    finally:
        await client.close()


pytestmark = pytest.mark.timeout(180)
