"""One embedded environment: its servers, and what each service is told through its environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devkit.data_directory import DataDirectory, read_json, write_json
from devkit.nats import NatsServer, users
from devkit.ports import free_port
from devkit.postgres import PostgresServer
from devkit.program import Program
from devkit.secret_store import Secrets
from runtime.migrate import service_role
from services.settings_of import variables
from services.wiring import TOPOLOGY

SERVERS: Final = ("postgres", "nats", "stripe")
STRIPE_KEY: Final = "TOLLGATE_STRIPE_API_KEY"
"""Where our own environment has one, purchases go to Stripe itself and the fake stays away."""
BUILDS: Final = "builds"
"""The deployer's second listener, for builds only."""

_INHERITED: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
_OPEN_TELEMETRY: Final = "OTEL_"
"""How its own settings begin, of which there are dozens."""

_ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass
class Ports:
    """Which part listens where; kept over restarts as far as the ports are still free."""

    numbers: dict[str, int]

    def __getitem__(self, name: str) -> int:
        """Return the port of a part."""
        return self.numbers[name]

    def move(self, name: str) -> None:
        """Give a part another free port."""
        self.numbers[name] = free_port(but_not=frozenset(self.numbers.values()))


@dataclass(frozen=True)
class Environment:
    """The parts of an environment and their settings."""

    directory: DataDirectory
    secrets: Secrets
    ports: Ports

    def postgres(self) -> PostgresServer:
        """Return the database server."""
        return PostgresServer(
            home=self.directory.path.resolve() / "postgres",
            port=self.ports["postgres"],
            password=self.secrets.postgres_admin,
            log=self.directory.log("postgres"),
        )

    def nats(self) -> NatsServer:
        """Return the bus server, with a user for each service and one for `bus migrate`."""
        return NatsServer(
            home=self.directory.path.resolve() / "nats",
            port=self.ports["nats"],
            users=users(self.secrets.nats_admin, self.secrets.bus),
            log=self.directory.log("nats"),
        )

    def service_dsn(self, service: str) -> str:
        """Return how a service connects to its database."""
        role = service_role(service)
        return self.postgres().dsn(role, role, self.secrets.databases[service])

    def admin_dsn(self, service: str | None = None) -> str:
        """Return how the administrator connects, to a service's database or to none of them."""
        return self.postgres().dsn("postgres" if service is None else service_role(service))

    @property
    def fakes_stripe(self) -> bool:
        """Whether purchases go to the fake of Stripe."""
        return STRIPE_KEY not in os.environ and f"{STRIPE_KEY}_FILE" not in os.environ

    @property
    def stripe_url(self) -> str | None:
        """Where the fake of Stripe is, if it is used."""
        return self.health_url("stripe") if self.fakes_stripe else None

    def stripe_program(self) -> Program:
        """Return what runs the fake of Stripe."""
        told = {
            "STRIPE_FAKE_PORT": str(self.ports["stripe"]),
            "STRIPE_FAKE_FILE": str(self.directory.stripe_fake.resolve()),
            "STRIPE_FAKE_API_KEY": self.secrets.stripe_api_key,
            "STRIPE_FAKE_WEBHOOK_SECRET": self.secrets.stripe_webhook_secret,
            "STRIPE_FAKE_WEBHOOK_URL": f"{self.health_url('gateway')}/api/hooks/stripe",
        }
        return Program(
            name="stripe",
            arguments=(sys.executable, "-m", "devkit.stripe_fake"),
            environment={**inherited_environment(), **told},
            log=self.directory.log("stripe"),
        )

    def service_program(self, service: str) -> Program:
        """Return what runs a service, with an environment of its own settings only."""
        return Program(
            name=service,
            arguments=(sys.executable, "-m", "tollgate", "service", service),
            environment={**inherited_environment(), **self.settings(service)},
            log=self.directory.log(service),
            directory=self._work(service),
        )

    def health_url(self, service: str) -> str:
        """Return where a service answers `/healthz`, `/readyz` and `/metrics`."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def settings(self, service: str) -> dict[str, str]:
        """Return a service's `TOLLGATE_…` variables: what we say, and what we were told for it.

        Of our own environment's a service gets those that it reads, where we do not say otherwise.
        """
        ours = {
            "TOLLGATE_ENVIRONMENT": "development",
            "TOLLGATE_POSTGRES_DSN": self.service_dsn(service),
            "TOLLGATE_NATS_URL": self.nats().url,
            "TOLLGATE_NATS_USER": service,
            "TOLLGATE_NATS_PASSWORD": self.secrets.bus[service],
            "TOLLGATE_HTTP_HOST": "127.0.0.1",
            "TOLLGATE_HTTP_PORT": str(self.ports[service]),
            "TOLLGATE_LOG_FORMAT": "json",
            "TOLLGATE_MASTER_KEY": self.secrets.master_keys[service],
            "TOLLGATE_ALLOW_LOCAL_REPOSITORIES": "true",
            "TOLLGATE_ALLOW_PRIVATE_WEBHOOKS": "true",
            "TOLLGATE_ALLOW_UNISOLATED_BUILDS": "true",
            **self._own_settings(service),
        }
        told = {name: os.environ.get(name) for name in variables(service) if name not in ours}
        told |= {f"{name}_FILE": os.environ.get(f"{name}_FILE") for name in told}
        return ours | {name: value for name, value in told.items() if value is not None}

    def _own_settings(self, service: str) -> dict[str, str]:
        archive = {"TOLLGATE_ARCHIVE_URL": self.directory.archive.resolve().as_uri()}
        work = {"TOLLGATE_WORK_DIR": str(self._work(service))}
        match service:
            case "catalog":
                return {**archive, **work, **self._sealing_key(service)}
            case "deployer":
                builds = {
                    "TOLLGATE_BUILDS_HOST": "127.0.0.1",
                    "TOLLGATE_BUILDS_PORT": str(self.ports[BUILDS]),
                }
                return {**archive, **work, **builds, **self._sealing_key(service)}
            case "ledger":
                stripe = {
                    "TOLLGATE_STRIPE_API_KEY": self.secrets.stripe_api_key,
                    "TOLLGATE_STRIPE_API_URL": self.health_url("stripe"),
                }
                return {
                    **self._segments(service),
                    "TOLLGATE_PUBLIC_URL": os.environ.get(
                        "TOLLGATE_PUBLIC_URL", self.health_url("gateway")
                    ),
                    **(stripe if self.fakes_stripe else {}),
                }
            case "revenue":
                return {**self._segments(service), **self._sealing_key(service)}
            case "gateway":
                hook = {"TOLLGATE_STRIPE_WEBHOOK_SECRET": self.secrets.stripe_webhook_secret}
                return (hook if self.fakes_stripe else {}) | {
                    f"TOLLGATE_{name.upper()}_SEALING_PUBLIC_KEY": key
                    for name, key in self.secrets.sealing_public.items()
                }
            case _:
                return {}

    def _sealing_key(self, service: str) -> dict[str, str]:
        return {"TOLLGATE_SEALING_KEY": self.secrets.sealing_private[service]}

    def _segments(self, service: str) -> dict[str, str]:
        return {
            "TOLLGATE_SIGNING_KEY": self.secrets.signing_keys[service],
            "TOLLGATE_SEGMENTS_URL": self.directory.segments(service).resolve().as_uri(),
        }

    def _work(self, service: str) -> Path:
        folder = self.directory.work(service).resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


def choose_ports(directory: DataDirectory, gateway_port: int) -> Ports:
    """Return a free port for each part: the ones used before, where nobody has taken them.

    The gateway's is `gateway_port`, which the caller has found free; 0 stands for any.
    """
    path = directory.path / "ports.json"
    known = read_json(path) if path.exists() else {}
    names = (*SERVERS, BUILDS, *TOPOLOGY.services)
    numbers: dict[str, int] = {}
    for name in names:
        if name == "gateway" and gateway_port != 0:
            numbers[name] = gateway_port
            continue
        numbers[name] = free_port(_number(known.get(name)), but_not=frozenset(numbers.values()))
    return Ports(numbers)


def keep_ports(directory: DataDirectory, ports: Ports) -> None:
    """Remember the ports for the next start."""
    write_json(directory.path / "ports.json", ports.numbers)


def inherited_environment() -> Mapping[str, str]:
    """Return what of our own environment a service gets; nothing that is not listed here."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    kept |= {name: told for name, told in os.environ.items() if name.startswith(_OPEN_TELEMETRY)}
    paths = [str(_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONUNBUFFERED": "1",
        # glibc gives each thread an arena of its own; two are enough, and save memory.
        "MALLOC_ARENA_MAX": "2",
    }


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
