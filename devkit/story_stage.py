"""Where `make demo` tells its story: a system of its own, its people, and the terminal."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from devkit.story_guest import Guest, StepFailedError
from runtime.clock import monotonic_seconds

START_SECONDS_MAX: Final = 120.0
STOP_SECONDS_MAX: Final = 60.0
COMMAND_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.05


@dataclass
class Stage:
    """The running system, the people, and where the story is told."""

    console: Console
    data_dir: Path
    admin: Guest
    finance: Guest
    user: Guest

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")

    def table(self, *columns: str, rows: list[tuple[Any, ...]]) -> None:
        """Show a table."""
        table = Table(*columns, box=None, header_style="dim", pad_edge=False)
        for row in rows:
            table.add_row(*map(str, row))
        self.console.print(table)

    def claim(self, what: str, *, found: Any, expected: Any) -> None:
        """Say what is so; `StepFailedError` where it is not."""
        if found != expected:
            raise StepFailedError(f"{what}: {found!r}, not {expected!r}")
        self.console.print(f"  [green]✓[/] {what}")


async def eventually(what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Return the answer once there is one."""
    deadline = monotonic_seconds() + COMMAND_SECONDS_MAX
    while (found := await ask()) is None:
        if monotonic_seconds() > deadline:
            raise StepFailedError(f"{what} is not there within {COMMAND_SECONDS_MAX:g} s")
        await asyncio.sleep(POLL_SECONDS)
    return found


async def tollgate(*words: str, stdin: str | None = None) -> tuple[int, str]:
    """Return the exit status of a command, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tollgate", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            output, _ = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError:
        process.kill()
        raise StepFailedError(f"tollgate {' '.join(words)} does not end") from None
    return process.returncode or 0, output.decode(errors="replace")


@asynccontextmanager
async def running_system(console: Console, folder: Path) -> AsyncIterator[Path]:
    """Run `tollgate up` in a folder, and end it again."""
    said = folder / "up.out"
    begun = monotonic_seconds()
    with said.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tollgate", "up", "--data-dir", str(folder / "data")),
            *("--port", "0"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        endpoints = folder / "data" / "endpoints.json"
        while not endpoints.exists():
            if process.returncode is not None or monotonic_seconds() - begun > START_SECONDS_MAX:
                raise StepFailedError(f"tollgate up did not come up:\n{said.read_text()}")
            await asyncio.sleep(POLL_SECONDS)
        seconds = monotonic_seconds() - begun
        console.print(f"Postgres, NATS and five services, ready after {seconds:.1f} s")
        yield folder / "data"
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
