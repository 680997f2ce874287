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

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Bring the read model's tables up to date."""
        ...
