"""Postgres and NATS in containers, of the images that docker-compose.yml names.

The third kind of backend beside the twins and the embedded servers. Nothing is pulled: where no
engine answers or an image is not on the machine, the test says so and is skipped.
"""

import importlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from devkit.nats import ADMIN as NATS_ADMIN
from devkit.postgres import ADMIN as POSTGRES_ADMIN
from tests.support.tools import lacking

# Without it a container of another image watches over ours.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

COMPOSE: Final = Path(__file__).resolve().parents[2] / "docker-compose.yml"
START_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class ContainerServer:
    """Where the Postgres listens, and its superuser's password."""

    host: str
    port: int
    password: str

    def dsn(
        self, database: str = "postgres", user: str = POSTGRES_ADMIN, password: str = ""
    ) -> str:
        """Return a connection string; the superuser's unless another user is named."""
        secret = password or self.password
        return f"postgresql://{user}:{secret}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True)
class ContainerPostgres:
    """A Postgres in a container."""

    server: ContainerServer


@dataclass(frozen=True)
class ContainerNats:
    """A NATS with JetStream in a container; its only user is the administrator."""

    url: str


@contextmanager
def postgres_container(password: str) -> Iterator[ContainerPostgres]:
    """Run a Postgres, ready."""
    name = image("postgres")
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer(
        name, username=POSTGRES_ADMIN, password=password, dbname="postgres", driver=None
    ) as container:
        host = container.get_container_host_ip()
        yield ContainerPostgres(
            ContainerServer(host, int(container.get_exposed_port(5432)), password)
        )


@contextmanager
def nats_container(password: str) -> Iterator[ContainerNats]:
    """Run a NATS with JetStream, ready."""
    name = image("nats")
    from testcontainers.core.container import DockerContainer

    command = f"-js --user {NATS_ADMIN} --pass {password}"
    with DockerContainer(name).with_command(command).with_exposed_ports(4222) as container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(4222))
        _wait_for_greeting(host, port)
        yield ContainerNats(f"nats://{host}:{port}")


def image(service: str) -> str:
    """Return the image of a service, on this machine; else skip the test, or fail it."""
    found = re.search(
        rf"^  {service}:\n(?:    .*\n|\n)*?    image: \$\{{\w+:-([^}}]+)\}}",
        COMPOSE.read_text(),
        re.MULTILINE,
    )
    if found is None:
        raise AssertionError(f"{COMPOSE.name} names no image for {service}")
    name = os.environ.get(f"TOLLGATE_{service.upper()}_IMAGE", found[1])
    if name not in images():
        lacking("docker", f"the image {name} is not on this machine")
    return name


@cache
def images() -> frozenset[str]:
    """Return the names of the images that the Docker engine has; else skip, or fail."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        _greet(host)
    except OSError as error:
        lacking("docker", f"no Docker engine answers at {host}: {error.strerror or error}")
    docker: Any = importlib.import_module("docker")  # it comes without types
    client = docker.from_env(timeout=5)
    try:
        return frozenset(tag for each in client.images.list() for tag in each.tags)
    finally:
        client.close()


def _greet(host: str) -> None:
    """Raise `OSError` where nothing listens; Docker's own client leaves sockets open then."""
    parts = urlsplit(host)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(parts.path)
        return
    with socket.create_connection((parts.hostname or "", parts.port or 2375), timeout=5):
        return


def _wait_for_greeting(host: str, port: int) -> None:
    """Return once NATS greets: its port is open before the server is."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            with socket.create_connection((host, port), timeout=1) as connection:
                if connection.recv(4) == b"INFO":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"NATS at {host}:{port} does not greet")
        time.sleep(POLL_SECONDS)
