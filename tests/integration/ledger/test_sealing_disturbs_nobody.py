"""Sealing and verifying go on beside the work, and may be killed at any moment."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from runtime.clock import ManualClock, system_clock
from runtime.ids import new_id
from runtime.postgres_store import PostgresStore
from runtime.segments.places import FolderPlace
from runtime.segments.sealer import Sealing, seal
from runtime.signing import PublicKeys, SigningKey
from services.ledger.sealing.origin import ORIGIN
from services.ledger.sealing.verification import verify_all
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.sealed import Sealer, new_key
from tests.support.environment import Database

ROOT: Final = Path(__file__).parents[3]
WALLETS: Final = 40
ROUNDS: Final = 8
ROUNDS_MAX: Final = 80
HOLDS: Final = 30

# Of transaction ids and tuples only those wait that want what another holds; seals take neither.
WAITING: Final = """
    select pid, locktype, relation::regclass::text as table from pg_locks
    where not granted and pid in (
        select pid from pg_stat_activity where datname = current_database())
"""
SEALERS_LOCKS: Final = """
    select l.locktype, l.mode, l.relation::regclass::text as table
    from pg_locks l join pg_stat_activity a using (pid)
    where a.datname = current_database() and a.application_name = 'ledger-seal' and l.granted
"""


async def wallets(ledger: Ledger) -> list[str]:
    users = [f"user-{n}" for n in range(100, 100 + WALLETS)]
    for user in users:
        await ledger.register(user)
    await asyncio.gather(*(ledger.award(user, 1_000) for user in users))
    return users


async def place_holds(ledger: Ledger, users: list[str], stop: asyncio.Event) -> int:
    """Place and settle holds at full speed until it is told to stop."""
    placed = 0
    while not stop.is_set():
        ids = [f"d-{new_id()}" for _ in users]
        await ledger.tell(
            *(
                (f"deployment-{d}", ledger.asking(d, user, 1))
                for d, user in zip(ids, users, strict=True)
            )
        )
        placed += len(ids)
    return placed


async def test_no_writer_waits_for_a_seal_or_a_verification(
    ledger: Ledger, database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    sealer = Sealer.of(database, clock, tmp_path / "segments", facts_max=500)
    users = await wallets(ledger)
    stop = asyncio.Event()
    writing = asyncio.create_task(place_holds(ledger, users, stop))
    watcher = await asyncpg.connect(database.dsn)
    seen: set[tuple[Any, ...]] = set()
    try:
        for _ in range(ROUNDS):
            work = asyncio.gather(
                sealer.seal(), verify_all(database.dsn, sealer.sealing.place, sealer.keys)
            )
            while not work.done():
                assert await watcher.fetch(WAITING) == []
                for row in await watcher.fetch(SEALERS_LOCKS):
                    if row["table"] in {"facts", "streams", "outbox", "inbox_cursors"}:
                        seen.add((row["table"], row["mode"]))
                await asyncio.sleep(0)
            _, result = await work
            assert result.ok, result.first_bad
    finally:
        stop.set()
        placed = await writing
        await watcher.close()
    assert placed > 0
    assert {mode for _, mode in seen} <= {"AccessShareLock"}
    await sealer.seal()
    result = await verify_all(database.dsn, sealer.sealing.place, sealer.keys)
    assert result.ok, result.first_bad
    assert result.sealed == result.events == len(await ledger.fetch("select 1 from facts"))


@dataclass(frozen=True)
class Progress:
    """How far a sealer got: its files, and how many segments the database knows."""

    files: frozenset[str]
    sealed: int

    def new(self, other: "Progress", start: str) -> bool:
        """Whether a later progress has a file more that is called so."""
        return any(name.startswith(start) for name in other.files - self.files)


async def progress(database: Database, folder: Path) -> Progress:
    connection = await asyncpg.connect(database.dsn)
    try:
        sealed = await connection.fetchval("select count(*) from segments")
    finally:
        await connection.close()
    files = frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()
    return Progress(files, sealed)


STAGES: Final[dict[str, Callable[[Progress, Progress], bool]]] = {
    "it has begun a file": lambda before, now: before.new(now, ".unfinished-"),
    "it has put a segment": lambda before, now: before.new(now, "segment-"),
    "it has committed": lambda before, now: now.sealed > before.sealed,
    "it has put a manifest": lambda before, now: before.new(now, "manifest-"),
}


async def sealing_process(environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.ledger.sealing", "seal"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_however_often_a_sealer_is_killed_every_fact_is_sealed_once_and_nothing_is_half(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    key, folder = new_key(), tmp_path / "segments"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TOLLGATE_POSTGRES_DSN": database.dsn,
        "TOLLGATE_NATS_USER": "ledger",
        "TOLLGATE_NATS_PASSWORD": "unused",
        "TOLLGATE_SIGNING_KEY": key,
        "TOLLGATE_SEGMENTS_URL": folder.as_uri(),
    }
    users = await wallets(ledger)
    keys = SigningKey.read(key).public
    left_at: set[str] = set()
    number = 0
    # Until it was left at each of its steps: on a busy machine some are over before we look.
    while number < ROUNDS or (left_at != set(STAGES) and number < ROUNDS_MAX):
        await asyncio.gather(*(ledger.award(user, 1) for user in users))
        stage = list(STAGES)[number % len(STAGES)]
        before = await progress(database, folder)
        process = await sealing_process(environment)
        async with asyncio.timeout(30):
            while process.returncode is None:
                now = await progress(database, folder)
                if STAGES[stage](before, now):
                    process.send_signal(signal.SIGKILL)
                    break
        await process.communicate()
        left_at |= {
            name for name in STAGES if STAGES[name](before, await progress(database, folder))
        }
        number += 1
    # Else the rounds would show nothing: the sealer was killed before and after each of its steps.
    assert left_at == set(STAGES)
    process = await sealing_process(environment)
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert set(json.loads(output)) == {"segments", "facts"}
    result = await verify_all(database.dsn, FolderPlace(folder), keys)
    assert result.ok, result.first_bad
    assert result.sealed == result.events == len(await ledger.fetch("select 1 from facts"))
    names = {path.name for path in folder.iterdir()}
    assert len(names) == 2 * result.segments + 1
    assert not any(name.startswith(".") for name in names)


async def test_a_first_seal_of_a_large_ledger_holds_no_more_than_a_segment(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    """What is read at once is bounded: the snapshot ends with each segment."""
    users = await wallets(ledger)
    for _ in range(5):
        await asyncio.gather(*(ledger.award(user, 1) for user in users))
    sealing = Sealing(
        origin=ORIGIN,
        dsn=database.dsn,
        place=FolderPlace(tmp_path / "segments"),
        key=SigningKey.read(new_key()),
        keys=PublicKeys(),
        clock=system_clock,
        facts_max=50,
    )
    made = await seal(sealing)
    facts = len(await ledger.fetch("select 1 from facts"))
    assert [manifest.facts for manifest in made] == [50] * (facts // 50) + (
        [facts % 50] if facts % 50 else []
    )
    assert len(await PostgresStore(ledger.running.pool).read(f"wallet-{users[0]}")) == 6


pytestmark = pytest.mark.timeout(180)
