"""A second process of a service, on the database and the bus of a system that runs."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import httpx2

from devkit.ports import free_port
from devkit.program import Child, end, start, wait_until_ready
from tests.e2e.system import System
from tollgate.target import environment_of

ANSWER_SECONDS_MAX: Final = 5.0


@dataclass
class Replica:
    """One more process of a service, and where it answers."""

    child: Child
    url: str
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.child.process.send_signal(number)

    def is_ready(self) -> bool:
        """Return whether it says so."""
        try:
            answer = httpx2.get(f"{self.url}/readyz", timeout=ANSWER_SECONDS_MAX)
        except httpx2.TransportError:
            return False
        return bool(answer.status_code == httpx2.codes.OK)


@contextmanager
def replica(system: System, service: str, **settings: str) -> Iterator[Replica]:
    """Run one more process of a service, ready, with its settings but for these and its ports."""
    port = free_port()
    work = system.data_dir.parent / f"{service}-{port}"
    work.mkdir(mode=0o700)
    program = environment_of(system.data_dir).service_program(service)
    own = {
        "TOLLGATE_HTTP_PORT": str(port),
        "TOLLGATE_BUILDS_PORT": "0",
        "TOLLGATE_WORK_DIR": str(work),
        **{f"TOLLGATE_{name.upper()}": value for name, value in settings.items()},
    }
    log = work / "log"
    child = start(
        replace(program, environment={**program.environment, **own}, log=log, directory=work)
    )
    running = Replica(child, f"http://127.0.0.1:{port}", log)
    try:
        wait_until_ready(child, partial(running.is_ready))
        yield running
    finally:
        end(child)
