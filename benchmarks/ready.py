"""How long `tollgate up --demo` takes until all is ready, on a data directory that is there."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.running import system
from benchmarks.table import Row, Status

REACH_SECONDS: Final = 5.0
RUNS: Final = 3
PROCESSES: Final = 5


def measure(status: Status) -> Row:
    """Return the median of three starts, beside the start of five processes that do nothing."""
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("ready: the first start, which makes the data directory"), system(place):
            pass
        seconds = []
        for run in range(1, RUNS + 1):
            with status(f"ready: start {run} of {RUNS}"), system(place) as up:
                seconds.append(up.ready_seconds)
    with status("ready: the reference"):
        reference = _five_processes()
    median = statistics.median(seconds)
    return Row(
        name="ready",
        what="`make up`, environment already there → ready",
        reach=f"≤ {REACH_SECONDS:g} s",
        measured=f"{median:.2f} s ({min(seconds):.2f}-{max(seconds):.2f})",
        reference=f"{median / reference:.1f} × five processes that only load the runtime, "
        f"{reference:.2f} s",
        reached=median <= REACH_SECONDS,
    )


def reachable(folder: Path) -> Path:
    """Return the folder, now one that an ordinary user can pass through, as Postgres may be."""
    folder.chmod(0o711)
    return folder


def _five_processes() -> float:
    begun = time.perf_counter()
    words = (sys.executable, "-c", "import runtime.process")
    processes = [subprocess.Popen(words) for _ in range(PROCESSES)]
    for process in processes:
        process.wait()
    return time.perf_counter() - begun
