"""The supervisor on small real programs: what dies comes back, what cannot start is said."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from devkit.program import Child, Program, ProgramFailedError
from devkit.supervisor import NotReadyError, Part, Supervisor, group_members

STEADY = "import signal; print('up', flush=True); signal.pause()"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('up', flush=True)\n"
    "while True: signal.pause()"
)
PARENT = (
    "import signal, subprocess, sys\n"
    f"subprocess.Popen([sys.executable, '-c', {DEAF!r}])\n"
    "print('up', flush=True); signal.pause()"
)
BROKEN = "import sys; sys.exit('port is no number')"


class Told:
    """What people were told, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, part: str, text: str) -> None:
        self.lines.append((part, text))
        self._news.set()

    async def about(self, part: str, fragment: str) -> str:
        async with asyncio.timeout(20):
            while True:
                for name, text in self.lines:
                    if name == part and fragment in text:
                        return text
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def supervising(told: Callable[[str, str], None]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tell=told, changed=lambda: None)
    try:
        yield supervisor
    finally:
        supervisor.hurry()
        await supervisor.stop()


def part(folder: Path, name: str, script: str, *, stage: int = 1) -> Part:
    """A part that is ready once its log says `up`, told since its latest start."""
    log = folder / f"{name}.log"

    async def prepare(_: int) -> Program:
        log.unlink(missing_ok=True)
        return Program(
            name=name,
            arguments=(sys.executable, "-c", script),
            environment={"PATH": os.environ["PATH"]},
            log=log,
        )

    async def problem(_: Child) -> str | None:
        return None if log.read_bytes().count(b"up\n") else "has not said that it is up"

    return Part(name, stage, prepare, problem)


def pid_of(part: Part) -> int:
    assert part.child is not None
    return part.child.pid


async def until_new_child(part: Part, old: int) -> None:
    async with asyncio.timeout(20):
        while pid_of(part) == old:
            await asyncio.sleep(0.01)
        await part.ready.wait()


async def test_parts_start_side_by_side_and_are_ready(tmp_path: Path) -> None:
    parts = [part(tmp_path, name, STEADY) for name in ("one", "two")]
    async with supervising(Told()) as supervisor:
        await supervisor.start(*parts, seconds_max=20)
        assert all(psutil.pid_exists(pid_of(part)) for part in parts)
    assert not any(psutil.pid_exists(pid_of(part)) for part in parts)


async def test_a_killed_part_comes_back_and_it_is_said(tmp_path: Path) -> None:
    told = Told()
    steady = part(tmp_path, "steady", STEADY)
    async with supervising(told) as supervisor:
        await supervisor.start(steady, seconds_max=20)
        for _ in range(4):
            old = pid_of(steady)
            os.kill(old, signal.SIGKILL)
            await until_new_child(steady, old)
        assert "starting it again" in await told.about("steady", "was killed by SIGKILL")
        assert await told.about("steady", "again in 1.6 s")


async def test_a_part_that_cannot_start_fails_with_what_it_said_last(tmp_path: Path) -> None:
    async with supervising(Told()) as supervisor:
        with pytest.raises(ProgramFailedError, match="port is no number") as failed:
            await supervisor.start(part(tmp_path, "broken", BROKEN), seconds_max=20)
    assert failed.value.name == "broken"
    assert failed.value.reason == "ended with status 1"


async def test_a_part_that_does_not_get_ready_is_named_with_its_reason(tmp_path: Path) -> None:
    silent = part(tmp_path, "silent", "import signal; signal.pause()")
    async with supervising(Told()) as supervisor:
        with pytest.raises(NotReadyError, match="silent: has not said that it is up"):
            await supervisor.start(silent, seconds_max=0.5)


async def test_stages_end_one_after_the_other(tmp_path: Path) -> None:
    """The second stage is not told to stop before the first has gone."""
    server = part(tmp_path, "server", STEADY, stage=2)
    async with supervising(Told()) as supervisor:
        await supervisor.start(server, seconds_max=20)
        witness = (
            "import os, signal\n"
            "def stop(*_):\n"
            f"    os.kill({pid_of(server)}, 0); print('server was there', flush=True)\n"
            "    os._exit(0)\n"
            "signal.signal(signal.SIGTERM, stop)\n"
            "print('up', flush=True)\n"
            "while True: signal.pause()"
        )
        await supervisor.start(part(tmp_path, "service", witness, stage=1), seconds_max=20)
        await supervisor.stop()
    assert "server was there" in (tmp_path / "service.log").read_text()
    assert not psutil.pid_exists(pid_of(server))


async def test_what_does_not_end_when_asked_is_killed_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    told = Told()
    parent = part(tmp_path, "parent", PARENT)
    async with supervising(told) as supervisor:
        await supervisor.start(parent, seconds_max=20)
        async with asyncio.timeout(20):
            while (tmp_path / "parent.log").read_bytes().count(b"up\n") < 2:
                await asyncio.sleep(0.01)
        assert len(group_members(pid_of(parent))) == 2
        supervisor.hurry()
        await supervisor.stop()
    assert group_members(pid_of(parent)) == []
    assert await told.about("parent", "is killed")


async def test_a_stop_while_a_part_waits_for_its_next_start_does_not_start_it(
    tmp_path: Path,
) -> None:
    told = Told()
    steady = part(tmp_path, "steady", STEADY)
    async with supervising(told) as supervisor:
        await supervisor.start(steady, seconds_max=20)
        old = pid_of(steady)
        os.kill(old, signal.SIGKILL)
        await told.about("steady", "starting it again")
        await supervisor.stop()
    assert pid_of(steady) == old
