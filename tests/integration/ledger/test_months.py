"""A month that was attested never changes, whatever clocks say and whoever was slow."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg

from runtime.clock import ManualClock
from runtime.postgres_store import PostgresStore
from runtime.process import assemble
from runtime.signing import PublicKeys
from runtime.store import Changes
from services.ledger.main import build
from services.ledger.periods.attesting import attest_due, months_due
from services.ledger.periods.examination import examine
from services.ledger.periods.rules import Month, PeriodAttested
from services.ledger.replay import verify
from services.ledger.sealing.verification import verify_all
from services.wiring import WIRING
from tests.integration.ledger.driver import START, Ledger, settings_for
from tests.integration.ledger.history import a_history
from tests.integration.ledger.sealed import Sealer
from tests.integration.ledger.test_verification import chained
from tests.support.environment import Database

MARCH = Month(2026, 3)
DELAY = timedelta(minutes=5)
NO_KEYS = PublicKeys()


@dataclass
class Examiner:
    """Examines in this process what the service has another one examine."""

    dsn: str
    done: list[PeriodAttested] = field(default_factory=list)

    async def __call__(self, month: Month) -> PeriodAttested:
        """Return what the month came to."""
        found = await examine(self.dsn, None, NO_KEYS, month)
        assert found.attestation is not None, found.first_bad
        self.done.append(found.attestation)
        return found.attestation


def to(clock: ManualClock, at: datetime) -> None:
    clock.advance(at - clock.now())


async def attested(ledger: Ledger) -> list[dict[str, object]]:
    rows = await ledger.fetch(
        "select body from outbox where stream like 'period-%' order by stream"
    )
    return [json.loads(row["body"])["data"] for row in rows]


async def test_a_month_is_attested_once_when_it_is_over(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await a_history(ledger, clock)
    in_march = await ledger.fetch("select body from facts")
    before = await verify(database.dsn)
    to(clock, MARCH.until + DELAY - timedelta(microseconds=1))
    assert await months_due(ledger.running, DELAY) == []
    await ledger.award("user-1", 1)
    clock.advance(timedelta(microseconds=1))
    examiner = Examiner(database.dsn)
    assert await attest_due(ledger.running, examiner, DELAY) == [MARCH]
    assert await attest_due(ledger.running, examiner, DELAY) == []
    [message] = await attested(ledger)
    assert message["period"] == "2026-03"
    assert (message["facts"], message["ledger_facts"]) == (len(in_march), len(in_march))
    assert message["head"] == f"sha256:{before.head}"
    kinds = [json.loads(row["body"])["fact"] for row in in_march]
    assert message["facts_by_kind"] == {kind: kinds.count(kind) for kind in kinds}


async def test_what_a_month_earned_is_the_value_of_what_was_settled_in_it(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.purchase("user-1", 3, 100)
    for number in range(3):
        await ledger.hold(f"d{number}", "user-1", 1)
    await ledger.succeed("d0", "user-1")
    await ledger.succeed("d1", "user-1")
    to(clock, MARCH.until + DELAY)
    await ledger.succeed("d2", "user-1")
    to(clock, MARCH.next.until + DELAY)
    await attest_due(ledger.running, Examiner(database.dsn), DELAY)
    earned = [(month["period"], month["recognized_minor"]) for month in await attested(ledger)]
    assert earned == [("2026-03", 66), ("2026-04", 34)]


async def test_months_without_a_fact_are_attested_too_and_none_before_the_first_fact(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    to(clock, MARCH.until + DELAY)
    assert await months_due(ledger.running, DELAY) == []
    await ledger.award("user-1", 1)
    to(clock, Month(2026, 6).until + DELAY)
    done = await attest_due(ledger.running, Examiner(database.dsn), DELAY)
    assert [month.name for month in done] == ["2026-04", "2026-05", "2026-06"]
    assert [month["facts"] for month in await attested(ledger)] == [1, 0, 0]


async def test_a_replica_whose_clock_is_behind_cannot_write_into_an_attested_month(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    behind = ManualClock(MARCH.until - timedelta(hours=1))
    await ledger.award("user-1", 1)
    to(clock, MARCH.until + DELAY)
    await attest_due(ledger.running, Examiner(database.dsn), DELAY)
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=behind) as running:
        slow = Ledger(running, told=ledger.told)
        asked = {"requested_at": clock.now(), "expires_at": clock.now() + DELAY}
        await slow.award("user-1", 2, **asked)
        await slow.register("user-new")
        await slow.award("user-new", 3, **asked)
    rows = await ledger.fetch(
        """select stream, version, at from facts where stream like 'wallet-%'
           order by stream, version"""
    )
    assert [(row["stream"], row["at"]) for row in rows] == [
        ("wallet-user-1", START),
        ("wallet-user-1", MARCH.until),
        ("wallet-user-new", MARCH.until),
    ]
    assert (await verify_all(database.dsn, None, NO_KEYS)).ok


async def test_a_transaction_that_is_open_across_the_end_of_a_month_is_waited_for_and_counted(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.register("user-2")
    await ledger.award("user-1", 1)
    store = PostgresStore(ledger.running.pool)
    [first] = await store.read("wallet-user-1")
    to(clock, MARCH.until + DELAY)
    examiner = Examiner(database.dsn)
    async with store.transaction() as slow:
        head = (await slow.lock_heads(["wallet-user-1"]))["wallet-user-1"]
        assert await slow.documents([("periods", "floor")]) == {}
        attesting = asyncio.create_task(attest_due(ledger.running, examiner, DELAY))
        await ledger.until("select 1 from documents where collection = 'periods'")
        # All others go on meanwhile, and nothing of theirs falls into the month any more.
        await ledger.award("user-2", 1)
        assert examiner.done == []
        fact = chained(replace(first, version=2, id="slow"), first.hash)
        head.version, head.last_hash = 2, fact.hash
        await slow.write(Changes(facts=[fact], heads=[head]))
        assert examiner.done == []
    await attesting
    [counted] = examiner.done
    assert counted.facts == 2
    assert (await verify_all(database.dsn, None, NO_KEYS)).ok


async def test_writers_wait_for_no_lock_of_an_attestation(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.award("user-1", 1)
    to(clock, MARCH.until + DELAY)

    async def examine_while_others_write(month: Month) -> PeriodAttested:
        await ledger.award("user-1", 1)
        waiting = await ledger.fetch("select * from pg_locks where not granted")
        assert waiting == []
        return await Examiner(database.dsn)(month)

    assert await attest_due(ledger.running, examine_while_others_write, DELAY) == [MARCH]


async def test_a_fact_slipped_into_an_attested_month_is_named_although_its_chain_fits(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path
) -> None:
    await ledger.award("user-1", 1)
    to(clock, MARCH.until + DELAY)
    await attest_due(ledger.running, Examiner(database.dsn), DELAY)
    sealer = Sealer.of(database, clock, tmp_path / "segments")
    await sealer.seal()
    store = PostgresStore(ledger.running.pool)
    [first] = await store.read("wallet-user-1")
    fact = chained(replace(first, version=2, id="late"), first.hash)
    async with store.transaction() as forger:
        head = (await forger.lock_heads(["wallet-user-1"]))["wallet-user-1"]
        head.version, head.last_hash = 2, fact.hash
        await forger.write(Changes(facts=[fact], heads=[head]))
    bad = (await verify_all(database.dsn, sealer.sealing.place, sealer.keys)).first_bad
    assert bad is not None
    assert bad.stream == "period-2026-03"
    assert "before its end there are 2 facts" in bad.problem


async def test_a_month_is_not_attested_while_anything_does_not_fit(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.award("user-1", 1)
    to(clock, MARCH.until + DELAY)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute("alter table facts disable trigger all")
        await admin.execute("update facts set actor = 'x'")
    finally:
        await admin.close()
    found = await examine(database.dsn, None, NO_KEYS, MARCH)
    assert found.attestation is None
    assert "wallet-user-1 1" in (found.first_bad or "")
