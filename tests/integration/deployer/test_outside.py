"""Who stands between a runner and what it runs hands on one interrupt, and ends as that does."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.support.up import ROOT

SECONDS_MAX: Final = 20
COUNTING: Final = """
import os, signal, sys
from services.deployer.runner.namespaces import leave_one_outside
leave_one_outside(os.getppid())
def count(number, frame):
    os.write(1, b"interrupted\\n")
signal.signal(signal.SIGINT, count)
os.write(1, b"ready\\n")
sys.stdin.read()
END
"""


@contextmanager
def counting(end: str = "") -> Iterator[subprocess.Popen[str]]:
    """A program that tells each interrupt, until its input ends; the process is who is outside."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING.replace("END", end)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children():
                child.kill()
            process.communicate(timeout=SECONDS_MAX)


def until_taken(process_id: int) -> None:
    """Wait until no signal is on its way to a process any more."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        status = Path(f"/proc/{process_id}/status").read_text()
        pending = dict(line.split(":\t") for line in status.splitlines() if "Pnd" in line)
        if {int(value, 16) for value in pending.values()} == {0}:
            return
        assert time.monotonic() < deadline, "a signal was not taken"


def test_however_often_it_is_interrupted_its_child_is_interrupted_once() -> None:
    with counting() as outside:
        assert outside.stdout is not None
        assert outside.stdout.readline() == "ready\n"
        [child] = psutil.Process(outside.pid).children()
        for _ in range(3):
            outside.send_signal(signal.SIGINT)
            until_taken(outside.pid)
            until_taken(child.pid)
        told, _ = outside.communicate(timeout=SECONDS_MAX)
        assert told == "interrupted\n"
        assert outside.returncode == 0


@pytest.mark.parametrize(
    ("end", "status"),
    [("os._exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)],
)
def test_it_ends_as_its_child_does(end: str, status: int) -> None:
    with counting(end) as outside:
        outside.communicate(timeout=SECONDS_MAX)
        assert outside.returncode == status
