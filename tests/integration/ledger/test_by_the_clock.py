"""The ledger as its own process seals by its schedule, and verifies when it is asked to."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from contracts.gateway.v1 import LedgerVerificationRequested
from devkit.program import Program, end, start
from runtime.clock import system_clock
from runtime.process import assemble
from runtime.segments.places import FolderPlace
from runtime.signing import SigningKey
from services.ledger.main import build
from services.ledger.sealing.verification import verify_all
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for
from tests.integration.ledger.sealed import new_key
from tests.support.environment import PASSWORD, Database, RunningNats

ROOT = Path(__file__).parents[3]
WAIT_SECONDS_MAX = 60


@asynccontextmanager
async def running_ledger(
    database: Database, nats: RunningNats, log: Path, **settings: str
) -> AsyncIterator[None]:
    """Run the ledger as `tollgate service ledger` does."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TOLLGATE_POSTGRES_DSN": database.dsn,
        "TOLLGATE_NATS_URL": nats.url,
        "TOLLGATE_NATS_USER": "ledger",
        "TOLLGATE_NATS_PASSWORD": PASSWORD,
        **settings,
    }
    command = (sys.executable, "-m", "tollgate", "service", "ledger")
    child = start(Program("ledger", command, environment, log, directory=ROOT))
    try:
        yield
    finally:
        assert end(child), "the ledger did not stop by itself"


async def until(database: Database, query: str, enough: Callable[[Any], bool]) -> Any:
    connection = await asyncpg.connect(database.dsn)
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not enough(value := await connection.fetchval(query)):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
    return value


async def test_facts_are_sealed_by_the_schedule_and_verified_when_it_is_asked(
    database: Database, nats_server: RunningNats, tmp_path: Path
) -> None:
    await nats_server.migrate()
    key, folder = new_key(), tmp_path / "segments"
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=system_clock) as running:
        ledger = Ledger(running)
        await ledger.set()
        await ledger.register("user-1")
        await ledger.award("user-1", 5)
        now = running.clock.now()
        asked = LedgerVerificationRequested(
            request_id="r-1", requested_by="finance-1", requested_at=now, expires_at=now
        )
        await ledger.tell(("request-r-1", asked))
    set_to = {
        "TOLLGATE_SIGNING_KEY": key,
        "TOLLGATE_SEGMENTS_URL": folder.as_uri(),
        "TOLLGATE_SEAL_INTERVAL_SECONDS": "0.1",
    }
    async with running_ledger(database, nats_server, tmp_path / "ledger.log", **set_to):
        await until(database, "select count(*) from segments", lambda count: count > 0)
        answers = "select body from outbox where stream = 'verification-r-1'"
        body = await until(database, answers, lambda found: found is not None)
    assert '"ok":true' in body
    assert '"events":1' in body
    left = "select count(*) from documents where collection = 'verifications'"
    assert await until(database, left, lambda count: count == 0) == 0
    keys = SigningKey.read(key).public
    result = await verify_all(database.dsn, FolderPlace(folder), keys)
    assert (result.ok, result.sealed) == (True, 1)


pytestmark = pytest.mark.timeout(180)
