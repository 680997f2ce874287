"""A system to measure: `tollgate up` in a folder of its own."""

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

READY_SECONDS_MAX: Final = 120.0
STOP_SECONDS_MAX: Final = 90.0
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class System:
    """A system that is up: how long that took, and what it says of itself."""

    ready_seconds: float
    endpoints: dict[str, Any]


class NotMeasuredError(Exception):
    """What should be measured did not run."""


@contextmanager
def system(data_dir: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[System]:
    """Run `tollgate up --demo`, as `make up` does, until the block ends.

    `environment` is added to this process's own.
    """
    log = data_dir.with_name(f"{data_dir.name}.log")
    endpoints = data_dir / "endpoints.json"
    place = ("--data-dir", str(data_dir), "--port", "0")
    words = (sys.executable, "-m", "tollgate", "up", *place, "--demo")
    with log.open("ab") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            words, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
    try:
        while not endpoints.exists():
            if process.poll() is not None or time.perf_counter() - begun > READY_SECONDS_MAX:
                raise NotMeasuredError(f"the system did not come up:\n{log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)
        yield System(time.perf_counter() - begun, json.loads(endpoints.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS_MAX)
