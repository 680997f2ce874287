"""The columnar engine on a running ledger: what is sealed, what is not, and its read models."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import asyncpg

from runtime.segments.manifest import decoded
from runtime.segments.places import Place
from runtime.segments.reader import count_facts, read_facts
from runtime.segments.unsealed import read_unsealed
from runtime.store import FactRow
from services.ledger.checking.differences import Differences
from services.ledger.checking.revenue_projections import RevenueComparison
from services.ledger.checking.totals import Group, GroupBy, Totals
from services.ledger.checking.what_if import OtherShares, WhatIf
from services.ledger.columnar.chunks import Segment
from services.ledger.columnar.engine import ColumnarReplay, ColumnarResult
from services.ledger.columns import BALANCE, VERSION
from services.ledger.sealing.origin import ORIGIN

CHUNK_WALLETS: Final = 5_000
REVENUE_POLL_SECONDS: Final = 0.2
NOTHING: Final = "nothing"


class LiveColumns:
    """One replay from columns, in the snapshot of a connection."""

    def __init__(
        self, connection: asyncpg.Connection, place: Place | None, differences: Differences
    ) -> None:
        self._connection = connection
        self._place = place
        self._differences = differences
        self.facts = 0

    async def run(
        self,
        group_by: GroupBy,
        as_of: datetime | None,
        shares: OtherShares | None,
        progress: Callable[[int, int], None] | None,
    ) -> ColumnarResult:
        """Return what the columns come to; what does not fit is a difference."""
        segments = [] if self._place is None else await self._segments(self._place)
        total = await count_facts(self._connection, as_of)

        def taken(rows: int) -> None:
            self.facts += rows
            if progress is not None:
                progress(self.facts, total)

        replay = await asyncio.to_thread(
            ColumnarReplay, segments, group_by=group_by, as_of=as_of, shares=shares
        )
        if segments:
            await asyncio.to_thread(replay.read_segments, taken)
        async for rows in self._unsealed(as_of, sealed=bool(segments)):
            replay.take(rows)
            taken(len(rows))
        result = replay.finish()
        for problem in result.problems:
            self._differences.add(
                "ledger.columns",
                f"{problem.stream} {problem.version}",
                from_facts=problem.problem,
                live="recorded",
            )
        self._differences.count += result.problem_count - len(result.problems)
        self.facts = result.facts
        return result

    def compare_engines(
        self, totals: Totals, what_if: WhatIf | None, result: ColumnarResult
    ) -> None:
        """Compare what the exact engine came to with what the columns do."""
        found = result.totals()
        for key in totals.groups.keys() | found.groups.keys():
            self._differences.compare(
                "engines",
                f"{totals.group_by} {key}",
                from_facts=totals.groups.get(key),
                live=found.groups.get(key),
            )
        self._differences.compare("engines", "total", from_facts=totals.total, live=found.total)
        also = result.what_if()
        if what_if is not None and also is not None:
            self._differences.compare(
                "engines", "what if", from_facts=what_if.payees, live=also.payees
            )

    async def compare(
        self, totals: Totals, as_of: datetime | None, revenue: RevenueComparison | None
    ) -> bool:
        """Compare with the live balances, wallet by wallet, and with the sum of revenue's lines.

        Return whether revenue could be compared: a ledger that went on meanwhile has earned more
        than its snapshot, and which of revenue's lines that is a sum does not tell.
        """
        if totals.group_by == "user":
            await self._balances(totals.groups, as_of)
        if revenue is None:
            return False
        expected = totals.total.true_revenue_minor
        live = await revenue.total(expected)
        if live != expected and as_of is None and await self._went_on(revenue.ledger):
            return False
        self._differences.compare(
            "revenue.revenue_lines", "all of them", from_facts=expected, live=live
        )
        return True

    async def _went_on(self, ledger: asyncpg.Connection) -> bool:
        """Return whether the ledger has more facts by now than in the snapshot."""
        return await count_facts(ledger, None) != await count_facts(self._connection, None)

    async def _segments(self, place: Place) -> list[Segment]:
        """Return the segments that the snapshot knows, in order."""
        found = []
        async for row in self._connection.cursor("select manifest from segments order by number"):
            manifest = decoded(row["manifest"].encode())
            if manifest.columns_version != VERSION:
                raise OldColumnsError(manifest.segment, manifest.columns_version)
            found.append(Segment(*place.locate(manifest.segment)))
        return found

    def _unsealed(self, as_of: datetime | None, *, sealed: bool) -> AsyncIterator[list[FactRow]]:
        if sealed:
            return read_unsealed(self._connection, ORIGIN)
        return read_facts(self._connection, as_of)

    async def _balances(self, groups: dict[str | None, Group], as_of: datetime | None) -> None:
        left = dict(groups)
        query = _BALANCES if as_of is None else _HISTORY
        cursor = await self._connection.cursor(query, *(() if as_of is None else (as_of,)))
        while rows := await cursor.fetch(CHUNK_WALLETS):
            for row in rows:
                group = left.pop(row["user_id"], None)
                self._differences.compare(
                    "ledger.balances",
                    row["user_id"],
                    from_facts=group and _balance(group),
                    live=tuple(row)[1:],
                )
        for user_id, group in left.items():
            if as_of is None or any(_balance(group)):
                self._differences.add(
                    "ledger.balances", str(user_id), from_facts=_balance(group), live=NOTHING
                )


class OldColumnsError(Exception):
    """A segment's typed columns were made otherwise than this release reads them."""

    def __init__(self, segment: str, version: int) -> None:
        super().__init__(
            f"{segment} has columns of version {version}, and this release reads {VERSION}: "
            f"use --engine exact"
        )


_BALANCES: Final = f"select user_id, {', '.join(BALANCE)} from balances"  # noqa: S608 - our own names
_HISTORY: Final = f"""
    select distinct on (user_id) user_id, {", ".join(f"{name}_after" for name in BALANCE)}
    from history where at <= $1 order by user_id, version desc
"""  # noqa: S608 - our own names


def _balance(group: Group) -> tuple[int, ...]:
    return tuple(getattr(group, name) for name in BALANCE)
