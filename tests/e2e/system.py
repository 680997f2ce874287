"""A system of its own for a test: `tollgate up` in a folder, watched from outside, and hurt."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil

TOLLGATE: Final = (sys.executable, "-m", "tollgate")
START_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 60.0
COMMAND_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.05

SERVICES: Final = ("catalog", "deployer", "ledger", "revenue", "gateway")
SERVERS: Final = ("nats", "postgres")


class NotUpError(Exception):
    """The system did not come up, or did not come back; the message ends with what it said."""


@dataclass
class System:
    """One running `tollgate up`."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    said: Path
    killed: list[str] = field(default_factory=list)

    @property
    def endpoints(self) -> dict[str, Any]:
        """What `endpoints.json` says now."""
        value: dict[str, Any] = json.loads((self.data_dir / "endpoints.json").read_text())
        return value

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return str(self.endpoints["gateway"])

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return what a `tollgate` command said of this system, and its exit status."""
        return subprocess.run(
            [*TOLLGATE, *words, "--data-dir", str(self.data_dir)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )

    def pid(self, part: str) -> int:
        """Return the process of a service, of `nats` or of `postgres`."""
        endpoints = self.endpoints
        if part in SERVERS:
            return int(endpoints["servers"][part])
        return int(endpoints["services"][part]["pid"])

    def kill(self, part: str) -> None:
        """Kill a part with SIGKILL; who runs the system is left to bring it back."""
        os.kill(self.pid(part), signal.SIGKILL)
        self.killed.append(part)

    def wait_until_ready(self) -> None:
        """Return once every service says that it is ready, with the bus and the database."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while problems := self._problems():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise NotUpError(f"{problems}\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def tail(self) -> str:
        """Return the last of what the system said to its terminal."""
        return "\n".join(self.said.read_text(errors="replace").splitlines()[-40:])

    def log(self, part: str) -> str:
        """Return what a part logged."""
        return (self.data_dir / "logs" / f"{part}.log").read_text(errors="replace")

    def _problems(self) -> dict[str, str]:
        problems: dict[str, str] = {}
        for name, service in self.endpoints["services"].items():
            if not psutil.pid_exists(service["pid"]):
                problems[name] = "does not run"
                continue
            try:
                answer = httpx2.get(f"{service['health_url']}/readyz", timeout=5)
            except httpx2.TransportError as error:
                problems[name] = repr(error)
                continue
            if answer.status_code != httpx2.codes.OK:
                problems[name] = answer.text
        return problems


@contextmanager
def up(folder: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[System]:
    """Run a fresh system in a folder; when the block ends nothing of it is left running."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "up.out"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*TOLLGATE, "up", "--data-dir", str(folder / "data"), "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    system = System(folder / "data", process, said)
    try:
        _wait_until_up(system)
        yield system
    finally:
        _stop(system)


def _wait_until_up(system: System) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while not (system.data_dir / "endpoints.json").exists():
        if system.process.poll() is not None:
            raise NotUpError(f"status {system.process.returncode}\n{system.tail()}")
        if time.monotonic() > deadline:
            raise NotUpError(f"not within {START_SECONDS_MAX} s\n{system.tail()}")
        time.sleep(POLL_SECONDS)


def _stop(system: System) -> None:
    """Ask the system to end as Ctrl-C does; kill it, and say so, if it does not."""
    if system.process.poll() is not None:
        return
    system.process.send_signal(signal.SIGINT)
    try:
        system.process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(system.process.pid, signal.SIGKILL)
        system.process.wait()
        raise NotUpError(f"did not end on Ctrl-C\n{system.tail()}") from None
