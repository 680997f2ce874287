"""Finds and ends processes of builds, whoever has become their parent."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

RUNNER_MODULE: Final = "services.deployer.runner"
PROCESS_ID_FILE: Final = "runner.pid"
KILL_SECONDS_MAX: Final = 10
ROUNDS_MAX: Final = 20
NAME_LENGTH_MAX: Final = 15
"""Of a process's name the kernel keeps no more."""


def note_runner(folder: Path) -> None:
    """Leave this process's id in its build's folder."""
    (folder / PROCESS_ID_FILE).write_text(f"{os.getpid()}")


def runner_in(folder: Path) -> psutil.Process | None:
    """Return the live runner of a build's folder; not whoever got its process id after it."""
    try:
        process = psutil.Process(int((folder / PROCESS_ID_FILE).read_text()))
        ours = {RUNNER_MODULE, str(folder)} <= set(process.cmdline())
        return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, psutil.Error):
        return None


def kill_user(uid: int) -> None:
    """Kill every process of a user; the kernel takes them all at once, so that none can fork."""
    subprocess.run(
        ("/bin/sh", "-c", "kill -KILL -1"),
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        env={},
        check=False,
        timeout=KILL_SECONDS_MAX,
    )


def kill_descendants() -> None:
    """Kill what this process or its children started and left behind.

    They are found because this process adopts them (`prctl` PR_SET_CHILD_SUBREAPER). One that
    forks faster than it is killed is bounded by the rounds, and by the number it may start.
    """
    this = psutil.Process()
    for _ in range(ROUNDS_MAX):
        children = this.children(recursive=True)
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=0.5)
        if not children:
            return


def kill_in(folder: Path) -> None:
    """Kill every process that works in a folder: what a dead runner could not end any more."""
    for process in _working_in(folder):
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def works_in(folder: Path, program: str | None = None) -> bool:
    """Return whether any process works in a folder, or any of a program."""
    for process in _working_in(folder):
        with suppress(psutil.Error):
            if program is None or process.name() == program[:NAME_LENGTH_MAX]:
                return True
    return False


def users_of_processes() -> set[int]:
    """Return the users that anything runs as on this machine."""
    found: set[int] = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found.add(process.uids().real)
    return found


def _working_in(folder: Path) -> Iterator[psutil.Process]:
    place = f"{folder.resolve()}{os.sep}"
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if f"{process.cwd()}{os.sep}".startswith(place):
                yield process
