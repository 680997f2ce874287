"""`tollgate ledger …` as an operator runs it: told by the environment where the ledger is."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runtime.signing import SigningKey
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.sealed import new_key
from tests.integration.ledger.test_verification import tamper
from tests.support.environment import Database

ROOT = Path(__file__).parents[3]


@dataclass
class Operator:
    """Runs commands with the least that they must be told."""

    environment: dict[str, str]
    folder: Path

    def runs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `tollgate ledger`."""
        return subprocess.run(
            [sys.executable, "-m", "tollgate", "ledger", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def does(self, *words: str) -> str:
        """Run a command that succeeds, and return what it says."""
        done = self.runs(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest_asyncio.fixture
async def operator(ledger: Ledger, database: Database, tmp_path: Path) -> Operator:
    """Give a ledger with two facts."""
    await ledger.award("user-1", 5)
    await ledger.award("user-1", 6)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TOLLGATE_POSTGRES_DSN": database.dsn,
        "TOLLGATE_SIGNING_KEY": new_key(),
        "TOLLGATE_SEGMENTS_URL": (tmp_path / "segments").as_uri(),
    }
    return Operator(environment, tmp_path)


def as_json(text: str) -> Any:
    return json.loads(text)


def test_a_ledger_is_sealed_verified_and_exported(operator: Operator) -> None:
    assert "2 facts sealed, segments 1 to 1" in operator.does("seal")
    assert operator.does("seal") == "everything is sealed already\n"
    found = as_json(operator.does("verify", "--json"))
    assert (found["ok"], found["events"], found["sealed"]) == (True, 2, 2)
    assert "1 segments and 0 facts" in operator.does("export", "--to", "export")
    files = operator.does("verify", "--segments-only", "--segments", "export")
    assert found["head"] in files
    (operator.folder / "keys.json").write_text(operator.does("public-key"))
    by_key = operator.does(
        "verify", "--segments-only", "--segments", "export", "--keys", "keys.json"
    )
    assert by_key == files
    copy = operator.does("verify", "--segments", "export")
    assert found["head"] in copy


def test_only_public_keys_are_printed(operator: Operator) -> None:
    private = as_json(operator.environment["TOLLGATE_SIGNING_KEY"])
    printed = operator.does("public-key")
    assert private["d"] not in printed
    key_id = SigningKey.read(operator.environment["TOLLGATE_SIGNING_KEY"]).key_id
    assert [key["kid"] for key in as_json(printed)["keys"]] == [key_id]


async def test_what_does_not_fit_is_named_and_ends_with_status_1(
    operator: Operator, database: Database
) -> None:
    operator.does("seal")
    await tamper(database, "update facts set actor = 'x' where version = 2")
    told = operator.runs("verify")
    assert told.returncode == 1
    assert told.stdout.startswith("wallet-user-1 2 (fact ")
    assert as_json(operator.runs("verify", "--json").stdout)["first_bad"]["version"] == 2


def test_a_month_that_is_due_is_attested(operator: Operator) -> None:
    assert operator.does("attest").startswith("attested: 2026-03, ")
    assert operator.does("attest") == "no month is due\n"
    assert as_json(operator.does("verify", "--json"))["ok"] is True


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("TOLLGATE_SIGNING_KEY", "set TOLLGATE_SIGNING_KEY"),
        ("TOLLGATE_SEGMENTS_URL", "set TOLLGATE_SEGMENTS_URL"),
    ],
)
def test_what_is_missing_is_said_in_a_line(operator: Operator, missing: str, words: str) -> None:
    del operator.environment[missing]
    told = operator.runs("seal")
    assert told.returncode == 1
    assert told.stderr.endswith(f"{words}\n")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize("key", ["", "{}", '{"kty": "OKP", "crv": "Ed25519", "d": "secret-thing"}'])
def test_a_bad_key_is_refused_without_showing_it(operator: Operator, key: str) -> None:
    operator.environment["TOLLGATE_SIGNING_KEY"] = key
    told = operator.runs("seal")
    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert "secret-thing" not in told.stderr + told.stdout
