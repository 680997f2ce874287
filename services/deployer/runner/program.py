"""Runs one command of Terraform's: bounded, killable whole, and never left behind."""

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.deployer.runner.log_file import Lines
from services.deployer.runner.processes import kill_descendants, kill_user

READ_BYTES: Final = 65_536
LINE_BYTES_MAX: Final = 4 * 1024**2
FILE_BYTES_MAX: Final = 2 * 1024**3
OPEN_FILES_MAX: Final = 4_096
PROCESSES_MAX: Final = 1_024
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None)


@dataclass(frozen=True)
class Bounds:
    """What a command may use. `uid` is a user of the build's own, where there can be one."""

    uid: int | None
    cpu_seconds_max: int


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be found and ended."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Program:
    """A command in a session of its own."""

    def __init__(
        self, words: list[str], *, folder: Path, environment: Mapping[str, str], bounds: Bounds
    ) -> None:
        self._words = words
        self._folder = folder
        self._environment = dict(environment)
        self._bounds = bounds
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, take: Callable[[str], None]) -> int:
        """Return the exit status; each line of output is handed to `take` as it comes.

        When it returns nothing that the command started is left.
        """
        self._process = await self._start()
        try:
            await self._read(self._process, take)
            return await self._process.wait()
        finally:
            self.kill()
            await asyncio.to_thread(kill_descendants)

    async def _start(self) -> asyncio.subprocess.Process:
        uid, runner = self._bounds.uid, os.getpid()

        def confine() -> None:
            _confine(self._bounds, runner)

        return await asyncio.create_subprocess_exec(
            *self._words,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            preexec_fn=confine,
        )

    async def _read(self, process: asyncio.subprocess.Process, take: Callable[[str], None]) -> None:
        """Hand on the output until its end, or until the command itself has ended.

        What the command leaves in the background keeps the pipe open; nobody waits for that.
        """
        output = process.stdout
        if output is None:
            raise RuntimeError("the output is not a pipe")
        lines = Lines(LINE_BYTES_MAX)
        ended = asyncio.create_task(process.wait())
        reading = asyncio.create_task(output.read(READ_BYTES))
        while True:
            await asyncio.wait({ended, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                self.kill()
                await asyncio.to_thread(kill_descendants)
            if not (chunk := await reading):
                break
            for line in lines.feed(chunk):
                take(line)
            reading = asyncio.create_task(output.read(READ_BYTES))
        await ended
        for line in lines.end():
            take(line)

    def interrupt(self) -> None:
        """Ask it to stop in good order: Terraform finishes what it is at, and writes its state."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill whatever is left of it."""
        if self._process is None:
            return
        if self._bounds.uid is not None:
            kill_user(self._bounds.uid)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _confine(bounds: Bounds, runner: int) -> None:
    """In the child: end when the runner does, and take no more than a build may."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != runner:
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES_MAX)
    _lower(resource.RLIMIT_CPU, bounds.cpu_seconds_max)
    if bounds.uid is not None:
        _lower(resource.RLIMIT_NPROC, PROCESSES_MAX)


def _lower(limit: int, value: int) -> None:
    """Set a limit, unless a lower one is set already."""
    hard = resource.getrlimit(limit)[1]
    lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (lower, lower))
