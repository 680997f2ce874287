"""How many reads the gateway answers in a second on one core, beside a route that does nothing."""

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from benchmarks.modules import MODULES, fill, until_analysed
from benchmarks.raw_http import Load, load
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, System, system
from benchmarks.table import Row, Status

DEPLOYMENTS: Final = 10_000
HISTORY: Final = 10_000
CONNECTIONS: Final = 8
CALLS: Final = 2_000
WARM_UP_CALLS: Final = 300
REACH: Final = 0.2
BARE: Final = "/healthz"
_BUILD_SECONDS_MAX: Final = 60.0
_PLENTY: Final = "100000"
PLENTIFUL: Final = {
    "TOLLGATE_RATE_LIMIT_PER_SECOND": _PLENTY,
    "TOLLGATE_RATE_LIMIT_BURST": _PLENTY,
}
_FILL: Final = (
    # As the one that was made by a call, but for the id, and what follows from it.
    """insert into deployments
       select (jsonb_populate_record(d, jsonb_build_object(
                  'deployment_id', 'bench-' || n, 'project', 'project ' || n % 50,
                  'created_at', d.created_at - n * interval '1 minute'))).*
       from deployments d, generate_series(1, $1::int) as n where d.deployment_id = $2""",
    """insert into credit_history
       select (jsonb_populate_record(h, jsonb_build_object(
                  'sequence', -n, 'id', 'bench-' || n,
                  'at', h.at - n * interval '1 minute'))).*
       from credit_history h, generate_series(1, $1::int) as n
       where (h.user_id, h.sequence) = (
           select user_id, min(c.sequence) from credit_history c join deployments d using (user_id)
           where d.deployment_id = $2 group by user_id)""",
)


def measure(status: Status) -> Row:
    """Return how fast lists, a detail, a balance and cards are answered, and a route that is bare.

    The gateway runs on one core, and all else on the others, where there are others. All calls are
    signed in; the bare one goes through the same frame, and reads nothing.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with (
            status("calls: starting the system"),
            system(place, environment=PLENTIFUL) as up,
        ):
            account = json.loads((place / "demo.json").read_text())["accounts"]["user"]
            with status("calls: a deployment, and many like it"):
                deployment_id = asyncio.run(prepare(up, account["token"]))
            on_one_core(up)
            with status("calls: asking"):
                found = asyncio.run(_ask(up, account["token"], deployment_id))
    bare = found.pop("bare")
    slowest = min(each.calls_per_second for each in found.values()) / bare.calls_per_second
    return Row(
        name="calls",
        what=f"reads a second on one core: of {DEPLOYMENTS:,} deployments, {HISTORY:,} lines of "
        f"history, {MODULES:,} modules",
        reach=f"≥ {REACH:g} × a route that does nothing",
        measured=", ".join(_words(name, each) for name, each in found.items()),
        reference=f"the slowest {slowest:.2f} × {_words(BARE, bare)}",
        reached=slowest >= REACH,
    )


def _words(name: str, each: Load) -> str:
    return f"{name} {each.calls_per_second:,.0f}/s (p99 {each.p99_ms:.1f} ms)"


async def prepare(up: System, token: str) -> str:
    """Have one deployment made, and many like it in the read model; return its id."""
    headers = {"Authorization": f"Bearer {token}"}
    url = up.endpoints["gateway"]
    async with aiohttp.ClientSession(url, headers=headers, raise_for_status=True) as session:
        async with session.get("/api/modules", params={"search": "network"}) as answer:
            card = (await answer.json())["items"][0]
        body = {"module_id": card["id"], "variables": {}}
        async with session.post("/api/deployments", json=body) as answer:
            deployment_id: str = (await answer.json())["id"]
        begun = time.perf_counter()
        status = ""
        while status not in {"SUCCESS", "FAILED"}:
            if time.perf_counter() - begun > _BUILD_SECONDS_MAX:
                raise NotMeasuredError(f"the deployment does not end: {status}")
            await asyncio.sleep(0.2)
            async with session.get(f"/api/deployments/{deployment_id}") as answer:
                status = (await answer.json())["status"]
    dsn = up.endpoints["postgres"]["gateway"]
    await fill(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        for sql, count in zip(_FILL, (DEPLOYMENTS, HISTORY), strict=True):
            await connection.execute(sql, count, deployment_id)
        await until_analysed(connection, "deployments", "credit_history")
    finally:
        await connection.close()
    return deployment_id


def on_one_core(up: System) -> None:
    """Give the gateway the first core to itself, if there is another for everybody else."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return
    for task in Path(f"/proc/{up.endpoints['services']['gateway']['pid']}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores[:1])


async def _ask(up: System, token: str, deployment_id: str) -> dict[str, Load]:
    calls: dict[str, Any] = {
        "bare": BARE,
        "deployments": "/api/deployments?limit=25",
        "deployment": f"/api/deployments/{deployment_id}",
        "balance": "/api/credits/balance",
        "history": "/api/credits/history?limit=25",
        "cards": "/api/modules?limit=25",
    }
    found = {}
    for name, path in calls.items():
        for count in (WARM_UP_CALLS, CALLS):
            found[name] = await load(
                up.endpoints["gateway"], path, token, connections=CONNECTIONS, calls=count
            )
    return found
