"""An installation from nothing, as containers make it: secrets, migrations, who waits for them."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.registry import SERVICES
from devkit.nats import binary
from devkit.ports import free_port
from devkit.program import Program, end, start, wait_until_ready
from tests.integration.devkit.test_commands import fresh_postgres, tollgate


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Give the folder of an installation's secrets."""
    folder = tmp_path / "secrets"
    assert tollgate("secrets", "make", "--to", str(folder)).returncode == 0
    return folder


@contextmanager
def nats_as_configured(configuration: Path, store: Path) -> Iterator[str]:
    """A NATS with the configuration that is made for it, but another port and place."""
    port = free_port()
    told = json.loads(configuration.read_text())
    here = {"listen": f"127.0.0.1:{port}", "http": f"127.0.0.1:{free_port()}"}
    jetstream = {**told["jetstream"], "store_dir": str(store)}
    moved, log = store.with_suffix(".conf"), store.with_suffix(".log")
    moved.write_text(json.dumps({**told, **here, "jetstream": jetstream}))
    words = (str(binary()), "--config", str(moved))
    child = start(Program(name="nats", arguments=words, environment={}, log=log))
    try:
        wait_until_ready(child, lambda: log.exists() and "Server is ready" in log.read_text())
        yield f"nats://127.0.0.1:{port}"
    finally:
        end(child)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_secrets_are_made_once_and_nobody_else_may_read_them(secrets: Path) -> None:
    before = contents(secrets)

    again = tollgate("secrets", "make", "--to", str(secrets))

    assert again.returncode == 0
    assert contents(secrets) == before
    assert {name.partition("/")[0] for name in before} == {
        *(*SERVICES, "migrate", "postgres", "nats", "nats-users", "secrets.json")
    }
    modes = {stat.S_IMODE(path.stat().st_mode) for path in secrets.rglob("*") if path.is_file()}
    assert modes == {0o440, 0o600}
    assert not any(value in again.stdout for value in before.values())


def test_a_service_waits_for_its_database_and_for_the_bus(secrets: Path, tmp_path: Path) -> None:
    password = (secrets / "postgres" / "password").read_text()
    with (
        fresh_postgres(password) as postgres,
        nats_as_configured(secrets / "nats" / "nats.conf", tmp_path / "jetstream") as nats,
    ):
        at = f"127.0.0.1:{postgres.port}"
        assert tollgate("secrets", "make", "--to", str(secrets), "--postgres", at).returncode == 0
        told = {
            "TOLLGATE_POSTGRES_DSN_FILE": str(secrets / "ledger" / "postgres_dsn"),
            "TOLLGATE_NATS_PASSWORD_FILE": str(secrets / "ledger" / "nats_password"),
            "TOLLGATE_NATS_URL": nats,
        }
        migrating = secrets / "migrate"
        databases = {
            "TOLLGATE_ADMIN_DSN_FILE": str(migrating / "admin_dsn"),
            **{
                f"TOLLGATE_{service.upper()}_PASSWORD_FILE": str(migrating / f"{service}_password")
                for service in SERVICES
            },
        }
        bus = {
            "TOLLGATE_NATS_ADMIN_PASSWORD_FILE": str(migrating / "nats_admin_password"),
            "TOLLGATE_NATS_URL": nats,
        }

        def waits() -> tuple[int, str]:
            done = tollgate("wait", "ledger", "--timeout", "0", environment=told)
            return done.returncode, done.stderr

        status, said = waits()
        assert status == 1
        assert said.startswith("ledger waits: ")
        assert (secrets / "ledger" / "postgres_dsn").read_text() not in said

        assert tollgate("db", "migrate", environment=databases).returncode == 0
        status, said = waits()
        assert status == 1
        assert "consumer TOLLGATE_DEPLOYER/ledger is missing" in said

        assert tollgate("bus", "migrate", environment=bus).returncode == 0
        assert waits() == (0, "")


def test_nobody_waits_for_a_service_that_there_is_not() -> None:
    done = tollgate("wait", "billing")
    assert done.returncode == 1
    assert "catalog, deployer, ledger, revenue, gateway" in done.stderr
