"""The exact engine on all cores: each process takes a span of the streams, in one snapshot.

What wallets come to is added up, so the parts put together in the order of their spans are what
one process finds. A process has at most a chunk of facts and one wallet in memory beside the
figures that it hands back; the heads of its streams go to a file, about 120 bytes each.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg

from runtime.segments.chain import BadFact, Lines
from runtime.segments.reader import Span, snapshot, spans
from services.ledger.checking.differences import Differences
from services.ledger.checking.exact import ExactReplay, Question
from services.ledger.checking.totals import Totals
from services.ledger.checking.what_if import WhatIf

ALONE_FACTS_MAX: Final = 20_000
"""So many facts are taken in about the time in which processes start."""

WORKERS_MAX: Final = 64
_END_SECONDS_MAX: Final = 10
_READ_BYTES: Final = 1 << 20


class WorkerEndedError(Exception):
    """A process ended before it was finished, so there is no result."""

    def __init__(self, span: Span, status: int | None) -> None:
        first = "the first one" if span.first is None else span.first
        super().__init__(
            f"the process that replays the streams from {first} on ended too early, with status "
            f"{status}: there is no result"
        )


@dataclass(frozen=True)
class Part:
    """What the streams of one span came to."""

    events: int
    streams: int
    first_bad: BadFact | None
    totals: Totals
    what_if: WhatIf | None
    differences: Differences
    lines: int
    shares: int


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    channel: Connection
    span: Span
    heads: Path


def workers_for(facts: int, asked: int | None) -> int:
    """Return how many processes take so many facts: as many as asked for, or one for each core."""
    if asked is not None:
        return min(asked, WORKERS_MAX)
    return 1 if facts < ALONE_FACTS_MAX else min(len(os.sched_getaffinity(0)), WORKERS_MAX)


async def take_all(
    exact: ExactReplay,
    question: Question,
    connection: asyncpg.Connection,
    workers: int,
    taken: Callable[[int], None],
) -> None:
    """Have processes take all facts in the connection's snapshot, and put together what they say.

    A process that fails ends the others, and the replay with `WorkerEndedError`.
    """
    same_as = await connection.fetchval("select pg_export_snapshot()")
    asked = replace(question, same_as=same_as)
    started: list[_Worker] = []
    with TemporaryDirectory(prefix="tollgate-replay-") as folder:
        try:
            for number, span in enumerate(await spans(connection, workers)):
                started.append(_start(asked, span, Path(folder, str(number))))  # noqa: PERF401 - those that did start must be ended
            for worker, part in zip(
                started, await asyncio.to_thread(_parts, started, taken), strict=True
            ):
                _merge(exact, part, worker.heads)
        finally:
            for worker in started:
                worker.process.kill()
                worker.process.join(_END_SECONDS_MAX)


def _start(question: Question, span: Span, heads: Path) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(question, span, heads, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, span, heads)


def _parts(workers: list[_Worker], taken: Callable[[int], None]) -> list[Part]:
    """Return what each process came to; one that ends before has closed its channel."""
    waiting: dict[Any, int] = {worker.channel: n for n, worker in enumerate(workers)}
    events = [0] * len(workers)
    found: dict[int, Part] = {}
    while waiting:
        for channel in wait(list(waiting)):
            number = waiting[channel]
            try:
                said = workers[number].channel.recv()
            except (EOFError, OSError):
                process = workers[number].process
                process.join(_END_SECONDS_MAX)
                raise WorkerEndedError(workers[number].span, process.exitcode) from None
            if isinstance(said, Part):
                found[number] = said
                del waiting[channel]
            else:
                events[number] = said
                taken(sum(events))
    return [found[number] for number in range(len(workers))]


def _merge(exact: ExactReplay, part: Part, heads: Path) -> None:
    """Count the next span's part."""
    with heads.open("rb") as file:
        while lines := file.read(_READ_BYTES):
            exact.chain.lines.update(lines)
    exact.chain.events += part.events
    exact.chain.streams += part.streams
    if part.first_bad is not None:
        exact.chain.blame(part.first_bad)
    exact.totals.merge(part.totals)
    if exact.what_if is not None and part.what_if is not None:
        exact.what_if.merge(part.what_if)
    exact.differences.merge(part.differences)
    if exact.comparison.revenue is not None:
        exact.comparison.revenue.lines += part.lines
        exact.comparison.revenue.shares += part.shares


def _work(question: Question, span: Span, heads: Path, channel: Connection) -> None:
    """Take one span, in a process of its own, which the one that started it ends if need be."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel.send(asyncio.run(_part(question, span, heads, channel.send)))


async def _part(question: Question, span: Span, heads: Path, taken: Callable[[int], None]) -> Part:
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(snapshot(question.dsn, question.same_as))
        exact = await question.open(connection, stack)
        exact.chain.lines = Lines(stack.enter_context(heads.open("wb")))
        await exact.take_span(connection, question.as_of, taken, span)
        revenue = exact.comparison.revenue
        return Part(
            events=exact.chain.events,
            streams=exact.chain.streams,
            first_bad=exact.chain.first_bad,
            totals=exact.totals,
            what_if=exact.what_if,
            differences=exact.differences,
            lines=0 if revenue is None else revenue.lines,
            shares=0 if revenue is None else revenue.shares,
        )
