"""`tollgate up` as a process of its own, as a test sees it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from devkit.program import as_user
from tests.support.ordinary_user import OrdinaryUser

ROOT: Final = Path(__file__).resolve().parents[2]
READY_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 60.0


@dataclass
class UpProcess:
    """A running `tollgate up`; what it prints is in `output`."""

    data_dir: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return self.log.read_text(errors="replace")

    @property
    def endpoints(self) -> dict[str, Any]:
        """What it wrote of itself."""
        value: dict[str, Any] = json.loads((self.data_dir / "endpoints.json").read_text())
        return value

    def wait_until_ready(self) -> dict[str, Any]:
        """Return the endpoints once all is up."""
        self.wait_for(self._is_ready, "readiness")
        return self.endpoints

    def _is_ready(self) -> bool:
        """Return whether it has said so itself, and not one before it that was killed."""
        written = (self.data_dir / "endpoints.json").exists()
        return written and bool(self.endpoints["pid"] == self.process.pid)

    def wait_for_output(self, fragment: str) -> None:
        """Wait until it has printed this."""
        self.wait_for(lambda: fragment in self.output, repr(fragment))

    def wait_for(self, fact: Any, name: str, *, seconds_max: float = READY_SECONDS_MAX) -> None:
        """Wait until `fact()`; fails if the process ends first or it takes too long."""
        deadline = time.monotonic() + seconds_max
        while not fact():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended while waiting for {name}:\n{self.output}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {name} within {seconds_max} s:\n{self.output}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS_MAX)


@contextmanager
def up(
    data_dir: Path,
    *words: str,
    environment: Mapping[str, str] | None = None,
    user: OrdinaryUser | None = None,
) -> Iterator[UpProcess]:
    """Run `tollgate up` on a data directory, with a free port if none is named."""
    told = environment if user is None else user.environment
    log = data_dir.with_name(f"{data_dir.name}.output")
    port = () if "--port" in words else ("--port", "0")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                user.python if user else sys.executable,
                "-m",
                "tollgate",
                "up",
                "--data-dir",
                str(data_dir),
                *port,
                *words,
            ],
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=None if told is None else dict(told),
            **as_user(user.uid if user else None),
        )
    running = UpProcess(data_dir, process, log)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def processes_of(data_dir: Path) -> list[str]:
    """Return every live process that works in a data directory or was told of it."""
    place = str(data_dir.resolve())
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            words = process.cmdline()
            inside = process.cwd().startswith(place)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and (inside or any(place in word for word in words)):
            found.append(f"{process.pid} {' '.join(words)}")
    return found
