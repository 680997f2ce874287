"""Runs one command of Terraform's: bounded, killable whole, and never left behind.

Its output goes to a file, not through a pipe: who writes into a pipe that nobody reads any more is
killed for it, and Terraform must be able to end in good order, and keep its state, when the runner
was killed.
"""

import asyncio
import ctypes
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.deployer.runner.log_file import Lines
from services.deployer.runner.processes import kill_descendants, kill_user

READ_BYTES: Final = 65_536
LOOK_SECONDS: Final = 0.05
LINE_BYTES_MAX: Final = 4 * 1024**2
FILE_BYTES_MAX: Final = 2 * 1024**3
OPEN_FILES_MAX: Final = 4_096
PROCESSES_MAX: Final = 1_024
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_FALLOC_KEEP_SIZE: Final = 1
_FALLOC_PUNCH_HOLE: Final = 2
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
    """A command in a session of its own; `scratch` is a folder on disk that is out of its reach."""

    def __init__(
        self,
        words: list[str],
        *,
        folder: Path,
        scratch: Path,
        environment: Mapping[str, str],
        bounds: Bounds,
    ) -> None:
        self._words = words
        self._folder = folder
        self._scratch = scratch
        self._environment = dict(environment)
        self._bounds = bounds
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, take: Callable[[str], None]) -> int:
        """Return the exit status; each line of output is handed to `take` as it comes.

        When it returns nothing that the command started is left.
        """
        with tempfile.TemporaryFile(dir=self._scratch) as output:
            self._process = await self._start(output.fileno())
            try:
                return await self._read(self._process, _Tail(output.fileno()), take)
            finally:
                await self._end()

    async def _start(self, output: int) -> asyncio.subprocess.Process:
        uid, runner = self._bounds.uid, os.getpid()

        def confine() -> None:
            _confine(self._bounds, runner)

        return await asyncio.create_subprocess_exec(
            *self._words,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            preexec_fn=confine,
        )

    async def _read(
        self, process: asyncio.subprocess.Process, tail: "_Tail", take: Callable[[str], None]
    ) -> int:
        """Hand on the output until the command itself has ended; return its exit status.

        Nobody waits for what it leaves in the background: that is ended first, so that the output
        is at its end then.
        """
        lines = Lines(LINE_BYTES_MAX)
        ended = asyncio.create_task(process.wait())
        while True:
            await asyncio.wait({ended}, timeout=LOOK_SECONDS)
            over = ended.done()
            if over:
                await self._end()
            while chunk := tail.read():
                for line in lines.feed(chunk):
                    take(line)
                await asyncio.sleep(0)
            if over:
                break
        for line in lines.end():
            take(line)
        return await ended

    async def _end(self) -> None:
        self.kill()
        await asyncio.to_thread(kill_descendants)

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


class _Tail:
    """Reads what another process writes to a file; the disk is given back what was read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._offset = 0

    def read(self) -> bytes:
        """Return what comes next, nothing while there is no more."""
        chunk = os.pread(self._descriptor, READ_BYTES, self._offset)
        if chunk:
            # A file system that cannot do this keeps the text until the command has ended.
            _LIBC.fallocate(
                self._descriptor,
                _FALLOC_KEEP_SIZE | _FALLOC_PUNCH_HOLE,
                ctypes.c_long(self._offset),
                ctypes.c_long(len(chunk)),
            )
            self._offset += len(chunk)
        return chunk


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
