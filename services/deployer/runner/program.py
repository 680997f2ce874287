"""Runs one command of Terraform's: bounded, killable whole, and never left behind."""

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from services.deployer.runner.log_file import Lines

READ_BYTES: Final = 65_536
LINE_BYTES_MAX: Final = 1024**2
FILE_BYTES_MAX: Final = 2 * 1024**3
OPEN_FILES_MAX: Final = 4_096
_PR_SET_PDEATHSIG: Final = 1


class Program:
    """A command in a process group of its own."""

    def __init__(self, words: list[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self._words = words
        self._folder = folder
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, take: Callable[[str], None]) -> int:
        """Return the exit status; each line of output is handed to `take` as it comes."""
        self._process = await asyncio.create_subprocess_exec(
            *self._words,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_confine,
        )
        output = self._process.stdout
        lines = Lines(LINE_BYTES_MAX)
        while output is not None and (chunk := await output.read(READ_BYTES)):
            for line in lines.feed(chunk):
                take(line)
        for line in lines.end():
            take(line)
        status = await self._process.wait()
        self.kill()
        return status

    def interrupt(self) -> None:
        """Ask it to stop in good order: Terraform finishes what it is at, and writes its state."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill whatever is left of its process group."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _confine() -> None:
    """In the child: end when the runner does, and take no more than a build may."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_MAX, OPEN_FILES_MAX))
