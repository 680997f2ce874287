"""Runs `python -m services.<service>.sealing …` as a process of its own, in our environment.

To read, hash and write all facts takes processor time and memory that the running service has
better uses for. The process may be stopped anywhere without harm.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

RUN_SECONDS_MAX: Final = 6 * 3600
STOP_SECONDS_MAX: Final = 5
BEAT_SECONDS: Final = 5.0
_ERRORS_LENGTH_MAX: Final = 4_000


@dataclass(frozen=True)
class Ended:
    """How the process ended: its exit status, what it said, and the end of what went wrong."""

    status: int
    output: bytes
    errors: str


async def run_child(service: str, *words: str, beat: Callable[[], None]) -> Ended:
    """Run it to its end, six hours at most; cancelled, it is ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.{service}.sealing", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    talk = asyncio.ensure_future(process.communicate())
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            while not talk.done():
                beat()
                await asyncio.wait({talk}, timeout=BEAT_SECONDS)
    except TimeoutError:
        return Ended(-1, b"", f"not done within {RUN_SECONDS_MAX} s")
    finally:
        await _end(process)
        await asyncio.wait({talk})
    output, errors = talk.result()
    return Ended(process.returncode or 0, output, errors.decode()[-_ERRORS_LENGTH_MAX:].strip())


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it where it has not ended."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
