"""Recomputes what the ledger comes to, from its first fact on, and compares it with what is live.

`verify` checks that no stored fact was tampered with. `replay` does that too, decides every fact
again, and adds up balances, true revenue and shares as of any instant. Both read one snapshot,
in chunks, and write nothing.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import asyncpg

from runtime.segments.chain import ChainCheck, VerifyResult
from runtime.segments.places import Place
from runtime.segments.reader import (
    count_facts,
    read_facts,
    snapshot,
)
from services.ledger.checking.differences import Differences
from services.ledger.checking.exact import ExactReplay, Question
from services.ledger.checking.parallel import take_all, workers_for
from services.ledger.checking.totals import GroupBy, Totals
from services.ledger.checking.what_if import OtherShares, WhatIf
from services.ledger.columnar.live import LiveColumns

Engine = Literal["exact", "columnar", "both"]
Progress = Callable[[int, int], None]
"""Called with how many facts were taken, and how many there are."""

PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class ReplayResult:
    """What a replay came to.

    `compared` names the services whose read models were compared. The replay is `ok` where the
    chain fits, every fact would be decided again, the engines agree, and nothing differs from the
    read models. Only the exact engine checks the chain. With `since`, a replay as of an earlier
    instant, what is written are the changes from that one on, and both must be `ok`.
    """

    as_of: datetime | None
    engine: Engine
    events: int
    totals: Totals
    what_if: WhatIf | None
    chain: VerifyResult | None
    compared: tuple[str, ...]
    differences: Differences
    since: "ReplayResult | None" = None

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        fits = (self.chain is None or self.chain.ok) and self.differences.count == 0
        return fits and (self.since is None or self.since.ok)


async def verify(dsn: str, *, progress: Progress | None = None) -> VerifyResult:
    """Return whether every stored fact of the ledger at `dsn` fits the one before it."""
    check = ChainCheck()
    async with snapshot(dsn) as connection:
        total = await count_facts(connection, None)
        async for rows in read_facts(connection, None):
            for row in rows:
                check.take(row)
            await check.check_heads(connection)
            if progress is not None:
                progress(check.events, total)
        return await check.finish(connection, whole=True)


async def replay(
    dsn: str,
    *,
    as_of: datetime | None = None,
    group_by: GroupBy = "user",
    engine: Engine = "exact",
    place: Place | None = None,
    shares: OtherShares | None = None,
    revenue_dsn: str | None = None,
    progress: Progress | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
    workers: int | None = None,
) -> ReplayResult:
    """Return what the facts of the ledger at `dsn` come to, compared with the live read models.

    `as_of` counts what happened up to that instant, the instant included; without it everything
    counts. The columnar engine reads what is sealed from the segments at `place`, where there is
    one, and the rest from the database. `shares` asks what payees would be due with other ones.
    With `revenue_dsn` revenue's read models are compared as well, which may take up to
    `patience_seconds` where revenue has not applied everything yet. The exact engine works in
    `workers` processes: without a number one for each core, and only one where facts are few.
    """
    question = Question(dsn, as_of, group_by, shares, revenue_dsn, patience_seconds)
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(snapshot(dsn))
        exact = await question.open(connection, stack)
        chain, with_revenue = None, revenue_dsn is not None
        if engine != "columnar":
            chain = await _run(exact, question, connection, workers, progress)
        columns = LiveColumns(connection, place, exact.differences)
        if engine != "exact":
            found = await columns.run(group_by, as_of, shares, progress)
            if engine == "both":
                columns.compare_engines(exact.totals, exact.what_if, found)
            else:
                exact.totals, exact.what_if = found.totals(), found.what_if()
                with_revenue = await columns.compare(exact.totals, as_of, exact.comparison.revenue)
        return ReplayResult(
            as_of=as_of,
            engine=engine,
            events=columns.facts if chain is None else chain.events,
            totals=exact.totals,
            what_if=exact.what_if,
            chain=chain,
            compared=("ledger", "revenue") if with_revenue else ("ledger",),
            differences=exact.differences,
        )


async def _run(
    exact: ExactReplay,
    question: Question,
    connection: asyncpg.Connection,
    workers: int | None,
    progress: Progress | None,
) -> VerifyResult:
    """Take all facts, here or in several processes, and return whether their chain fits."""
    total = await count_facts(connection, question.as_of)

    def taken(events: int) -> None:
        if progress is not None:
            progress(events, total)

    count = workers_for(total, workers)
    if count > 1:
        await take_all(exact, question, connection, count, taken)
    else:
        await exact.take_span(connection, question.as_of, taken)
    return await exact.finish(connection, question.as_of)
