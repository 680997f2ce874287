"""How fast the ledger's history is replayed: from columns, and by deciding every fact again."""

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import asyncpg
from pyarrow.fs import LocalFileSystem

from benchmarks.ledger_history import lives, rows_of, write
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError
from benchmarks.servers import Servers, servers
from benchmarks.table import Row, Status
from runtime.segments.chain import ChainCheck
from runtime.segments.reader import read_facts, snapshot
from runtime.store import FactRow
from services.ledger.checking.fold import DECODER, WalletFold
from services.ledger.columnar.chunks import OpenSegment, Part, Scope, Segment, parts_of
from services.ledger.columnar.engine import ColumnarReplay
from services.ledger.decider import evolve
from services.ledger.wallet import Wallet

FACTS: Final = 10_000_000
STORED_WALLETS: Final = 600
COLUMNAR_REACH: Final = 20_000_000
SCAN_REACH: Final = 0.25
POSTGRES_REACH: Final = 50.0
EXACT_REACH: Final = 500_000
RUNS: Final = 5
READY_SECONDS_MAX: Final = 300
_MILLION: Final = 1_000_000


def measure_columnar(status: Status) -> Row:
    """Return how fast ten million facts are replayed from columns, every split checked.

    Beside it the bare reading of the same columns by as many threads, and reading and folding
    facts from Postgres, which stores the same kind of history.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        with status("columnar replay: writing ten million facts"):
            paths = write(Path(folder), FACTS)
        segments = [Segment(LocalFileSystem(), str(path)) for path in paths]
        bare, full = [], []
        with status("columnar replay: from columns, and the bare reading of them"):
            for _ in range(RUNS):
                bare.append(_rate(lambda: _scan(segments)))
                full.append(_rate(lambda: _replay(segments)))
        place = reachable(Path(folder)) / "data"
        with status("columnar replay: reading and folding from Postgres"), servers(place) as up:
            postgres = asyncio.run(_read_and_fold(up))
    columnar, scan = statistics.median(full), statistics.median(bare)
    return Row(
        name="columnar-replay",
        what="columnar replay from Parquet, with the running-minimum check",
        reach=f"≥ {COLUMNAR_REACH // _MILLION} million events/s, ≥ {SCAN_REACH:g} × a bare scan, "
        f"≥ {POSTGRES_REACH:g} × Postgres",
        measured=f"{columnar / _MILLION:.1f} million events/s",
        reference=f"{columnar / scan:.2f} × a bare scan of the same columns "
        f"({scan / _MILLION:.1f} million/s), {columnar / postgres:,.0f} × reading and folding "
        f"from Postgres ({postgres:,.0f}/s)",
        reached=columnar >= COLUMNAR_REACH
        and columnar >= SCAN_REACH * scan
        and columnar >= POSTGRES_REACH * postgres,
    )


def measure_exact(status: Status) -> Row:
    """Return how many facts are checked in a second: hash, decision, slices, balance, fold.

    By one core, and by a process on each core at the same time. Beside it what a fold alone takes
    of the same facts, without deciding or checking anything.
    """
    cores = len(os.sched_getaffinity(0))
    with status("exact replay: making a history"):
        rows = rows_of(lives())
    with status("exact replay: deciding and folding it, and folding it alone"):
        checked = statistics.median(_facts_per_second(rows, _check) for _ in range(RUNS))
        folded = statistics.median(_facts_per_second(rows, _fold) for _ in range(RUNS))
    with status("exact replay: deciding and folding it on all cores"):
        by_all = _on_all_cores(cores)
    return Row(
        name="exact-replay",
        what="exact replay (real `decide` and `evolve`, every slice checked)",
        reach=f"≥ {EXACT_REACH:,} events/s a core",
        measured=f"{checked:,.0f} events/s a core, {by_all:,.0f} events/s by all {cores}",
        reference=f"{checked / folded:.2f} × decoding and `evolve` alone ({folded:,.0f}/s)",
        reached=checked >= EXACT_REACH,
    )


def _replay(segments: list[Segment]) -> int:
    replay = ColumnarReplay(segments)
    replay.read_segments()
    result = replay.finish()
    if result.problem_count:
        raise NotMeasuredError(f"the history does not fit: {result.problems[0]}")
    return result.facts


def _scan(segments: list[Segment]) -> int:
    """Read the columns that a replay reads, by as many threads, and do nothing with them."""
    opened = [segment.opened() for segment in segments]
    scope = Scope()
    parts = parts_of(opened, len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(len(parts)) as pool:
        return sum(pool.map(lambda part: _scan_part(opened, part, scope), parts))


def _scan_part(segments: list[OpenSegment], part: Part, scope: Scope) -> int:
    rows = 0
    for segment in segments:
        numbers = [n for n, (low, high, _) in enumerate(segment.groups) if part.overlaps(low, high)]
        if numbers:
            file = segment.open(scope.columns)
            for number in numbers:
                wanted = segment.wanted(number, scope.columns)
                table = file.read_row_group(number, columns=wanted, use_threads=False)
                rows += table.num_rows
    return rows


def _rate(take: Callable[[], int]) -> float:
    begun = time.perf_counter()
    facts = take()
    return facts / (time.perf_counter() - begun)


async def _read_and_fold(up: Servers) -> float:
    """Return how many facts a second are read from Postgres, decoded and folded."""
    rows = rows_of(lives(STORED_WALLETS))
    admin = await asyncpg.connect(up.environment.admin_dsn("ledger"))
    try:
        values = [tuple(getattr(row, name) for name in _COLUMNS) for row in rows]
        await admin.copy_records_to_table("facts", records=values, columns=_COLUMNS)
        await admin.execute("vacuum analyze facts")
    finally:
        await admin.close()
    rates = []
    for _ in range(RUNS):
        begun, taken = time.perf_counter(), 0
        wallets = _Wallets()
        async with snapshot(up.environment.service_dsn("ledger")) as connection:
            async for chunk in read_facts(connection, None):
                for row in chunk:
                    wallets.fold(row)
                taken += len(chunk)
        rates.append(taken / (time.perf_counter() - begun))
    return statistics.median(rates)


_COLUMNS: Final = (
    *("stream", "version", "id", "at", "body", "actor", "correlation_id", "causation_id"),
    *("previous_hash", "hash"),
)


def _facts_per_second(rows: list[FactRow], take: Callable[[list[FactRow]], None]) -> float:
    begun = time.perf_counter()
    take(rows)
    return len(rows) / (time.perf_counter() - begun)


def _on_all_cores(cores: int) -> float:
    """Return how many facts a second as many processes check together, each its own history."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(cores, mp_context=context) as pool:
        return sum(pool.map(_together, [manager.Barrier(cores, timeout=READY_SECONDS_MAX)] * cores))


def _together(ready: threading.Barrier) -> float:
    rows = rows_of(lives())
    ready.wait()
    return statistics.median(_facts_per_second(rows, _check) for _ in range(RUNS))


def _fold(rows: list[FactRow]) -> None:
    wallets = _Wallets()
    for row in rows:
        wallets.fold(row)


class _Wallets:
    """Folds facts, one wallet after the other."""

    def __init__(self) -> None:
        self._stream = ""
        self._wallet = Wallet()

    def fold(self, row: FactRow) -> None:
        """Take a fact, wallet by wallet."""
        if row.stream != self._stream:
            self._stream, self._wallet = row.stream, Wallet()
        self._wallet = evolve(self._wallet, DECODER.decode(row.body))


def _check(rows: list[FactRow]) -> None:
    chain = ChainCheck()
    fold = WalletFold(rows[0].stream)
    for row in rows:
        chain.take(row)
        if fold.stream != row.stream:
            _finish(fold)
            fold = WalletFold(row.stream)
        fold.take(row)
    _finish(fold)
    if chain.first_bad is not None:
        raise NotMeasuredError(f"the chain is broken: {chain.first_bad}")


def _finish(fold: WalletFold) -> None:
    fold.finish()
    if fold.objections:
        raise NotMeasuredError(f"the history does not fit: {fold.objections[0]}")
