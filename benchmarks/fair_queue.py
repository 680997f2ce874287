"""In which order five hundred builds of fifty users end, who asked one user after the other."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.customers import Customer, Shop, shop
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, system
from benchmarks.table import Row, Status

USERS: Final = 50
BUILDS_EACH: Final = 10
RUNNERS: Final = 4
REACH: Final = 2
"""A user may be one build ahead by turn, and one more as those that run at a time overtake."""
SECONDS_MAX: Final = 1_800.0
_POLL_SECONDS: Final = 0.5
_WAITS: Final = """#!/bin/sh
[ "$1" != apply ] || until [ -e {gate} ]; do sleep 0.1; done
echo "stands where Terraform is configured"
"""


def measure(status: Status, users: int = USERS, builds_each: int = BUILDS_EACH) -> Row:
    """Return how far any user was ever ahead of another who still waited, in builds that had ended.

    The queue is what is measured: a program that does nothing stands where Terraform is configured.
    It waits until all builds are queued.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        gate = place / "open"
        gate.mkdir()
        program = place / "waits"
        program.write_text(_WAITS.format(gate=gate / "go"))
        program.chmod(0o755)
        environment = {
            "TOLLGATE_TERRAFORM": str(program),
            "TOLLGATE_BUILD_READABLE_PATHS": str(gate),
            "TOLLGATE_CONCURRENT_BUILDS_MAX": str(RUNNERS),
            "TOLLGATE_RATE_LIMIT_PER_SECOND": "1000",
            "TOLLGATE_RATE_LIMIT_BURST": "10000",
        }
        with (
            status("fair queue: starting a system"),
            system(place / "data", environment=environment) as up,
        ):

            async def ended() -> tuple[list[int], float]:
                async with shop(up, place, customers=users + RUNNERS) as opened:
                    return await _ended(opened, builds_each, (gate / "go").touch)

            order, seconds = asyncio.run(ended())
    ahead = most_ahead(order, builds_each)
    return Row(
        name="fair-queue",
        what=f"{len(order)} queued builds of {users} users, {RUNNERS} at a time",
        reach=f"nobody ever more than {REACH} builds ahead of who still waits",
        measured=f"{ahead} ahead at most, {len(order) / seconds:.1f} builds/s",
        reference=f"first come, first served: {builds_each} ahead",
        reached=len(order) == users * builds_each and ahead <= REACH,
    )


async def _ended(
    opened: Shop, builds_each: int, release: Callable[[], object]
) -> tuple[list[int], float]:
    """Return whose builds ended, in that order, and how long all of them took."""
    holders, customers = opened.customers[:RUNNERS], opened.customers[RUNNERS:]
    for holder in holders:
        await opened.deploys(holder)
    made = [
        (number, customer, (await opened.deploys(customer))["id"])
        for number, customer in enumerate(customers)
        for _ in range(builds_each)
    ]
    release()
    begun = time.monotonic()
    async with asyncio.timeout(SECONDS_MAX):
        ends = [(await _end(customer, each), number) for number, customer, each in made]
    return [number for _, number in sorted(ends)], time.monotonic() - begun


async def _end(customer: Customer, deployment_id: str) -> datetime:
    """Return when a deployment's build ended, once it has."""
    while True:
        told: Any = await customer.asks("GET", f"/api/deployments/{deployment_id}")
        if told["status"] == "SUCCESS":
            return datetime.fromisoformat(told["builds"][-1]["finished_at"])
        if told["status"] not in {"QUEUED", "PROVISIONING"}:
            raise NotMeasuredError(f"a build did not succeed: {told}")
        await asyncio.sleep(_POLL_SECONDS)


def most_ahead(order: list[int], builds_each: int) -> int:
    """Return by how many builds that had ended anybody was ever ahead of one with builds left."""
    ended = Counter(dict.fromkeys(order, 0))
    most = 0
    for user in order:
        ended[user] += 1
        waits = [count for count in ended.values() if count < builds_each]
        most = max(most, ended[user] - min(waits, default=builds_each))
    return most
