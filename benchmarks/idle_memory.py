"""How much memory the five services take together when they have nothing to do."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from benchmarks.ready import reachable
from benchmarks.running import system
from benchmarks.table import Row, Status

REACH_MIB: Final = 400
SETTLE_SECONDS: Final = 15.0
_MIB: Final = 1024 * 1024
_BARE: Final = "import asyncio, signal; print('up', flush=True); signal.pause()"


def measure(status: Status) -> Row:
    """Return what the services hold after a while of rest, beside five bare Python processes.

    Pages that processes share are counted once, in parts (PSS), their child processes included.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("idle memory: letting the services rest"), system(place) as up:
            time.sleep(SETTLE_SECONDS)
            pids = {name: told["pid"] for name, told in up.endpoints["services"].items()}
            held = {name: _held_mib(pid) for name, pid in pids.items()}
    with status("idle memory: the reference"):
        reference = _bare_mib(len(held))
    total = sum(held.values())
    parts = ", ".join(f"{name} {mib:.0f}" for name, mib in held.items())
    return Row(
        name="idle-memory",
        what="memory of the five idle services",
        reach=f"≤ {REACH_MIB} MiB together",
        measured=f"{total:.0f} MiB ({parts})",
        reference=f"{total / reference:.1f} × five bare Python processes with asyncio, "
        f"{reference:.0f} MiB",
        reached=total <= REACH_MIB,
    )


def _held_mib(pid: int) -> float:
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return sum(_bytes_of(member) for member in family) / _MIB


def _bytes_of(process: psutil.Process) -> int:
    """Return the proportional set size; where the system has none, the resident set."""
    info = process.memory_full_info()
    return int(getattr(info, "pss", 0) or info.rss)


def _bare_mib(count: int) -> float:
    processes = [
        subprocess.Popen((sys.executable, "-c", _BARE), stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        for process in processes:
            if process.stdout is not None:
                process.stdout.readline()
        return sum(_held_mib(process.pid) for process in processes)
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()
