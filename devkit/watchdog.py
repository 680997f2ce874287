"""Ends what `tollgate up` started when `tollgate up` itself was killed.

A program of its own that imports almost nothing: started with a pipe for standard input, on which
`tollgate up` writes, as one line of JSON, what is running: `[[pid, signal, stage], …]`. The pipe
ends when `tollgate up` does. Whatever the last line still names is then ended, stage by stage:
politely, and after a bound by SIGKILL. It also holds the lock on the data directory until it is
done, so that nobody starts on top of what is left.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

SECONDS_PER_STAGE_MAX = 25.0
POLL_SECONDS = 0.05


def main() -> None:
    """Read until the pipe ends, then end what was running."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    running: list[tuple[int, int, int]] = []
    births: dict[int, str] = {}
    for line in sys.stdin:
        running = [(pid, number, stage) for pid, number, stage in json.loads(line)]
        births = {pid: births.get(pid) or _birth(pid) for pid, _, _ in running}
    for stage in sorted({stage for _, _, stage in running}):
        members = [(pid, number) for pid, number, its in running if its == stage]
        _end([(pid, number) for pid, number in members if _lives(pid, births[pid])], births)


def _end(members: list[tuple[int, int]], births: dict[int, str]) -> None:
    for pid, number in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + SECONDS_PER_STAGE_MAX
    while time.monotonic() < deadline and any(_lives(pid, births[pid]) for pid, _ in members):
        time.sleep(POLL_SECONDS)
    for pid, _ in members:
        if _lives(pid, births[pid]):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def _lives(pid: int, birth: str) -> bool:
    """Say whether the process is still the one that was named, and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _birth(pid) == birth


def _birth(pid: int) -> str:
    """Return what tells a process from a later one with the same id; `gone` for a zombie.

    Where there is no /proc all processes look alike, and a reused id cannot be told.
    """
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="ascii", errors="replace") as file:
            fields = file.read(4096).rpartition(")")[2].split()
    except OSError:
        return ""
    return "gone" if fields[0] == "Z" else fields[19]


if __name__ == "__main__":
    main()
