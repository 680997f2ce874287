"""Whoever changes a stored fact behind the ledger's back is found out."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from runtime.clock import ManualClock
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
