"""One program as a child process: how it is started, watched and ended.

Every child leads a session of its own, so that Ctrl-C on the terminal reaches only us and we end
the children in order, and so that whatever a child has started goes when it goes.
Its output is appended to a file that it holds itself: no pipe can fill up and stop it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runtime.clock import monotonic_seconds

LOG_TAIL_BYTES: Final = 4096
LOG_TAIL_LINES: Final = 12
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Program:
    """What to run, as whom, where its output goes, and the signal that ends it politely."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    uid: int | None = None
    directory: Path | None = None


@dataclass
class Child:
    """A program that was started."""

    program: Program
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group and session."""
        return self.process.pid


class ProgramFailedError(Exception):
    """A program ended, or was not ready within its bound; `log_tail` is what it said last."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        self.name = name
        self.reason = reason
        self.log = log
        self.log_tail = log_tail(log)
        said = f"; its log ({log}) ends:\n{self.log_tail}" if self.log_tail else f" (log: {log})"
        super().__init__(f"{name} {reason}{said}")


def start(program: Program) -> Child:
    """Start a program; it inherits nothing of ours but what `program` says."""
    program.log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            program.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(program.environment),
            cwd=program.directory,
            start_new_session=True,
            **as_user(program.uid),
        )
    finally:
        os.close(output)
    return Child(program, process)


def as_user(uid: int | None) -> dict[str, Any]:
    """Return what tells `subprocess` to become another user, or nothing."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


def wait_until_ready(child: Child, ready: Callable[[], bool], *, seconds_max: float = 30.0) -> None:
    """Return once `ready()`; `ProgramFailedError` if it ends first or takes too long."""
    deadline = monotonic_seconds() + seconds_max
    while not ready():
        status = child.process.poll()
        if status is not None:
            raise ProgramFailedError(child.program.name, describe_exit(status), child.program.log)
        if monotonic_seconds() > deadline:
            reason = f"was not ready within {seconds_max:g} s"
            raise ProgramFailedError(child.program.name, reason, child.program.log)
        time.sleep(_POLL_SECONDS)


def end(child: Child, *, seconds_max: float = 30.0) -> bool:
    """End a child and what it started; return whether it went within the bound by itself."""
    if child.process.poll() is None:
        child.process.send_signal(child.program.stop_signal)
    try:
        child.process.wait(seconds_max)
    except subprocess.TimeoutExpired:
        kill_group(child.pid)
        child.process.wait()
        return False
    kill_group(child.pid)
    return True


def kill_group(process_group: int) -> None:
    """Kill what is left of a child's group; to find nothing there is what we hope for."""
    try:
        os.killpg(process_group, signal.SIGKILL)
    except ProcessLookupError:
        return


def describe_exit(status: int) -> str:
    """Say how a process ended: by which signal, or with which status."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def log_tail(path: Path) -> str:
    """Return the last lines of a log, at most 12 lines and 4 KiB."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - LOG_TAIL_BYTES))
            text = log.read(LOG_TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
