"""Read models in SQL, kept in the same transaction as what they are made from."""

from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg

from contracts.envelope import Envelope
from runtime.store import Recorded

Change = Recorded[Any] | Envelope[Any]


class Projection(Protocol):
    """One read model.

    `apply` gets what a batch brought, in order: the messages from the bus that were handled, and
    the service's own new facts. It ignores what does not concern it, and gives the same tables
    whether it is fed as things happen or from the beginning.
    """

    @property
    def name(self) -> str:
        """The read model's name, unique in the service."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that only `apply` writes, which can so be made anew from what it is fed.

        None where somebody else writes there too.
        """
        ...

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Bring the read model's tables up to date."""
        ...


class OfKind:
    """A read model of one kind of the service's own streams; it never sees the others' facts."""

    def __init__(self, kind: str, projection: Projection) -> None:
        self._prefix = f"{kind}-"
        self._projection = projection

    @property
    def name(self) -> str:
        """The read model's name."""
        return self._projection.name

    @property
    def tables(self) -> tuple[str, ...]:
        """The read model's tables."""
        return self._projection.tables

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Hand on the messages of others, and the facts of that kind."""
        concerning = [
            change
            for change in changes
            if not isinstance(change, Recorded) or change.stream.startswith(self._prefix)
        ]
        if concerning:
            await self._projection.apply(connection, concerning)
