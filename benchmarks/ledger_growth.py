"""What a decision costs in an old wallet of a large ledger, beside what it did when all was new."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.ledger_decisions import Watch, asking, fill_wallets, succeeding
from benchmarks.ready import reachable
from benchmarks.servers import Servers, Telling, publish, servers
from benchmarks.table import Row, Status

WALLETS: Final = 8
WALLET_FACTS: Final = 100_000
LEDGER_FACTS: Final = 10_000_000
HOLDS: Final = 1_000
RUNS: Final = 5
REACH: Final = 1.1
_OTHERS_FACTS: Final = 1_000
_PIECE: Final = 500_000
_FILL_SECONDS_MAX: Final = 1_800.0

_AGE: Final = """
    insert into facts (stream, version, id, at, body, actor, correlation_id, previous_hash, hash)
    select f.stream, n, gen_random_uuid()::text, f.at, f.body, f.actor, f.correlation_id,
           sha256((f.stream || n - 1)::bytea), sha256((f.stream || n)::bytea)
    from streams s join facts f on f.stream = s.name and f.version = s.version,
         generate_series(s.version + 1, $1) n
    where s.name like 'wallet-%'
"""
_AGED: Final = """
    update streams s set version = $1::bigint, last_hash = sha256((name || $1::bigint)::bytea)
    where name like 'wallet-%'
"""
_OTHERS: Final = """
    insert into facts (stream, version, id, at, body, actor, correlation_id, previous_hash, hash)
    select 'wallet-other-' || n / $3, n % $3 + 1, gen_random_uuid()::text, f.at, f.body, f.actor,
           f.correlation_id, sha256((n - 1)::text::bytea), sha256(n::text::bytea)
    from generate_series($1::bigint, $2::bigint - 1) n,
         (select * from facts where stream like 'wallet-%' limit 1) f
"""


def measure(status: Status, *, ledger_facts: int = LEDGER_FACTS) -> Row:
    """Return how much longer a hold and its settlement take once there is much history.

    Two ledgers decide the same in turn, so that what else the machine does weighs on both. In one
    each wallet has 100,000 facts, and the ledger ten million. These are written by the database
    itself: rows as wide as real ones, in the real indexes, whose hashes are no chain, for no
    decision reads them.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        with (
            status("ledger growth: starting servers"),
            servers(place / "new") as empty,
            servers(place / "old") as grown,
        ):
            new, old = _alternately(empty, grown, status, ledger_facts)
    ratio = old / new
    return Row(
        name="ledger-growth",
        what=f"cost of a decision with {WALLET_FACTS:,} events in the wallet and "
        f"{ledger_facts:,} in the ledger",
        reach=f"≤ {REACH:g} × that in an empty one",
        measured=f"{old * 1e6:,.0f} µs",
        reference=f"{ratio:.2f} × the same in a new ledger ({new * 1e6:,.0f} µs), "
        f"medians of {RUNS} runs of {2 * HOLDS:,} in turn",
        reached=ratio <= REACH,
    )


def _alternately(
    new: Servers, old: Servers, status: Status, ledger_facts: int
) -> tuple[float, float]:
    """Return the seconds of a decision in a new ledger and in one grown old, run by run in turn."""
    askers = [_Asker(new), _Asker(old)]
    with status("ledger growth: opening wallets"):
        for asker in askers:
            with asker.up.service("ledger"):
                asyncio.run(asker.open())
    with status("ledger growth: writing a history"):
        asyncio.run(_grow(old, ledger_facts))
    seconds: list[list[float]] = [[], []]
    with (
        new.service("ledger"),
        old.service("ledger"),
        status("ledger growth: decisions in an empty ledger and in an old one"),
    ):
        for asker in askers:
            asyncio.run(asker.seconds())
        for _ in range(RUNS):
            for taken, asker in zip(seconds, askers, strict=True):
                taken.append(asyncio.run(asker.seconds()))
    return statistics.median(seconds[0]), statistics.median(seconds[1])


class _Asker:
    """Asks for holds, settles them, and takes the time."""

    def __init__(self, up: Servers) -> None:
        self.up = up
        self._told = Telling()
        self._asked = 0

    async def open(self) -> None:
        """Open the wallets, with enough credits in each."""
        async with self.up.bus_as("gateway") as people:
            await fill_wallets(people, self._told, WALLETS)
            await Watch(people).facts(2 * WALLETS)

    async def seconds(self) -> float:
        """Return the seconds of one decision of a run, from the bus to the bus."""
        numbers = range(self._asked, self._asked + HOLDS)
        self._asked += HOLDS
        rows = [
            *(self._told.row(f"deployment-{n}", asking(n, WALLETS)) for n in numbers),
            *(self._told.row(f"deployment-{n}", succeeding(n, WALLETS)) for n in numbers),
        ]
        async with self.up.bus_as("deployer") as bus:
            begun = time.perf_counter()
            await publish(bus, rows)
            await Watch(bus).facts(2 * WALLETS + 2 * self._asked)
            return (time.perf_counter() - begun) / (2 * HOLDS)


async def _grow(up: Servers, ledger_facts: int) -> None:
    """Give the wallets that there are a long history, and the ledger many others."""
    admin = await asyncpg.connect(up.environment.admin_dsn("ledger"))
    try:
        await admin.execute("set synchronous_commit = off")
        await admin.execute(_AGE, WALLET_FACTS, timeout=_FILL_SECONDS_MAX)
        await admin.execute(_AGED, WALLET_FACTS)
        there = WALLETS * WALLET_FACTS
        for begin in range(0, max(0, ledger_facts - there), _PIECE):
            end = min(begin + _PIECE, ledger_facts - there)
            await admin.execute(_OTHERS, begin, end, _OTHERS_FACTS, timeout=_FILL_SECONDS_MAX)
        await admin.execute("vacuum analyze facts", timeout=_FILL_SECONDS_MAX)
        await admin.execute("checkpoint", timeout=_FILL_SECONDS_MAX)
    finally:
        await admin.close()
