"""How long `POST /api/deployments` takes until `QUEUED`, and a status until a client sees it."""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from benchmarks.customers import Customer, RefusedError, Shop, quantile, shop
from benchmarks.processor_time import processor_ms, told_per
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, system
from benchmarks.servers import Servers, servers
from benchmarks.table import Row, Status
from runtime.clock import system_clock

RATE: Final = 100
SECONDS: Final = 15
WARM_UP_SECONDS: Final = 5
CUSTOMERS: Final = 20
REACH_MS: Final = 50.0
FLOOR_REACH: Final = 4.0
HOPS: Final = 4
"""Gateway → deployer → ledger → deployer → gateway: five commits, and a message between each."""

CHANGES: Final = 400
CHANGES_PER_SECOND: Final = 20
LIVE_REACH_MS: Final = 100.0
_DRAIN_SECONDS_MAX: Final = 60.0
_ENVIRONMENT: Final = {
    "TOLLGATE_CONCURRENT_BUILDS_MAX": "1",
    "TOLLGATE_RATE_LIMIT_PER_SECOND": "1000",
    "TOLLGATE_RATE_LIMIT_BURST": "10000",
}


def measure(status: Status) -> Row:
    """Return how long a deployment takes to be queued, beside bare commits and messages.

    Calls come at a steady rate, whether those before them are answered or not. The floor is the
    same number of one-row transactions and stored messages, one after the other, at the same rate
    on the same kinds of servers.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        with (
            status("deployments: starting a system"),
            system(place / "data", environment=_ENVIRONMENT) as up,
        ):

            async def ask() -> tuple[list[float], int, str]:
                async with shop(up, place, customers=CUSTOMERS) as opened:
                    return await _posts(opened, up.endpoints["pid"])

            took, late, spent = asyncio.run(ask())
        with status("deployments: the floor"), servers(place / "floor") as bare:
            floor = asyncio.run(_floor(bare))
    p50, p99 = quantile(took, 0.5), quantile(took, 0.99)
    floor_p50, floor_p99 = quantile(floor, 0.5), quantile(floor, 0.99)
    return Row(
        name="deployments",
        what=f"`POST /api/deployments` → `QUEUED` at {RATE} requests/s",
        reach=f"p99 ≤ {REACH_MS:g} ms, ≤ {FLOOR_REACH:g} × the floor of its hops",
        measured=f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        + (f", {late} of {len(took)} not within 5 s" if late else ""),
        reference=f"{p50 / floor_p50:.1f} × and {p99 / floor_p99:.1f} × {HOPS + 1} commits and "
        f"{HOPS} messages: p50 {floor_p50:.1f} ms, p99 {floor_p99:.1f} ms; "
        f"processor time of each request: {spent}",
        reached=not late and p99 <= REACH_MS and p99 <= FLOOR_REACH * floor_p99,
    )


async def _posts(opened: Shop, pid: int) -> tuple[list[float], int, str]:
    """Return how long each call took, how many were not answered with `QUEUED`, and who worked.

    `pid` is the system's own process, of which all others are descendants.
    """
    # The one that holds the only runner.
    await opened.deploys(opened.customers[0])
    late = 0

    async def post(number: int) -> None:
        nonlocal late
        try:
            told = await opened.deploys(opened.customers[number % CUSTOMERS])
        except RefusedError:
            told = {}
        late += told.get("status") != "QUEUED"

    await at_rate(post, rate=RATE, count=RATE * WARM_UP_SECONDS)
    late = 0
    before = processor_ms(pid)
    took = await at_rate(post, rate=RATE, count=RATE * SECONDS)
    return took, late, told_per(processor_ms(pid) - before, len(took))


async def at_rate(
    call: Callable[[int], Awaitable[None]], *, rate: float, count: int
) -> list[float]:
    """Return how many milliseconds each call took from when it was due."""
    begun = time.perf_counter() + 0.1
    took: list[float] = []

    async def one(number: int) -> None:
        due = begun + number / rate
        await asyncio.sleep(due - time.perf_counter())
        await call(number)
        took.append((time.perf_counter() - due) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
    return took


async def _floor(bare: Servers) -> list[float]:
    """Return how long the bare hops take: a commit, a stored message that comes, a commit, …."""
    dsn = bare.environment.postgres().dsn("postgres")
    arrived: dict[str, asyncio.Event] = {}
    async with (
        asyncpg.create_pool(dsn, min_size=10, max_size=10) as pool,
        bare.administrator() as client,
    ):
        await pool.execute("create table floor (id bigserial primary key, body text)")
        jetstream = client.jetstream()
        await jetstream.add_stream(name="FLOOR", subjects=["floor.>"])

        async def take(message: Any) -> None:
            arrived[message.subject].set()

        await jetstream.subscribe("floor.>", cb=take, ordered_consumer=True)

        async def chain(number: int) -> None:
            for hop in range(HOPS):
                await pool.execute("insert into floor (body) values ('x')")
                subject = f"floor.{number}.{hop}"
                came = arrived[subject] = asyncio.Event()
                await jetstream.publish(subject, b"x" * 1_000)
                await came.wait()
            await pool.execute("insert into floor (body) values ('x')")

        await at_rate(chain, rate=RATE, count=RATE)
        arrived.clear()
        return await at_rate(lambda number: chain(number + RATE), rate=RATE, count=RATE * SECONDS)


def measure_live(status: Status) -> Row:
    """Return how long a deployment's new status takes until a client that listens has it.

    From the instant that the deployer's fact carries. Each change is a queued build's cancellation.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        with (
            status("live: starting a system"),
            system(place / "data", environment=_ENVIRONMENT) as up,
        ):

            async def ask() -> tuple[list[float], list[float]]:
                async with shop(up, place, customers=CUSTOMERS) as opened:
                    return await _changes(opened), await _reads(opened)

            took, reads = asyncio.run(ask())
    p50, p99, read = quantile(took, 0.5), quantile(took, 0.99), quantile(reads, 0.5)
    return Row(
        name="live-status",
        what="deployment status change → seen by a subscribed client",
        reach=f"p99 ≤ {LIVE_REACH_MS:g} ms",
        measured=f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {CUSTOMERS} clients",
        reference=f"p50 {p50 / read:.1f} × a bare `GET /api/me`, {read:.1f} ms",
        reached=p99 <= LIVE_REACH_MS,
    )


async def _changes(opened: Shop) -> list[float]:
    holder = opened.customers[0]
    await opened.deploys(holder)
    made = [
        (customer, (await opened.deploys(customer))["id"])
        for number in range(CHANGES)
        for customer in (opened.customers[number % CUSTOMERS],)
    ]
    took: dict[str, float] = {}
    listening = [asyncio.Event() for _ in opened.customers]

    async def cancel(number: int) -> None:
        customer, deployment_id = made[number]
        await customer.asks("POST", f"/api/deployments/{deployment_id}/cancel")

    tasks = [
        asyncio.create_task(_listen(customer, took, begun))
        for customer, begun in zip(opened.customers, listening, strict=True)
    ]
    try:
        await asyncio.gather(*(begun.wait() for begun in listening))
        await at_rate(cancel, rate=CHANGES_PER_SECOND, count=CHANGES)
        deadline = time.monotonic() + _DRAIN_SECONDS_MAX
        while len(took) < CHANGES:
            if time.monotonic() > deadline:
                raise NotMeasuredError(f"only {len(took)} of {CHANGES} changes were seen")
            await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return list(took.values())


async def _listen(customer: Customer, took: dict[str, float], begun: asyncio.Event) -> None:
    """Note when each cancellation was seen, in milliseconds after the deployer decided it."""
    async with customer.client.get(
        "/api/events", timeout=aiohttp.ClientTimeout(total=None, sock_read=60)
    ) as answer:
        begun.set()
        async for line in answer.content:
            if not line.startswith(b"data:"):
                continue
            seen = system_clock.now()
            event = json.loads(line[5:])
            if event.get("status") == "CANCELLED":
                decided = datetime.fromisoformat(event["at"])
                took[event["id"]] = (seen - decided).total_seconds() * 1000


async def _reads(opened: Shop) -> list[float]:
    async def read(number: int) -> None:
        await opened.customers[number % CUSTOMERS].asks("GET", "/api/me")

    return await at_rate(read, rate=CHANGES_PER_SECOND, count=100)
