"""Reads a fetched repository's modules in processes of their own, and survives those."""

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
    Listed,
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
MODULES_MAX: Final = 1_000
RESULTS_MAX: Final = 16
"""Results that wait for whoever keeps them; then the processes wait."""

Result = Found | Same | Refused | NoModule
Pipe = TypeVar("Pipe", asyncio.StreamReader, asyncio.StreamWriter)


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """How long one module may take, and how many processes read a repository together.

    A module that takes longer is refused, the others are not.
    """

    module_seconds_max: float
    processes_max: int = 1


async def read_modules(
    fetched: Fetched,
    *,
    repository_name: str,
    known: Sequence[KnownModule],
    output_directory: Path,
    limits: ReadingLimits,
) -> AsyncGenerator[Result, None]:
    """Yield what every directory is that holds Terraform files, or a module.

    Raises `RepositoryError` if that cannot be told.

    A directory on which a reading process hangs or dies is refused, and the reading goes on behind
    it, at most `DEATHS_MAX` times. At most `MODULES_MAX` modules are read.
    """
    request = ReadRequest(
        git_directory=str(fetched.git_directory),
        commit=fetched.commit,
        repository_name=repository_name,
        known=tuple(known),
        skip=(),
        output_directory=str(output_directory),
        shares=limits.processes_max,
    )
    shared = _Shared(limits)
    tasks = [asyncio.create_task(_read_share(shared, request))]
    running, modules = 1, 0
    try:
        while running:
            match await shared.results.get():
                case Listed(shares=shares):
                    others = [msgspec.structs.replace(request, share=n) for n in range(1, shares)]
                    tasks += [asyncio.create_task(_read_share(shared, each)) for each in others]
                    running += len(others)
                case Finished():
                    running -= 1
                case Exception() as error:
                    raise error
                case NoModule() as result:
                    yield result
                case Found() | Same() | Refused() as result:
                    modules += 1
                    if modules > MODULES_MAX:
                        message = f"the repository has more than {MODULES_MAX} modules"
                        raise RepositoryError(message)
                    yield result
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Shared:
    """What the processes of one reading have in common."""

    def __init__(self, limits: ReadingLimits) -> None:
        self.limits = limits
        self.results = asyncio.Queue[Result | Listed | Finished | Exception](RESULTS_MAX)
        self.deaths = 0


async def _read_share(shared: _Shared, request: ReadRequest) -> None:
    """Put one process's results into the queue, and at last that it has finished, or failed."""
    try:
        async for result in _results(shared, request):
            await shared.results.put(result)
        await shared.results.put(Finished())
    except Exception as error:  # noqa: BLE001 - it is raised where the results are waited for
        await shared.results.put(error)


async def _results(shared: _Shared, request: ReadRequest) -> AsyncGenerator[Result | Listed, None]:
    done: list[str] = []
    is_listed = False
    while shared.deaths < DEATHS_MAX:
        reading: str | None = None
        asked = msgspec.structs.replace(request, skip=tuple(done))
        async with (
            _process(asked) as process,
            contextlib.aclosing(_answers(process, shared.limits)) as answers,
        ):
            async for answer in answers:
                match answer:
                    case Listed():
                        # Only the first process starts others, and only once.
                        if request.share == 0 and not is_listed:
                            yield answer
                        is_listed = True
                    case Started(path=path):
                        reading = path
                    case NoModule(path=path):
                        done.append(path)
                        reading = None
                        yield answer
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
        shared.deaths += 1
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
