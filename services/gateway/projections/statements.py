"""Read models as statements: a pure function from a change to SQL."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import asyncpg

from contracts.envelope import Envelope
from runtime.projector import Change
from runtime.store import Recorded

Statement = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class SqlProjection:
    """A read model that is kept by the statements of each change, in order."""

    name: str
    statements: Callable[[Change], Iterable[Statement]]

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Run the statements of all changes; neighbours with the same SQL in one round trip."""
        statements = [each for change in changes for each in self.statements(change)]
        for sql, group in groupby(statements, key=lambda statement: statement[0]):
            await connection.executemany(sql, [arguments for _, arguments in group])


def told(change: Change) -> Any:
    """Return what another service told, or nothing where the change is a fact of our own."""
    return change.data if isinstance(change, Envelope) else None


def own(change: Change) -> Any:
    """Return a fact of our own, or nothing where the change is another service's message."""
    return change.fact if isinstance(change, Recorded) else None


def id_in(stream: str) -> str:
    """Return the id in a stream's name: `1` in `user-1`."""
    return stream.partition("-")[2]
