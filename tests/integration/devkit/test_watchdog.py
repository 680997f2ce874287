"""What is left when the starter is killed is ended, in order, and the lock is held so long."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devkit import watchdog

SECONDS_MAX = 30.0


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def run(started: list[subprocess.Popen[bytes]], script: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    started.append(process)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def run_watchdog(
    started: list[subprocess.Popen[bytes]], pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__], stdin=subprocess.PIPE, pass_fds=pass_fds
    )
    started.append(process)
    return process


def tell(process: subprocess.Popen[bytes], *running: tuple[subprocess.Popen[bytes], int]) -> None:
    assert process.stdin is not None
    line = json.dumps([[child.pid, int(signal.SIGTERM), stage] for child, stage in running])
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def hang_up(process: subprocess.Popen[bytes]) -> None:
    """What the kernel does when the starter is killed."""
    assert process.stdin is not None
    process.stdin.close()


STEADY = "import signal; print('up', flush=True); signal.pause()"


def test_what_was_running_is_ended(started: list[subprocess.Popen[bytes]]) -> None:
    service, server = run(started, STEADY), run(started, STEADY)
    dog = run_watchdog(started)
    tell(dog, (service, 1))
    tell(dog, (service, 1), (server, 2))
    hang_up(dog)

    assert service.wait(SECONDS_MAX) == -signal.SIGTERM
    assert server.wait(SECONDS_MAX) == -signal.SIGTERM
    assert dog.wait(SECONDS_MAX) == 0


def test_what_was_said_to_have_ended_is_left_alone(
    started: list[subprocess.Popen[bytes]],
) -> None:
    stranger = run(started, STEADY)
    dog = run_watchdog(started)
    tell(dog, (stranger, 1))
    tell(dog)
    hang_up(dog)

    assert dog.wait(SECONDS_MAX) == 0
    assert stranger.poll() is None


def test_the_watchdog_outlives_signals_that_end_its_starter(
    started: list[subprocess.Popen[bytes]],
) -> None:
    service = run(started, STEADY)
    dog = run_watchdog(started)
    tell(dog, (service, 1))
    while "watchdog" not in " ".join(psutil.Process(dog.pid).cmdline()):
        time.sleep(0.01)
    wait_until_it_ignores(dog.pid, signal.SIGTERM)
    dog.send_signal(signal.SIGTERM)
    dog.send_signal(signal.SIGINT)
    hang_up(dog)

    assert service.wait(SECONDS_MAX) == -signal.SIGTERM
    assert dog.wait(SECONDS_MAX) == 0


def wait_until_it_ignores(pid: int, number: signal.Signals) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        ignored = int(status.split("SigIgn:")[1].split()[0], 16)
        if ignored & (1 << (number - 1)):
            return
        time.sleep(0.01)
    raise AssertionError(f"{number.name} is not ignored")


def test_the_lock_is_held_until_everything_has_ended(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    slow = run(
        started,
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), exit(0)))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()",
    )
    held = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    dog = run_watchdog(started, pass_fds=(held,))
    os.close(held)
    tell(dog, (slow, 1))
    hang_up(dog)

    again = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(again, fcntl.LOCK_EX)
    os.close(again)
    assert slow.wait(SECONDS_MAX) == 0
