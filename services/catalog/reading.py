"""Reads a fetched repository's modules in a process of its own, and survives that process."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from services.catalog.definition import Problem
from services.catalog.git_source import Fetched, RepositoryError
from services.catalog.reading_messages import (
    Answer,
    Finished,
    Found,
    KnownModule,
    NoModule,
    ReadRequest,
    Refused,
    Same,
    Started,
    Unreadable,
)

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
FIRST_LINE_SECONDS_MAX: Final = 60.0
"""For starting, and for listing a large repository."""
STDERR_BYTES_MAX: Final = 4_096
DEATHS_MAX: Final = 5

Result = Found | Same | Refused
Pipe = TypeVar("Pipe", asyncio.StreamReader, asyncio.StreamWriter)


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """How long one module may take; a module that takes longer is refused, the others are not."""

    module_seconds_max: float


async def read_modules(
    fetched: Fetched,
    *,
    repository_name: str,
    known: Sequence[KnownModule],
    output_directory: Path,
    limits: ReadingLimits,
) -> AsyncGenerator[Result, None]:
    """Yield what every module of the repository is; `RepositoryError` if that cannot be told.

    A directory on which the reading process hangs or dies is refused, and the reading goes on
    behind it, at most `DEATHS_MAX` times.
    """
    done: list[str] = []
    for _ in range(DEATHS_MAX):
        request = ReadRequest(
            git_directory=str(fetched.git_directory),
            commit=fetched.commit,
            repository_name=repository_name,
            known=tuple(known),
            skip=tuple(done),
            output_directory=str(output_directory),
        )
        reading: str | None = None
        async with (
            _process(request) as process,
            contextlib.aclosing(_answers(process, limits)) as answers,
        ):
            async for answer in answers:
                match answer:
                    case Started(path=path):
                        reading = path
                    case NoModule(path=path):
                        done.append(path)
                        reading = None
                    case Found() | Same() | Refused():
                        done.append(answer.path)
                        reading = None
                        yield answer
                    case Unreadable(message=message):
                        raise RepositoryError(message)
                    case Finished():
                        return
        if reading is None:
            raise RepositoryError("the repository's modules cannot be read: the reader died")
        done.append(reading)
        message = "cannot be read in the time and memory that a module may take"
        yield Refused(path=reading, problems=(Problem(file=".", line=0, message=message),))
    raise RepositoryError(f"more than {DEATHS_MAX} modules take too much time or memory to read")


@asynccontextmanager
async def _process(request: ReadRequest) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give a running reader that was told what to read; it and its children end with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.catalog.reading_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "LC_ALL": "C.UTF-8",
        },
        start_new_session=True,
    )
    complaints = asyncio.create_task(_complaints(process))
    try:
        # If it is dead already, that it answers nothing tells the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin = _pipe(process.stdin)
            stdin.write(msgspec.json.encode(request))
            await stdin.drain()
            stdin.close()
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        status = await process.wait()
        said = await complaints
        if said:
            structlog.get_logger().warning("catalog.reader_complained", status=status, said=said)


def _pipe(stream: Pipe | None) -> Pipe:
    if stream is None:
        raise TypeError("the process was started without this pipe")
    return stream


async def _complaints(process: asyncio.subprocess.Process) -> str:
    """Return the end of what the reader wrote to standard error, all of which is drained."""
    errors = _pipe(process.stderr)
    kept = b""
    while chunk := await errors.read(STDERR_BYTES_MAX):
        kept = (kept + chunk)[-STDERR_BYTES_MAX:]
    return kept.decode("utf-8", "replace")


async def _answers(
    process: asyncio.subprocess.Process, limits: ReadingLimits
) -> AsyncGenerator[Answer, None]:
    """Yield the reader's answers until it ends, or takes too long for one."""
    answers = _pipe(process.stdout)
    decoder = msgspec.json.Decoder(Answer)
    patience = max(FIRST_LINE_SECONDS_MAX, limits.module_seconds_max)
    while True:
        try:
            async with asyncio.timeout(patience):
                line = await answers.readline()
        except (TimeoutError, ValueError):
            return
        if not line.endswith(b"\n"):
            return
        answer: Answer = decoder.decode(line)
        # Before the next module begins, any number of directories may be passed over.
        is_reading = isinstance(answer, Started)
        patience = limits.module_seconds_max if is_reading else FIRST_LINE_SECONDS_MAX
        yield answer
