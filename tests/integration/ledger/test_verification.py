"""Whoever changes a stored fact behind the ledger's back is found out."""

import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest

from runtime.clock import ManualClock
from runtime.postgres_store import PostgresStore
from runtime.store import FactRow, canonical_values, chain_hash
from services.ledger.replay import replay, verify
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.history import a_history
from tests.support.environment import Database

FORMAT = Path(__file__).parents[3] / "docs" / "ledger-format.md"
WALLET = "stream = 'wallet-user-1'"


@dataclass(frozen=True)
class Tampering:
    """What somebody with all rights does, and where and how it is noticed."""

    sql: str
    version: int
    problem: str


TAMPERINGS = {
    "a number in a body": Tampering(
        f"""update facts set body = replace(body, '"credits":30', '"credits":31')
            where {WALLET} and version = 1""",
        1,
        "it was changed",
    ),
    "an instant": Tampering(
        f"""update facts set at = at + interval '1 microsecond'
            where {WALLET} and version = 2""",
        2,
        "it was changed",
    ),
    "who did it": Tampering(
        f"update facts set actor = 'x' where {WALLET} and version = 3", 3, "it was changed"
    ),
    "what it came from": Tampering(
        f"update facts set causation_id = 'x' where {WALLET} and version = 3", 3, "it was changed"
    ),
    "a hash": Tampering(
        f"update facts set hash = previous_hash where {WALLET} and version = 4",
        4,
        "it was changed",
    ),
    "a body and its hash": Tampering(
        f"update facts set body = '{{}}', hash = sha256('{{}}') where {WALLET} and version = 4",
        4,
        "it was changed",
    ),
    "a fact removed": Tampering(
        f"delete from facts where {WALLET} and version = 2", 3, "missing before it"
    ),
    "the last fact removed": Tampering(
        f"delete from facts where {WALLET} and version = 13", 12, "the head is at version 13"
    ),
    "a whole wallet removed": Tampering(f"delete from facts where {WALLET}", 1, "it has no facts"),
    "two facts swapped": Tampering(
        f"""update facts set version = case version when 2 then -3 else -2 end
            where {WALLET} and version in (2, 3);
            update facts set version = -version where version < 0""",
        2,
        "does not name the hash",
    ),
    "a fact put in": Tampering(
        f"""insert into facts (stream, version, id, at, body, actor, correlation_id,
                               previous_hash, hash)
            select stream, 14, 'new', at, body, actor, correlation_id, hash, hash
            from facts where {WALLET} and version = 13""",
        14,
        "it was changed",
    ),
    "a fact moved to another wallet": Tampering(
        """update facts set stream = 'wallet-user-1', version = 14
            where stream = 'wallet-user-2' and version = 1""",
        14,
        "does not name the hash",
    ),
    "a head": Tampering(
        "update streams set version = 5 where name = 'wallet-user-1'",
        13,
        "the head is at version 5",
    ),
}


async def tamper(database: Database, sql: str) -> None:
    """Do what only a superuser can, who takes the triggers and constraints away first."""
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute("alter table facts disable trigger all")
        await admin.execute("alter table facts drop constraint facts_version_check")
        await admin.execute(sql)
    finally:
        await admin.close()


async def test_an_untouched_chain_verifies_and_its_head_changes_with_every_fact(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    empty = await verify(database.dsn)
    assert (empty.events, empty.ok) == (0, True)
    await a_history(ledger, clock)
    before = await verify(database.dsn)
    assert before.ok
    assert before.events == len(await ledger.fetch("select 1 from facts"))
    await ledger.award("user-1", 1)
    after = await verify(database.dsn)
    assert after.ok
    assert after.head != before.head


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_verification_names_the_first_fact_that_does_not_fit(
    ledger: Ledger, clock: ManualClock, database: Database, what: str
) -> None:
    tampering = TAMPERINGS[what]
    await a_history(ledger, clock)
    await tamper(database, tampering.sql)
    bad = (await verify(database.dsn)).first_bad
    assert bad is not None
    assert (bad.stream, bad.version) == ("wallet-user-1", tampering.version)
    assert tampering.problem in bad.problem
    assert not (await replay(database.dsn)).ok


async def test_whoever_writes_a_whole_new_chain_is_found_by_a_replay(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await a_history(ledger, clock)
    rows = await PostgresStore(ledger.running.pool).read("wallet-user-1")
    forged: list[FactRow] = []
    for row in rows:
        body = row.body.replace('"partner_basis_points":3000', '"partner_basis_points":9000')
        if row.version == len(rows):
            body = body.replace('"purchased":75', '"purchased":76')
        forged.append(chained(replace(row, body=body), forged[-1].hash if forged else bytes(32)))
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        await admin.execute("alter table facts disable trigger all")
        await admin.executemany(
            """update facts set body = $3, previous_hash = $4, hash = $5
               where stream = $1 and version = $2""",
            [(f.stream, f.version, f.body, f.previous_hash, f.hash) for f in forged],
        )
        await admin.execute(
            "update streams set last_hash = $1 where name = 'wallet-user-1'", forged[-1].hash
        )
    finally:
        await admin.close()
    assert (await verify(database.dsn)).ok
    result = await replay(database.dsn)
    places = {(d.where, d.key) for d in result.differences.kept}
    assert ("ledger.facts", f"wallet-user-1 {len(rows)}") in places


def chained(row: FactRow, previous_hash: bytes) -> FactRow:
    """Return a fact with the hash that it would have after another one."""
    values = canonical_values(
        stream=row.stream,
        version=row.version,
        id=row.id,
        at=row.at,
        body=row.body,
        actor=row.actor,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
    )
    return replace(row, previous_hash=previous_hash, hash=chain_hash(values, previous_hash))


async def test_the_program_in_the_description_of_the_format_finds_what_verification_finds(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path
) -> None:
    blocks = re.findall(r"```(\w+)\n(.*?)```", FORMAT.read_text(), re.DOTALL)
    [program] = [text for language, text in blocks if language == "python"]
    [query] = [text for language, text in blocks if language == "sql"]
    assert len(program.splitlines()) <= 40
    (tmp_path / "check.py").write_text(program)
    await a_history(ledger, clock)

    async def audit() -> subprocess.CompletedProcess[str]:
        lines = [row["line"] + "\n" for row in await ledger.fetch(query)]
        (tmp_path / "facts.jsonl").write_text("".join(lines))
        return subprocess.run(
            [sys.executable, "-I", "check.py", "facts.jsonl"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    honest = await audit()
    assert honest.returncode == 0, honest.stderr
    assert (await verify(database.dsn)).head in honest.stdout
    await tamper(database, TAMPERINGS["a number in a body"].sql)
    caught = await audit()
    assert caught.returncode == 1
    assert "wallet-user-1 1" in caught.stdout
