"""Read models as statements: a pure function from a change to SQL."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from contracts.envelope import Envelope
from runtime.projector import Change
from runtime.store import Recorded

Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class SqlProjection:
    """A read model that is kept by the statements of each change, in order.

    Where it is `by_stream`, changes of different streams have nothing to do with each other here:
    they touch other rows, or only add to the same. Then order is kept within each stream alone.
    """

    name: str
    statements: Callable[[Change], Iterable[Statement]]
    tables: tuple[str, ...]
    by_stream: bool = False

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Run the statements of all changes; neighbours with the same SQL in one round trip."""
        streams: defaultdict[str, deque[Statement]] = defaultdict(deque)
        for change in changes:
            stream = _stream(change) if self.by_stream else ""
            streams[stream].extend(self.statements(change))
        for sql, arguments in round_trips(list(streams.values())):
            await connection.executemany(sql, arguments)


def round_trips(
    streams: Sequence[deque[Statement]],
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Return each SQL with the arguments to run it with, until nothing is left of any stream.

    Each stream's statements stay in their order; of all streams, those that are next and have the
    same SQL go together.
    """
    left = [stream for stream in streams if stream]
    while left:
        sql = left[0][0][0]
        arguments: list[tuple[Any, ...]] = []
        for stream in left:
            while stream and stream[0][0] == sql:
                arguments.append(stream.popleft()[1])
        yield sql, arguments
        left = [stream for stream in left if stream]


def _stream(change: Change) -> str:
    return change.subject if isinstance(change, Envelope) else change.stream


def told(change: Change) -> Any:
    """Return what another service told, or nothing where the change is a fact of our own."""
    return change.data if isinstance(change, Envelope) else None


def own(change: Change) -> Any:
    """Return a fact of our own, or nothing where the change is another service's message."""
    return change.fact if isinstance(change, Recorded) else None


def id_in(stream: str) -> str:
    """Return the id in a stream's name: `1` in `user-1`."""
    return stream.partition("-")[2]
