"""Commands against real servers named by the environment, as containers use them."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from contracts.registry import SERVICES
from devkit.nats import ADMIN as NATS_ADMIN
from devkit.ports import free_port
from devkit.postgres import PostgresServer
from devkit.program import end, start, wait_until_ready
from runtime.migrate import service_role
from tests.support.environment import PASSWORD, Database, RunningNats
from tests.support.folders import reachable_folder
from tests.support.up import ROOT


def tollgate(
    *words: str, environment: Mapping[str, str] | None = None, place: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_")}
    return subprocess.run(
        [sys.executable, "-m", "tollgate", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=place,
        env={**clean, "PYTHONPATH": str(ROOT), **(environment or {})},
    )


@contextmanager
def fresh_postgres(password: str = PASSWORD) -> Iterator[PostgresServer]:
    """A server without any of our databases."""
    with reachable_folder() as home:
        server = PostgresServer(
            home=home / "postgres",
            port=free_port(),
            password=password,
            log=home / "postgres.log",
            fsync=False,
        )
        server.prepare()
        child = start(server.program())
        try:
            wait_until_ready(child, lambda: server.is_ready(child.pid))
            yield server
        finally:
            end(child)


async def test_db_migrate_makes_databases_and_schemas_once() -> None:
    with fresh_postgres() as server:
        environment = {
            "TOLLGATE_ADMIN_DSN": server.dsn(),
            **{f"TOLLGATE_{service.upper()}_PASSWORD": PASSWORD for service in SERVICES},
        }

        first = tollgate("db", "migrate", environment=environment)
        check = tollgate("db", "migrate", "--check", "--json", environment=environment)

        assert first.returncode == 0, first.stderr
        assert "ledger: applied runtime/0001_runtime" in first.stdout
        assert check.returncode == 0, check.stderr
        assert json.loads(check.stdout) == {service: [] for service in SERVICES}
        role = service_role("ledger")
        connection = await asyncpg.connect(server.dsn(role, role, PASSWORD))
        assert await connection.fetchval("select count(*) from facts") == 0
        await connection.close()


def test_a_check_of_what_is_not_migrated_fails_and_changes_nothing(
    nats_server: RunningNats,
) -> None:
    environment = {
        "TOLLGATE_NATS_URL": nats_server.url,
        "TOLLGATE_NATS_ADMIN_USER": NATS_ADMIN,
        "TOLLGATE_NATS_ADMIN_PASSWORD": PASSWORD,
    }

    before = tollgate("bus", "migrate", "--check", environment=environment)
    migrated = tollgate("bus", "migrate", environment=environment)
    after = tollgate("bus", "migrate", "--check", environment=environment)

    assert before.returncode == 1
    assert "differs: stream TOLLGATE_LEDGER: create" in before.stdout
    assert migrated.returncode == 0, migrated.stderr
    assert after.returncode == 0
    assert after.stdout == "up to date\n"


def test_without_a_system_commands_say_how_to_name_one(tmp_path: Path) -> None:
    for words in (("db", "migrate"), ("bus", "migrate"), ("parked", "list")):
        done = tollgate(*words, place=tmp_path)
        assert done.returncode == 1
        assert "nothing runs in .tollgate" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_database_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    dsn = f"postgresql://nobody:x@127.0.0.1:{free_port()}/nothing"
    done = tollgate("db", "migrate", environment={"TOLLGATE_ADMIN_DSN": dsn}, place=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("tollgate: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("up", "--port", "70000"), ("service",), ("config", "--service", "billing")],
)
def test_bad_usage_exits_with_2(words: tuple[str, ...]) -> None:
    assert tollgate(*words).returncode == 2


def test_an_unknown_service_is_named_with_those_there_are() -> None:
    done = tollgate("service", "billing")
    assert done.returncode == 2
    assert "catalog, deployer, ledger, revenue, gateway" in done.stderr


def test_a_service_without_settings_names_each_variable_and_no_value() -> None:
    done = tollgate("service", "ledger", environment={"TOLLGATE_HTTP_PORT": "s3cret"})
    assert done.returncode == 2
    assert "TOLLGATE_POSTGRES_DSN: Field required" in done.stderr
    assert "TOLLGATE_HTTP_PORT:" in done.stderr
    assert "s3cret" not in done.stderr


def test_every_setting_is_listed_with_its_meaning() -> None:
    done = tollgate("config", "--json")
    rows = {row["variable"]: row for row in json.loads(done.stdout)}
    assert rows["TOLLGATE_POSTGRES_DSN"]["required"]
    assert rows["TOLLGATE_POSTGRES_DSN"]["secret"]
    assert sorted(rows["TOLLGATE_POSTGRES_DSN"]["services"]) == sorted(SERVICES)
    assert all(row["meaning"] for row in rows.values())


def test_each_command_explains_itself() -> None:
    listed = tollgate("--help")
    assert listed.returncode == 0
    for words in (("up",), ("service",), ("db", "migrate"), ("bus", "migrate"), ("parked", "list")):
        assert words[0] in listed.stdout
        assert "Usage" in tollgate(*words, "--help").stdout


PARKED = "0199-parked"


async def park(database: Database, *, sequence: int, cursor: int) -> None:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(
            "insert into inbox_cursors (stream, sequence) values ('deployment-1', $1)", cursor
        )
        await connection.execute(
            """insert into inbox_waiting (id, stream, sequence, subject, body, reason, detail,
                                          attempts, first_at, parked_at)
               values ($1, 'deployment-1', $2, 'tollgate.deployer.deployment.x.v1',
                       '{"credits": -1}', 'failed', 'credits must be positive', 5, now(), now())""",
            PARKED,
            sequence,
        )
    finally:
        await connection.close()


async def test_a_parked_message_is_listed_shown_and_tried_again(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    database = await database_for("ledger")
    environment = {"TOLLGATE_POSTGRES_DSN": database.dsn}
    of_ledger = ("--service", "ledger")
    await park(database, sequence=3, cursor=2)

    listed = tollgate("parked", "list", "--json", *of_ledger, environment=environment)
    shown = tollgate("parked", "show", PARKED, *of_ledger, environment=environment)
    retried = tollgate("parked", "retry", PARKED, *of_ledger, environment=environment)
    again = tollgate("parked", "retry", PARKED, *of_ledger, environment=environment)

    [row] = json.loads(listed.stdout)
    assert (row["service"], row["id"], row["sequence"]) == ("ledger", PARKED, 3)
    assert json.loads(shown.stdout)["body"] == '{"credits": -1}'
    assert retried.returncode == 0, retried.stderr
    assert again.returncode == 1
    assert "no message" in again.stderr


async def test_only_a_message_that_is_next_in_its_stream_can_be_given_up(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    database = await database_for("ledger")
    environment = {"TOLLGATE_POSTGRES_DSN": database.dsn}
    await park(database, sequence=3, cursor=1)
    words = ("parked", "discard", PARKED, "--service", "ledger")

    refused = tollgate(*words, environment=environment)
    connection = await asyncpg.connect(database.admin_dsn)
    await connection.execute("update inbox_cursors set sequence = 2")
    await connection.close()
    done = tollgate(*words, environment=environment)

    assert refused.returncode == 1
    assert done.returncode == 0, done.stderr
    listed = tollgate("parked", "list", "--service", "ledger", environment=environment)
    assert listed.stdout == "nothing is set aside\n"
