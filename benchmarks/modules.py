"""How long a page of ten thousand modules takes, and a search among them."""

import asyncio
import http.client
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, System, system
from benchmarks.table import Row, Status

MODULES: Final = 10_000
CALLS: Final = 300
WARM_UP_CALLS: Final = 50
ANALYSED_SECONDS_MAX: Final = 180.0
REACH: Final = 5.0
_OK: Final = 200
_CALLS: Final = {
    # Each with an account of its own, so that nobody comes too often.
    "reference": ("admin", "/api/me"),
    "list": ("user", "/api/modules?limit=25"),
    "search": ("partner", "/api/modules?limit=25&search=kubernetes%20cluster"),
    "typo": ("agent", "/api/modules?limit=25&search=kubrenetes%20clutser"),
}
_FILL: Final = """
    insert into modules (module_id, source, version, name, title, description, tags, credit_cost,
                         premium, public_access, published_at, updated_at, search_text,
                         deployment_count, rating_sum, rating_count)
    select 'bench-' || n, 'admin', 1, name, title, description, tags, n % 200, false, true, now(),
           now(), lower(name || ' ' || title || ' ' || description || ' '
                        || array_to_string(tags, ' ')), n * 7919 % 1000, n % 5 * (n % 9), n % 9
    from (select n, what || '-' || n as name, initcap(what) || ' ' || thing || ' ' || n as title,
                 'A ' || thing || ' of ' || what || ' for ' || whom || ', number ' || md5(n::text)
                 as description, array[what, thing] as tags
          from generate_series(1, $1::int) as n,
               lateral (select (array['kubernetes', 'postgres', 'network', 'storage', 'queue',
                                      'warehouse', 'gateway', 'monitor'])[1 + n % 8] as what,
                               (array['cluster', 'database', 'pipeline', 'balancer', 'cache'])
                                   [1 + n / 8 % 5] as thing,
                               (array['analysts', 'teams', 'students', 'shops'])
                                   [1 + n / 40 % 4] as whom) as words) as made"""


_FILL_WORDS: Final = """
    insert into module_words
    select distinct word from modules, regexp_split_to_table(search_text, '[^[:alnum:]]+') as word
    where length(word) between 3 and 40
    on conflict do nothing"""
_ANALYSED: Final = """
    select bool_and(last_autoanalyze is not null) from pg_stat_user_tables
    where relname = any ($1::text[])"""


def measure(status: Status) -> Row:
    """Return the median of a page and of searches, beside the smallest answer of the same server.

    The read model is filled directly: how modules come to be is measured elsewhere. The calls come
    one after another, signed in, each kind over a connection of its own.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("modules: starting the system"), system(place) as up:
            with status(f"modules: making {MODULES:,}"):
                asyncio.run(fill(up.endpoints["postgres"]["gateway"]))
            accounts = json.loads((place / "demo.json").read_text())["accounts"]
            with status("modules: calls"):
                took = _times(up, accounts)
    medians = {name: statistics.median(times) for name, times in took.items()}
    worst = {name: statistics.quantiles(times, n=100)[98] for name, times in took.items()}
    reference = medians.pop("reference")
    return Row(
        name="modules",
        what=f"a page of {MODULES:,} modules, and a search for two words among them",
        reach=f"≤ {REACH:g} × GET /api/me",
        measured=", ".join(
            f"{name} {1000 * median:.1f} ms (p99 {1000 * worst[name]:.1f})"
            for name, median in medians.items()
        ),
        reference=", ".join(
            f"{name} {median / reference:.1f} ×" for name, median in medians.items()
        )
        + f" GET /api/me, {1000 * reference:.1f} ms",
        reached=max(medians.values()) <= REACH * reference,
    )


async def fill(dsn: str) -> None:
    """Fill the tables, and wait until Postgres has looked at them, as it does of itself."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_FILL, MODULES)
        await connection.execute(_FILL_WORDS)
        await until_analysed(connection, "modules", "module_words")
    finally:
        await connection.close()


async def until_analysed(connection: asyncpg.Connection, *tables: str) -> None:
    """Return once Postgres has looked at tables that were filled, as it does of itself."""
    begun = time.perf_counter()
    while not await connection.fetchval(_ANALYSED, list(tables)):
        if time.perf_counter() - begun > ANALYSED_SECONDS_MAX:
            raise NotMeasuredError(f"Postgres has not analysed {', '.join(tables)}")
        await asyncio.sleep(1)


def _times(up: System, accounts: dict[str, Any]) -> dict[str, list[float]]:
    """Return how many seconds each call took, by its name; the calls take turns."""
    address = urlsplit(up.endpoints["gateway"]).netloc
    with ExitStack() as stack:
        turns = []
        for name, (account, path) in _CALLS.items():
            connection = http.client.HTTPConnection(address, timeout=30)
            stack.callback(connection.close)
            turns.append((name, connection, accounts[account]["token"], path))
        took: dict[str, list[float]] = {name: [] for name in _CALLS}
        for _ in range(WARM_UP_CALLS + CALLS):
            for name, connection, token, path in turns:
                took[name].append(_time(connection, token, path))
    return {name: times[WARM_UP_CALLS:] for name, times in took.items()}


def _time(connection: http.client.HTTPConnection, token: str, path: str) -> float:
    begun = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    body = response.read()
    took = time.perf_counter() - begun
    if response.status != _OK:
        raise NotMeasuredError(f"GET {path} was answered {response.status}: {body[:500]!r}")
    answer: dict[str, Any] = json.loads(body)
    if "items" in answer and not answer["items"]:
        raise NotMeasuredError(f"GET {path} found nothing")
    return took
