"""How many webhooks revenue delivers in a second, beside a bare client that posts the same."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError
from benchmarks.servers import Servers, Telling, publish, servers
from benchmarks.table import Row, Status
from contracts.gateway.v1 import WebhookRegistrationRequested
from runtime.clock import system_clock
from runtime.ids import new_id
from runtime.sealing import seal

OWNERS: Final = 20
LINES: Final = 300
DELIVERIES: Final = OWNERS * LINES
AT_A_TIME: Final = 8 * OWNERS
REACH: Final = 0.4
SECONDS_MAX: Final = 120.0
_POLL_SECONDS: Final = 0.02
_SECRET: Final = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_BODY: Final = '{"specversion":"1.0","data":"' + "x" * 600 + '"}'
_QUEUE: Final = """
    insert into webhook_deliveries (delivery_id, webhook_id, event_type, event_sequence, body,
                                    queued_at, due_at)
    select webhook_id || '-' || n, webhook_id, 'revenue.share_accrued', n, $1, now(), now()
    from webhook_endpoints, generate_series(1, $2::bigint) as n order by n"""


def measure(status: Status) -> Row:
    """Return deliveries a second to many endpoints that one local receiver plays.

    Each is signed, posted, stored as a chained fact with `fsync` on, and told to the bus. The bare
    client posts as many at a time and stores nothing.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        with _receiver() as url:
            with status("webhooks: a bare client"):
                bare = asyncio.run(_bare(url))
            with status("webhooks: revenue"), servers(place / "data") as up, up.service("revenue"):
                ours = asyncio.run(_deliver(up, url))
    return Row(
        name="webhook-deliveries",
        what=f"{DELIVERIES} webhooks to {OWNERS} endpoints, signed, delivered and recorded",
        reach=f"≥ {REACH:g} × a bare aiohttp client that posts the same",
        measured=f"{ours:,.0f} a second",
        reference=f"{ours / bare:.2f} × the bare client, {bare:,.0f} a second",
        reached=ours >= REACH * bare,
    )


@contextmanager
def _receiver() -> Iterator[str]:
    words = (sys.executable, "-m", "benchmarks.webhook_receiver")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None:
                raise NotMeasuredError("the receiver says nothing")
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/hook"
        finally:
            process.terminate()


async def _bare(url: str) -> float:
    """Return posts a second of a client with as many connections as revenue has."""
    left = iter(range(DELIVERIES))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(url, data=_BODY.encode()) as response:
                await response.read()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        begun = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(AT_A_TIME)))
        return DELIVERIES / (time.perf_counter() - begun)


async def _deliver(up: Servers, url: str) -> float:
    environment, telling, now = up.environment, Telling(), system_clock.now()
    sealed = seal(_SECRET, environment.secrets.sealing_public["revenue"])
    rows = []
    for n in range(OWNERS):
        request_id = new_id()
        asked = WebhookRegistrationRequested(
            request_id=request_id,
            requested_by=f"owner-{n}",
            requested_at=now,
            expires_at=now + timedelta(minutes=10),
            webhook_id=new_id(),
            url=url,
            event_types=("revenue.share_accrued",),
            description=None,
            sealed_secret=sealed,
        )
        rows.append(telling.row(f"request-{request_id}", asked))
    async with up.bus_as("gateway") as bus:
        await publish(bus, rows)
    connection = await asyncpg.connect(environment.service_dsn("revenue"))
    try:
        await _until(connection, "select count(*) from webhook_endpoints", OWNERS)
        async with connection.transaction():
            await connection.execute(_QUEUE, _BODY, LINES)
            await connection.execute("update webhook_endpoints set due_at = now()")
        begun = time.perf_counter()
        waiting = "select count(*) from webhook_deliveries where due_at is not null"
        await _until(connection, waiting, 0)
        return DELIVERIES / (time.perf_counter() - begun)
    finally:
        await connection.close()


async def _until(connection: asyncpg.Connection, sql: str, expected: int) -> None:
    begun = time.perf_counter()
    while await connection.fetchval(sql) != expected:
        if time.perf_counter() - begun > SECONDS_MAX:
            raise NotMeasuredError(f"not within {SECONDS_MAX:g} s: {sql}")
        await asyncio.sleep(_POLL_SECONDS)
