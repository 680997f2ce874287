"""How long pages of the revenue reports take over a million settlements, and how fast CSV is."""

import asyncio
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import psutil

from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, System, system
from benchmarks.table import Row, Status

SETTLEMENTS: Final = 1_000_000
USERS: Final = 20_000
PARTNERS: Final = 20
AGENTS: Final = 20
CALLS: Final = 200
WARM_UP_CALLS: Final = 50
DEEP_PAGES: Final = 500
"""The deep page is so many pages of a hundred after the first."""

REACH_SECONDS: Final = 0.020
CSV_REACH: Final = 200_000
MEMORY_REACH_MIB: Final = 32
_MIB: Final = 1024 * 1024
_OK: Final = 200
_LIMIT: Final = 25

_FILL: Final = (
    """insert into users (user_id, roles, active, referred_by, registered_at, revision)
       select 'u-' || n, '{user}', true, case when n % 4 = 0 then 'agent-' || n % %(agents)s end,
              timestamptz '2025-01-01T00:00Z' + n * interval '1 minute', 1
       from generate_series(1, %(users)s) as n""",
    """insert into accounts (user_id, email, email_key, password_hash, referral_code, created_at)
       select 'u-' || n, 'u' || n || '@example.com', 'u' || n || '@example.com', '', 'code-' || n,
              now()
       from generate_series(1, %(users)s) as n""",
    """insert into revenue_lines (
           deployment_id, line, kind, hold_id, user_id, module_id, module_name, partner_id,
           agent_id, credit_cost, awarded_credits, purchased_credits, true_revenue_minor, currency,
           lots, shares_due, shares_known, created_at, recognized_at, partner_share_minor,
           agent_share_minor)
       select md5(n::text), 1, 'settled', 'h-' || n, 'u-' || user_number, 'm-' || n % 400,
              'module-' || n % 400, 'p-' || n % %(partners)s,
              case when user_number % 4 = 0 then 'agent-' || user_number % %(agents)s end,
              20, 5, 15, 1500, 'USD', array['lot-' || n / 10], 0, 0, at, at, 450,
              case when user_number % 4 = 0 then 75 else 0 end
       from (select n, 1 + n * 7919 % %(users)s as user_number,
                    timestamptz '2025-02-01T00:00Z' + n * interval '30 seconds' as at
             from generate_series(1::bigint, %(settlements)s) as n) as made""",
    """insert into revenue_referrals
       select distinct agent_id, user_id from revenue_lines where agent_id is not null""",
    """insert into revenue_days
       select (recognized_at at time zone 'UTC')::date, module_id, coalesce(partner_id, ''),
              coalesce(agent_id, ''), count(*), sum(credit_cost), sum(purchased_credits),
              sum(true_revenue_minor), sum(partner_share_minor), sum(agent_share_minor)
       from revenue_lines group by 1, 2, 3, 4""",
    """insert into revenue_months
       select date_trunc('month', day)::date, module_id, partner_id, agent_id, sum(lines),
              sum(credit_cost), sum(purchased_credits), sum(true_revenue_minor),
              sum(partner_share_minor), sum(agent_share_minor)
       from revenue_days group by 1, 2, 3, 4""",
    "vacuum analyze revenue_lines",
    "vacuum analyze revenue_months",
    "vacuum analyze revenue_days",
    "vacuum analyze users",
    "vacuum analyze accounts",
)


def measure_pages(status: Status) -> Row:
    """Return how long pages of both reports take, their totals over all lines included.

    The read model is filled directly: how lines come to be is measured elsewhere. First and deep
    pages take turns with the smallest answer of the same server, over one connection each.
    """
    with _filled(status) as (up, token), status("revenue reports: pages"):
        took = _page_times(up, token)
    reference = took.pop("GET /api/me")
    worst = {name: statistics.quantiles(times, n=100)[98] for name, times in took.items()}
    return Row(
        name="revenue-pages",
        what=f"a page of revenue by module and by user, with totals, of {SETTLEMENTS:,} lines",
        reach=f"p99 ≤ {1000 * REACH_SECONDS:g} ms",
        measured="; ".join(
            f"{name} p50 {1000 * statistics.median(times):.1f}, p99 {1000 * worst[name]:.1f} ms"
            for name, times in took.items()
        ),
        reference=f"GET /api/me: p50 {1000 * statistics.median(reference):.1f}, "
        f"p99 {1000 * statistics.quantiles(reference, n=100)[98]:.1f} ms",
        reached=max(worst.values()) <= REACH_SECONDS,
    )


def measure_csv(status: Status) -> Row:
    """Return how fast all lines come as CSV over HTTP, and what the gateway holds meanwhile.

    Beside it Postgres alone, which writes the bare columns of the same lines to nowhere.
    """
    with _filled(status) as (up, token):
        with status("revenue reports: CSV"):
            rate, held = _csv(up, token)
        with status("revenue reports: the reference"):
            bare = asyncio.run(_bare_copy(up.endpoints["postgres"]["gateway"]))
    return Row(
        name="revenue-csv",
        what=f"{SETTLEMENTS:,} lines of revenue as CSV over HTTP",
        reach=f"≥ {CSV_REACH:,} lines/s, ≤ {MEMORY_REACH_MIB} MiB more memory",
        measured=f"{rate:,.0f} lines/s, {held:.0f} MiB more",
        reference=f"{rate / bare:.2f} × a bare COPY of the same columns, {bare:,.0f} lines/s",
        reached=rate >= CSV_REACH and held <= MEMORY_REACH_MIB,
    )


@contextmanager
def _filled(status: Status) -> Iterator[tuple[System, str]]:
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("revenue reports: starting the system"), system(place) as up:
            with status(f"revenue reports: making {SETTLEMENTS:,} lines"):
                asyncio.run(_fill(up.endpoints["postgres"]["gateway"]))
            accounts = json.loads((place / "demo.json").read_text())["accounts"]
            yield up, accounts["finance" if "finance" in accounts else "admin"]["token"]


async def _fill(dsn: str) -> None:
    sizes = {"users": USERS, "agents": AGENTS, "partners": PARTNERS, "settlements": SETTLEMENTS}
    connection = await asyncpg.connect(dsn)
    try:
        for statement in _FILL:
            for name, size in sizes.items():
                statement = statement.replace(f"%({name})s", str(size))  # noqa: PLW2901 - filled in step by step
            await connection.execute(statement)
    finally:
        await connection.close()


def _page_times(up: System, token: str) -> dict[str, list[float]]:
    """Return how many seconds each call took, by its name; the calls take turns."""
    connection = http.client.HTTPConnection(urlsplit(up.endpoints["gateway"]).netloc, timeout=60)
    try:
        paths = {"GET /api/me": "/api/me"}
        for name, path in (("modules", "/api/revenue/modules"), ("users", "/api/revenue/users")):
            paths[f"{name} first"] = f"{path}?limit={_LIMIT}"
            cursor = _deep(connection, token, path, 20 if name == "users" else DEEP_PAGES)
            paths[f"{name} deep"] = f"{path}?limit={_LIMIT}&cursor={cursor}"
        paths["modules of a month"] = (
            f"/api/revenue/modules?limit={_LIMIT}&from=2025-06-01&to=2025-06-30"
        )
        took: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(WARM_UP_CALLS + CALLS):
            for name, path in paths.items():
                begun = time.perf_counter()
                _get(connection, token, path)
                took[name].append(time.perf_counter() - begun)
    finally:
        connection.close()
    return {name: times[WARM_UP_CALLS:] for name, times in took.items()}


def _deep(connection: http.client.HTTPConnection, token: str, path: str, pages: int) -> str:
    """Return the cursor after so many pages of a hundred."""
    cursor = ""
    for _ in range(pages):
        after = f"&cursor={cursor}" if cursor else ""
        cursor = _get(connection, token, f"{path}?limit=100{after}")["next_cursor"]
    return cursor


def _get(connection: http.client.HTTPConnection, token: str, path: str) -> dict[str, Any]:
    for _ in range(600):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        body = response.read()
        if response.status == http.client.TOO_MANY_REQUESTS:
            time.sleep(float(response.headers.get("Retry-After", "1")))
            continue
        if response.status != _OK:
            raise NotMeasuredError(f"GET {path} was answered {response.status}: {body[:500]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer
    raise NotMeasuredError(f"GET {path} comes too often")


def _csv(up: System, token: str) -> tuple[float, float]:
    """Return lines a second, and by how many MiB the gateway grew at most meanwhile."""
    process = psutil.Process(up.endpoints["services"]["gateway"]["pid"])
    before = process.memory_info().rss
    most, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most.append(process.memory_info().rss)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    connection = http.client.HTTPConnection(urlsplit(up.endpoints["gateway"]).netloc, timeout=120)
    lines = -1
    begun = time.perf_counter()
    try:
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/csv"}
        connection.request("GET", "/api/revenue/modules", headers=headers)
        response = connection.getresponse()
        while piece := response.read(_MIB):
            lines += piece.count(b"\n")
    finally:
        took = time.perf_counter() - begun
        done.set()
        watching.join()
        connection.close()
    if lines < SETTLEMENTS:
        raise NotMeasuredError(f"only {lines:,} lines came")
    return lines / took, (max(most) - before) / _MIB


async def _bare_copy(dsn: str) -> float:
    async def nowhere(_: bytes) -> None:
        return

    connection = await asyncpg.connect(dsn)
    try:
        begun = time.perf_counter()
        await connection.copy_from_query(
            """select deployment_id, line, reverses, kind, module_id, module_name, partner_id,
                      created_at, recognized_at, credit_cost, purchased_credits,
                      true_revenue_minor, partner_share_minor, currency
               from revenue_lines""",
            output=nowhere,
            format="csv",
        )
        return SETTLEMENTS / (time.perf_counter() - begun)
    finally:
        await connection.close()
