"""Checks that each attested month still holds what it held when it was attested.

It takes all facts by their streams' bytes and versions, once, for all months together.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import asyncpg
import msgspec

from runtime.segments.chain import BadFact
from runtime.store import FactRow
from services.ledger.periods.rules import PeriodAttested


@dataclass
class _Before:
    """What of the ledger is before a month's end."""

    facts: int = 0
    streams: int = 0
    digest: Any = field(default_factory=sha256)


@dataclass
class PeriodCheck:
    """Counts what is before the end of each attested month, and compares."""

    attested: list[PeriodAttested]
    _stream: str = ""
    _ends: list[tuple[int, bytes] | None] = field(default_factory=list)
    _before: list[_Before] = field(init=False)
    _bounds: list[datetime] = field(init=False)

    def __post_init__(self) -> None:
        """Begin before the first fact."""
        self.attested.sort(key=lambda each: each.until)
        self._bounds = [each.until for each in self.attested]
        self._before = [_Before() for _ in self.attested]
        self._ends = [None] * len(self.attested)

    def take(self, row: FactRow) -> None:
        """Take the next fact."""
        if not self.attested:
            return
        if row.stream != self._stream:
            self._finish_stream()
            self._stream = row.stream
        for place in range(bisect_right(self._bounds, row.at), len(self._bounds)):
            self._ends[place] = (row.version, row.hash)
            self._before[place].facts += 1

    def finish(self) -> BadFact | None:
        """Return the first month that is not what was attested."""
        self._finish_stream()
        for attested, before in zip(self.attested, self._before, strict=True):
            found = (before.facts, before.streams, before.digest.hexdigest())
            if found != (attested.ledger_facts, attested.ledger_streams, attested.head):
                problem = (
                    f"before its end there are {before.facts} facts in {before.streams} streams, "
                    f"and {attested.ledger_facts} in {attested.ledger_streams} were attested"
                )
                return BadFact(f"period-{attested.period}", 1, None, problem)
        return None

    def _finish_stream(self) -> None:
        for before, end in zip(self._before, self._ends, strict=True):
            if end is not None:
                before.streams += 1
                before.digest.update(f"{self._stream} {end[0]} {end[1].hex()}\n".encode())
        self._ends = [None] * len(self.attested)


async def attested_periods(connection: asyncpg.Connection) -> list[PeriodAttested]:
    """Return what was attested, as it stands in the ledger."""
    rows = await connection.fetch(
        """select f.body from streams s join facts f on f.stream = s.name
           where s.name like 'period-%'"""
    )
    return [msgspec.json.decode(row["body"], type=PeriodAttested) for row in rows]
