"""Keeps programs running: starts them, says when they are ready, starts them again when they die.

A program that dies before it was ever ready, three times, is not started again: that is bad
configuration, and `ProgramFailedError` carries what it said last. Stopping goes stage by stage,
services first and the database last, each stage politely and bounded.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import psutil

from devkit.program import (
    Child,
    Program,
    ProgramFailedError,
    describe_exit,
    kill_group,
    start,
)
from runtime.clock import monotonic_seconds

START_FAILURES_MAX: Final = 3
BACKOFF_SECONDS_MIN: Final = 0.2
BACKOFF_SECONDS_MAX: Final = 10.0
STEADY_SECONDS: Final = 30.0
"""A program that ran for as long as this has its backoff forgotten."""

STOP_SECONDS_MAX: Final = 30.0
_READY_POLL_SECONDS: Final = 0.05
_EXIT_POLL_SECONDS: Final = 0.05

ProblemOf = Callable[[Child], Awaitable[str | None]]
"""Says why a started program is not ready, or nothing once it is."""


@dataclass
class Part:
    """A program to keep running. `stage` orders stopping: the lowest goes first.

    `prepare` runs before each start and gives the program; it may choose another port after a
    failure (`failures` counts them, 0 at the first start).
    """

    name: str
    stage: int
    prepare: Callable[[int], Awaitable[Program]]
    problem: ProblemOf
    child: Child | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    why_not_ready: str = "not started"


class NotReadyError(Exception):
    """Some parts were not ready in time; the message says which, and why."""


class Supervisor:
    """The running parts. `tell` is told what people should know, one line at a time."""

    def __init__(self, *, tell: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        self._tell = tell
        self._changed = changed
        self._parts: list[Part] = []
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts that were started."""
        return tuple(self._parts)

    async def start(self, *parts: Part, seconds_max: float) -> None:
        """Start parts side by side and return when all are ready.

        Raises `ProgramFailedError` where one cannot be started, `NotReadyError` after the bound.
        """
        self._parts += parts
        for part in parts:
            keeper = asyncio.create_task(self._keep(part), name=part.name)
            keeper.add_done_callback(self._keeper_ended)
            self._keepers[part.name] = keeper
        ready = asyncio.create_task(_all_ready(parts))
        failed = asyncio.create_task(self._failed.wait())
        try:
            await asyncio.wait(
                {ready, failed}, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED
            )
            in_time = ready.done()
        finally:
            ready.cancel()
            failed.cancel()
        if self._failure is not None:
            raise self._failure
        if not in_time:
            missing = [part for part in parts if not part.ready.is_set()]
            reasons = "; ".join(f"{part.name}: {part.why_not_ready}" for part in missing)
            raise NotReadyError(f"not ready within {seconds_max:g} s: {reasons}")

    async def failure(self) -> None:
        """Wait until a part cannot be kept running by any means; raises why."""
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    def hurry(self) -> None:
        """Cut a stop short: kill what has not ended yet."""
        self._hurry.set()

    async def stop(self) -> None:
        """End all parts, stage by stage; nothing of them runs any more when this returns."""
        self._stopping.set()
        for stage in sorted({part.stage for part in self._parts}):
            members = [part for part in self._parts if part.stage == stage]
            await asyncio.gather(*(self._end(part) for part in members))
            await asyncio.wait([self._keepers[part.name] for part in members])
            self._changed()

    async def _keep(self, part: Part) -> None:
        failures = 0
        was_ready = False
        backoff = BACKOFF_SECONDS_MIN
        while True:
            program = await part.prepare(0 if was_ready else failures)
            if self._stopping.is_set():
                return
            child = self._start(part, program)
            begun = monotonic_seconds()
            status = await self._watch(part, child)
            was_ready = was_ready or part.ready.is_set()
            part.ready.clear()
            if self._stopping.is_set():
                return
            failures += 1
            part.why_not_ready = describe_exit(status)
            if not was_ready and failures >= START_FAILURES_MAX:
                raise ProgramFailedError(part.name, part.why_not_ready, program.log)
            if monotonic_seconds() - begun > STEADY_SECONDS:
                backoff = BACKOFF_SECONDS_MIN
            self._tell(part.name, f"{part.why_not_ready}; starting it again in {backoff:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff)
            backoff = min(BACKOFF_SECONDS_MAX, backoff * 2)

    def _start(self, part: Part, program: Program) -> Child:
        child = start(program)
        part.child = child
        part.why_not_ready = "starting"
        self._changed()
        return child

    async def _watch(self, part: Part, child: Child) -> int:
        """Return the exit status once the child has ended; meanwhile see when it gets ready."""
        asking = asyncio.create_task(self._see_ready(part, child), name=f"{part.name}.ready")
        try:
            return await exit_status(child)
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

    async def _see_ready(self, part: Part, child: Child) -> None:
        while True:
            problem = await part.problem(child)
            if problem is None:
                part.ready.set()
                return
            part.why_not_ready = problem
            await asyncio.sleep(_READY_POLL_SECONDS)

    async def _end(self, part: Part) -> None:
        child = part.child
        if child is None:
            return
        if child.process.poll() is None:
            child.process.send_signal(child.program.stop_signal)
        deadline = monotonic_seconds() + STOP_SECONDS_MAX
        while child.process.poll() is None or group_members(child.pid):
            if self._hurry.is_set() or monotonic_seconds() > deadline:
                self._tell(part.name, "did not end by itself and is killed")
                kill_group(child.pid)
                await exit_status(child)
                return
            await asyncio.sleep(_EXIT_POLL_SECONDS)

    def _keeper_ended(self, keeper: asyncio.Task[None]) -> None:
        error = None if keeper.cancelled() else keeper.exception()
        if error is not None and not self._failed.is_set():
            self._failure = error
            self._failed.set()


async def _all_ready(parts: Sequence[Part]) -> None:
    """Wait until all are ready at the same time: one may die while another still starts."""
    while not all(part.ready.is_set() for part in parts):
        for part in parts:
            await part.ready.wait()


async def exit_status(child: Child) -> int:
    """Return a child's exit status once it has ended, woken by the kernel where it can do that."""
    loop = asyncio.get_running_loop()
    if hasattr(os, "pidfd_open") and child.process.poll() is None:
        try:
            descriptor = os.pidfd_open(child.pid)
        except OSError:
            pass
        else:
            ended = asyncio.Event()
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
    while True:
        status = child.process.poll()
        if status is not None:
            return status
        await asyncio.sleep(_EXIT_POLL_SECONDS)


def group_members(process_group: int) -> list[int]:
    """Return the processes of a child's group that still live, the child itself included."""
    try:
        os.killpg(process_group, 0)
    except ProcessLookupError:
        return []
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) != process_group:
                continue
        except ProcessLookupError:
            continue
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found
