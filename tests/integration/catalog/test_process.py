"""The catalogue as a process of its own, between a real bus and a real database."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NotFoundError

from contracts.envelope import Envelope
from contracts.gateway.v1 import SyncRequested
from tests.integration.catalog.conftest import PRIVATE_KEY, outcomes, sync_request
from tests.integration.catalog.git_host import Repository, serve
from tests.support.environment import PASSWORD, Database, RunningNats
from tests.support.tools import program
from tests.unit.catalog.modules import MAIN

WAIT_SECONDS_MAX = 60


@contextmanager
def catalog_process(
    database: Database, bus: RunningNats, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"],
        "TOLLGATE_POSTGRES_DSN": database.dsn,
        "TOLLGATE_NATS_URL": bus.url,
        "TOLLGATE_NATS_USER": "catalog",
        "TOLLGATE_NATS_PASSWORD": PASSWORD,
        "TOLLGATE_ALLOW_LOCAL_REPOSITORIES": "true",
        "TOLLGATE_ARCHIVE_URL": (folder / "archive").as_uri(),
        "TOLLGATE_WORK_DIR": str(folder / "work"),
        "TOLLGATE_SEALING_KEY": PRIVATE_KEY,
    }
    with (folder / "catalog.log").open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", "tollgate", "service", "catalog"),
            env=environment,
            cwd=Path(__file__).parents[3],
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def publish(bus: RunningNats, envelope: Envelope[SyncRequested]) -> None:
    client = await bus.connect("gateway")
    try:
        await client.jetstream().publish(
            envelope.data.bus_subject(),
            envelope.to_bytes(),
            headers={"Nats-Msg-Id": envelope.id, "content-type": "application/json"},
        )
    finally:
        await client.close()


async def report(bus: RunningNats, folder: Path) -> dict[str, Any]:
    """Return the only sync's report, as the bus carries it."""
    client = await bus.connect()
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    try:
        while time.monotonic() < deadline:
            try:
                message = await client.jetstream().get_last_msg(
                    "TOLLGATE_CATALOG", "tollgate.catalog.sync.sync_finished.v1"
                )
            except NotFoundError:
                await asyncio.sleep(0.05)
                continue
            assert message.data is not None
            envelope: dict[str, Any] = json.loads(message.data)
            return envelope
    finally:
        await client.close()
    raise AssertionError((folder / "catalog.log").read_text()[-4_000:])


@pytest.fixture(autouse=True)
def git() -> None:
    program("git")


async def test_a_request_on_the_bus_is_answered_on_the_bus(
    database_for: Callable[[str], Awaitable[Database]], bus: RunningNats, tmp_path: Path
) -> None:
    repository = Repository.make(
        tmp_path / "modules",
        {"web/module.yaml": "name: web\ncredit_cost: 5\n", "web/main.tf": MAIN},
    )
    request = sync_request(str(repository.path))
    with catalog_process(await database_for("catalog"), bus, tmp_path) as process:
        await publish(bus, request)
        finished = await report(bus, tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert finished["correlationid"] == request.correlationid
    assert outcomes(finished["data"]) == {"web": ("PUBLISHED", 1)}


async def test_a_sync_outlives_a_process_that_is_killed_in_the_middle(
    database_for: Callable[[str], Awaitable[Database]], bus: RunningNats, tmp_path: Path
) -> None:
    with serve(tmp_path / "hosted") as host:
        Repository.make(
            host.root / "modules",
            {"web/module.yaml": "name: web\ncredit_cost: 5\n", "web/main.tf": MAIN},
        )
        host.answers.clear()
        database = await database_for("catalog")
        with catalog_process(database, bus, tmp_path) as process:
            await publish(bus, sync_request(host.url("modules/.git")))
            assert await asyncio.to_thread(host.asked.wait, WAIT_SECONDS_MAX)
            process.send_signal(signal.SIGKILL)
            process.wait()
        host.answers.set()
        with catalog_process(database, bus, tmp_path):
            finished = await report(bus, tmp_path)
    assert outcomes(finished["data"]) == {"web": ("PUBLISHED", 1)}
    assert list((tmp_path / "work").iterdir()) == []
