"""A system of its own for a test: `tollgate up` in a folder, watched from outside, and hurt."""

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

from tests.support.up import UpProcess
from tests.support.up import up as run_up

READY_SECONDS_MAX: Final = 90.0
COMMAND_SECONDS_MAX: Final = 60.0
ANSWER_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.05
LINES_SHOWN_MAX: Final = 40

SERVICES: Final = ("catalog", "deployer", "ledger", "revenue", "gateway")
SERVERS: Final = ("nats", "postgres")


class NotReadyError(AssertionError):
    """The system did not come back: service → why."""


@dataclass
class System:
    """One running `tollgate up`; `killed` lists what was killed of it."""

    up: UpProcess
    killed: list[str] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        """Where it keeps everything."""
        return self.up.data_dir

    @property
    def endpoints(self) -> dict[str, Any]:
        """What `endpoints.json` says now."""
        return self.up.endpoints

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return str(self.endpoints["gateway"])

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Return what a `tollgate` command said of this system, and its exit status."""
        return subprocess.run(
            [sys.executable, "-m", "tollgate", *words, "--data-dir", str(self.data_dir)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )

    def kill(self, part: str) -> None:
        """Kill a service, `nats` or `postgres` with SIGKILL; whoever runs it brings it back."""
        endpoints = self.endpoints
        pid = endpoints["servers"][part] if part in SERVERS else endpoints["services"][part]["pid"]
        os.kill(pid, signal.SIGKILL)
        self.killed.append(part)

    def wait_until_ready(self) -> None:
        """Return once every service says that it is ready, with the bus and the database."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while problems := self._problems():
            if time.monotonic() > deadline or self.up.process.poll() is not None:
                raise NotReadyError(problems)
            time.sleep(POLL_SECONDS)

    def last_words(self) -> str:
        """Return the last of what it told on its terminal, warnings of all its parts included."""
        return "\n".join(self.up.output.splitlines()[-LINES_SHOWN_MAX:])

    def _problems(self) -> dict[str, str]:
        found = {}
        for name, service in self.endpoints["services"].items():
            problem = _problem(service)
            if problem is not None:
                found[name] = problem
        return found


@contextmanager
def up(folder: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[System]:
    """Run a fresh system in a folder, ready to be used; nothing of it is left when this ends.

    `environment` adds to what this process has, and replaces. An error that ends this carries
    what the system said last.
    """
    with run_up(folder / "data", environment={**os.environ, **(environment or {})}) as process:
        process.wait_until_ready()
        system = System(process)
        try:
            yield system
        except Exception as error:
            error.add_note(system.last_words())
            raise


def _problem(service: dict[str, Any]) -> str | None:
    if not psutil.pid_exists(service["pid"]):
        return "does not run"
    try:
        answer = httpx2.get(f"{service['health_url']}/readyz", timeout=ANSWER_SECONDS_MAX)
    except httpx2.TransportError as error:
        return repr(error)
    return None if answer.status_code == httpx2.codes.OK else answer.text
