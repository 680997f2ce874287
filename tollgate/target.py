"""Which system a command works on: one that `tollgate up` runs, or one named by the environment."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.registry import SERVICES

if TYPE_CHECKING:
    from nats.aio.client import Client

    from devkit.environment import Environment

DEFAULT_DATA_DIR: Final = Path(".tollgate")


class NoTargetError(Exception):
    """There is no system to work on, or not enough is said of it; the message says what to do."""


@dataclass(frozen=True)
class BusAdmin:
    """How `bus migrate` connects."""

    url: str
    user: str
    password: str


def environment_of(data_dir: Path) -> "Environment":
    """Return the embedded environment that runs in a data directory."""
    from devkit.data_directory import DataDirectory, read_json
    from devkit.environment import Environment, Ports
    from devkit.secret_store import load

    directory = DataDirectory(data_dir)
    if not directory.endpoints.exists() or not _lives(read_json(directory.endpoints)["pid"]):
        raise NoTargetError(
            f"nothing runs in {data_dir}: start it with `tollgate up --data-dir {data_dir}`, "
            "name another --data-dir, or set TOLLGATE_POSTGRES_DSN"
        )
    ports = Ports(read_json(directory.path / "ports.json"))
    return Environment(directory, load(directory.secrets), ports)


def use_service(service: str, data_dir: Path | None) -> None:
    """Have this process configured as the service is, by its environment variables.

    They are those of the environment already where `TOLLGATE_POSTGRES_DSN` is set and no data
    directory is named.
    """
    if data_dir is None and secret("TOLLGATE_POSTGRES_DSN") is not None:
        return
    os.environ.update(environment_of(data_dir or DEFAULT_DATA_DIR).settings(service))


def service_dsns(data_dir: Path | None, service: str | None) -> dict[str, str]:
    """Return service → how to log in to its database as it does; of all services, or of one."""
    from_environment = secret("TOLLGATE_POSTGRES_DSN")
    if data_dir is None and from_environment is not None:
        if service is None:
            raise NoTargetError("--service says whose database TOLLGATE_POSTGRES_DSN is")
        return {service: from_environment}
    environment = environment_of(data_dir or DEFAULT_DATA_DIR)
    names = SERVICES if service is None else (service,)
    return {name: environment.service_dsn(name) for name in names}


def replay_dsns(data_dir: Path | None) -> tuple[str, str | None]:
    """Return how to log in to the ledger's database, and to revenue's to compare with it.

    From the environment: `TOLLGATE_POSTGRES_DSN` is the ledger's, and `TOLLGATE_REVENUE_DSN`, if
    it is set, revenue's; both also as `…_FILE`.
    """
    from_environment = secret("TOLLGATE_POSTGRES_DSN")
    if data_dir is None and from_environment is not None:
        return from_environment, secret("TOLLGATE_REVENUE_DSN")
    environment = environment_of(data_dir or DEFAULT_DATA_DIR)
    return environment.service_dsn("ledger"), environment.service_dsn("revenue")


def segments_url(data_dir: Path | None) -> str | None:
    """Return where the ledger's segments are, if anywhere: `TOLLGATE_SEGMENTS_URL`."""
    if data_dir is None and secret("TOLLGATE_POSTGRES_DSN") is not None:
        return variable("TOLLGATE_SEGMENTS_URL")
    return environment_of(data_dir or DEFAULT_DATA_DIR).settings("ledger")["TOLLGATE_SEGMENTS_URL"]


def admin_dsn(data_dir: Path | None) -> tuple[str, dict[str, str]]:
    """Return the database administrator's connection string, and the services' passwords.

    From the environment: `TOLLGATE_ADMIN_DSN`, and `TOLLGATE_<SERVICE>_PASSWORD` for each login
    role that has to be made; both also as `…_FILE`.
    """
    from_environment = secret("TOLLGATE_ADMIN_DSN")
    if data_dir is None and from_environment is not None:
        named = {name: secret(f"TOLLGATE_{name.upper()}_PASSWORD") for name in SERVICES}
        return from_environment, {name: value for name, value in named.items() if value}
    environment = environment_of(data_dir or DEFAULT_DATA_DIR)
    return environment.admin_dsn(), environment.secrets.databases


def bus_admin(data_dir: Path | None) -> BusAdmin:
    """Return how the bus administrator connects.

    From the environment: `TOLLGATE_NATS_URL`, `TOLLGATE_NATS_ADMIN_USER` (default
    `tollgate_admin`) and `TOLLGATE_NATS_ADMIN_PASSWORD`, the last also as `…_FILE`.
    """
    from devkit.nats import ADMIN

    password = secret("TOLLGATE_NATS_ADMIN_PASSWORD")
    if data_dir is None and password is not None:
        url = variable("TOLLGATE_NATS_URL") or "nats://127.0.0.1:4222"
        return BusAdmin(url, variable("TOLLGATE_NATS_ADMIN_USER") or ADMIN, password)
    environment = environment_of(data_dir or DEFAULT_DATA_DIR)
    return BusAdmin(environment.nats().url, ADMIN, environment.secrets.nats_admin)


@asynccontextmanager
async def bus_connection(data_dir: Path | None) -> AsyncIterator["Client"]:
    """Give a connection as the bus's administrator; the variables are those of `bus_admin`."""
    import nats

    admin = bus_admin(data_dir)
    client = await nats.connect(
        admin.url, user=admin.user, password=admin.password, allow_reconnect=False
    )
    try:
        yield client
    finally:
        await client.close()


def secret(name: str) -> str | None:
    """Return a variable's value, or the content of the file that `<name>_FILE` names."""
    path = variable(f"{name}_FILE")
    if path is None:
        return variable(name)
    if variable(name) is not None:
        raise NoTargetError(f"{name} and {name}_FILE are both set")
    try:
        content = Path(path).read_text().rstrip("\n")
    except OSError as error:
        raise NoTargetError(f"{name}_FILE cannot be read: {error}") from error
    if not content:
        raise NoTargetError(f"{name}_FILE is empty")
    return content


def variable(name: str) -> str | None:
    """Return a variable's value; an empty one is as good as none, as it is to the services."""
    return os.environ.get(name) or None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def with_database(dsn: str, database: str) -> str:
    """Return a connection string with another database in it."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path=f"/{database}"))
