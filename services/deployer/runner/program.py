"""Runs one command of Terraform's: bounded, killable whole, and never left behind.

Its output goes to a file, not through a pipe: who writes into a pipe that nobody reads any more is
killed for it, and Terraform must be able to end in good order, and keep its state, when the runner
was killed.
"""

import asyncio
import ctypes
import fcntl
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from runtime.clock import monotonic_seconds
from services.deployer.runner.log_file import Lines
from services.deployer.runner.namespaces import (
    Listeners,
    Room,
    doors_of_a_room,
    enter,
    leave_one_outside,
    reason_in,
    receive_listeners,
)
from services.deployer.runner.processes import kill_descendants, kill_user
from services.deployer.runner.usage import (
    Excess,
    Limits,
    descendants,
    excess,
    seconds_to_rest,
)

READ_BYTES: Final = 65_536
LOOK_SECONDS: Final = 0.05
LINE_BYTES_MAX: Final = 4 * 1024**2
FILE_BYTES_MAX: Final = 2 * 1024**3
OPEN_FILES_MAX: Final = 4_096
PROCESSES_MAX: Final = 1_024
HARD_FACTOR: Final = 2
"""One process may reserve so many times the memory that all may use: not all of it is used."""
GRACEFUL_ROUNDS_MAX: Final = 6
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_FALLOC_KEEP_SIZE: Final = 1
_FALLOC_PUNCH_HOLE: Final = 2
_LIBC: Final = ctypes.CDLL(None)


Serving = Callable[[Listeners], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Bounds:
    """What a command may use. `uid` is a user of the build's own, where there can be one."""

    uid: int | None
    cpu_seconds_max: int
    limits: Limits


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be found and ended."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Program:
    """A command in a session of its own; `scratch` is a folder on disk that is out of its reach.

    Where a room is given, it runs in there, and `serve` answers on what can be reached from there.
    What it used too much of, if anything, is in `excess`.
    """

    def __init__(
        self,
        words: list[str],
        *,
        folder: Path,
        home: Path,
        scratch: Path,
        environment: Mapping[str, str],
        bounds: Bounds,
        room: Room | None,
        serve: Serving,
    ) -> None:
        self.excess: Excess | None = None
        self._words = words
        self._folder = folder
        self._home = home
        self._scratch = scratch
        self._environment = dict(environment)
        self._bounds = bounds
        self._room = room
        self._serve = serve
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, take: Callable[[str], None]) -> int:
        """Return the exit status; each line of output is handed to `take` as it comes.

        When it returns nothing that the command started is left.
        """
        async with AsyncExitStack() as stack:
            file = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 - the stack closes it
            output = stack.enter_context(file).fileno()
            # Whoever else writes there, nothing that Terraform says is written over.
            fcntl.fcntl(output, fcntl.F_SETFL, fcntl.fcntl(output, fcntl.F_GETFL) | os.O_APPEND)
            stack.push_async_callback(self._end)
            if self._room is None:
                process = await self._start(output, self._confinement())
            else:
                process, listeners = await self._start_in(self._room, output)
                await stack.enter_async_context(self._serve(listeners))
            watch = asyncio.create_task(self._watch(process.pid))
            stack.callback(watch.cancel)
            return await self._read(process, _Tail(output), take)

    def _confinement(self) -> Callable[[], None]:
        """Return what the child calls before its program, as whom that will run."""
        bounds, runner = self._bounds, os.getpid()

        def confine() -> None:
            leave_one_outside(runner)
            outside = os.getppid()
            if bounds.uid is not None:
                os.setgroups([])
                os.setresgid(bounds.uid, bounds.uid, bounds.uid)
                os.setresuid(bounds.uid, bounds.uid, bounds.uid)
            # A change of user undoes this, so it comes after that.
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != outside:
                os._exit(1)
            _lower_limits(bounds, all_are_its_own=bounds.uid is not None)

        return confine

    async def _start_in(
        self, room: Room, output: int
    ) -> tuple[asyncio.subprocess.Process, Listeners]:
        runner = os.getpid()
        outside, inside = doors_of_a_room()

        def confine() -> None:
            enter(room, inside, runner, lambda: _lower_limits(self._bounds, all_are_its_own=True))

        with outside, inside:
            try:
                process = await self._start(output, confine)
            except subprocess.SubprocessError as error:
                raise OSError(reason_in(outside)) from error
            return process, receive_listeners(outside)

    async def _start(self, output: int, confine: Callable[[], None]) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._words,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
            preexec_fn=confine,
        )
        return self._process

    async def _watch(self, first: int) -> None:
        """End what uses too much: first all but the command itself, so that it can keep its state.

        A command that does not end then, or is itself what uses too much, is killed soon.
        """
        rounds = 0
        folders = [self._home, *([] if self._room is None else [self._room.temporary])]
        while True:
            begun_at = monotonic_seconds()
            found = await asyncio.to_thread(excess, self._bounds.limits, first, folders)
            if found is not None:
                self.excess = self.excess or found
                rounds += 1
                if rounds > GRACEFUL_ROUNDS_MAX:
                    self.kill()
                else:
                    await asyncio.to_thread(_kill_helpers, first)
                    self.interrupt()
            await asyncio.sleep(seconds_to_rest(begun_at))

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


def _lower_limits(bounds: Bounds, *, all_are_its_own: bool) -> None:
    """In the child: take no more than a build may. Processes are counted for each user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, FILE_BYTES_MAX)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES_MAX)
    _lower(resource.RLIMIT_CPU, bounds.cpu_seconds_max)
    if bounds.limits.memory_bytes_max is not None:
        _lower(resource.RLIMIT_DATA, HARD_FACTOR * bounds.limits.memory_bytes_max)
    if all_are_its_own:
        _lower(resource.RLIMIT_NPROC, PROCESSES_MAX)


def _kill_helpers(outside: int) -> None:
    """Kill what a command has started: neither the command nor what waits for it outside."""
    for process in descendants(outside)[2:]:
        with suppress(psutil.Error):
            process.kill()


def _lower(limit: int, value: int) -> None:
    """Set a limit, unless a lower one is set already."""
    hard = resource.getrlimit(limit)[1]
    lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (lower, lower))
