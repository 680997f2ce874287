"""Recomputes what the ledger comes to, from its first fact on, and compares it with what is live.

`verify` checks that no stored fact was tampered with. `replay` does that too, decides every fact
again, and adds up balances, true revenue and shares as of any instant. Both read one snapshot,
in chunks, and write nothing.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import asyncpg

from runtime.store import FactRow
from services.ledger.checking.chain import ChainCheck, VerifyResult
from services.ledger.checking.differences import Differences
from services.ledger.checking.fold import Settlement, WalletFold
from services.ledger.checking.ledger_projections import LedgerComparison
from services.ledger.checking.reader import (
    CONNECT_SECONDS_MAX,
    count_facts,
    read_facts,
    snapshot,
)
from services.ledger.checking.revenue_projections import RevenueComparison
from services.ledger.checking.totals import GroupBy, Totals

Engine = Literal["exact"]
Progress = Callable[[int, int], None]
"""Called with how many facts were taken, and how many there are."""

PATIENCE_SECONDS: Final = 10.0
CHUNK_WALLETS: Final = 1_000
CHUNK_SETTLEMENTS: Final = 5_000


@dataclass(frozen=True)
class ReplayResult:
    """What a replay came to.

    `compared` names the services whose read models were compared. The replay is `ok` where the
    chain fits, every fact would be decided again, and nothing differs from the read models.
    """

    as_of: datetime | None
    engine: Engine
    totals: Totals
    chain: VerifyResult
    compared: tuple[str, ...]
    differences: Differences

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return self.chain.ok and self.differences.count == 0


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
    revenue_dsn: str | None = None,
    progress: Progress | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> ReplayResult:
    """Return what the facts of the ledger at `dsn` come to, compared with the live read models.

    `as_of` counts what happened up to that instant, the instant included; without it everything
    counts. With `revenue_dsn` revenue's read models are compared as well, which may take up to
    `patience_seconds` where revenue has not applied everything yet.
    """
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(snapshot(dsn))
        differences = Differences()
        comparison = _Comparison(LedgerComparison(connection, differences, as_of))
        if revenue_dsn is not None:
            comparison.revenue = RevenueComparison(
                revenue=await _connect(revenue_dsn, stack),
                ledger=await _connect(dsn, stack),
                differences=differences,
                as_of=as_of,
                patience_seconds=patience_seconds,
            )
        run = _Replay(Totals(group_by), differences, comparison)
        total = await count_facts(connection, as_of)
        async for rows in read_facts(connection, as_of):
            await run.take(rows)
            if as_of is None:
                await run.chain.check_heads(connection)
            if progress is not None:
                progress(run.chain.events, total)
        await run.finish()
        return ReplayResult(
            as_of=as_of,
            engine=engine,
            totals=run.totals,
            chain=await run.chain.finish(connection, whole=as_of is None),
            compared=("ledger",) if revenue_dsn is None else ("ledger", "revenue"),
            differences=differences,
        )


async def _connect(dsn: str, stack: AsyncExitStack) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS_MAX)
    stack.push_async_callback(connection.close)
    return connection


@dataclass
class _Comparison:
    ledger: LedgerComparison
    revenue: RevenueComparison | None = None

    async def settlements(self, settlements: list[Settlement]) -> None:
        await self.ledger.settlements(settlements)
        if self.revenue is not None:
            await self.revenue.settlements(settlements)

    async def finish(self, wallets: int) -> None:
        await self.ledger.finish(wallets)
        if self.revenue is not None:
            await self.revenue.finish()


@dataclass
class _Replay:
    """One pass over the facts; holds one open wallet, and a chunk of what is to be compared."""

    totals: Totals
    differences: Differences
    comparison: _Comparison
    chain: ChainCheck = field(default_factory=ChainCheck)
    _fold: WalletFold | None = None
    _finished: list[WalletFold] = field(default_factory=list)
    _settlements: list[Settlement] = field(default_factory=list)

    async def take(self, rows: list[FactRow]) -> None:
        """Check and fold a chunk of facts, then compare what is finished."""
        for row in rows:
            self.chain.take(row)
            if not row.stream.startswith("wallet-"):
                continue
            if self._fold is None or self._fold.stream != row.stream:
                self._finish_wallet()
                self._fold = WalletFold(row.stream)
            self._fold.take(row)
        self._collect(self._fold)
        if len(self._finished) >= CHUNK_WALLETS or len(self._settlements) >= CHUNK_SETTLEMENTS:
            await self._compare()

    async def finish(self) -> None:
        """Compare what is left."""
        self._finish_wallet()
        await self._compare()
        await self.comparison.finish(self.totals.wallets)

    def _finish_wallet(self) -> None:
        fold = self._fold
        if fold is None:
            return
        fold.finish()
        self._collect(fold)
        self.totals.add_wallet(fold.user_id, fold.wallet.balance)
        for objection in fold.objections:
            self.differences.add(
                "ledger.facts",
                f"{objection.stream} {objection.version}",
                from_facts=objection.problem,
                live="recorded",
            )
        self._finished.append(fold)
        self._fold = None

    def _collect(self, fold: WalletFold | None) -> None:
        """Take the settlements out of a wallet, so that a long one costs no more than a chunk."""
        if fold is None:
            return
        for settlement in fold.settlements:
            self.totals.add(settlement)
        self._settlements += fold.settlements
        fold.settlements = []

    async def _compare(self) -> None:
        finished, self._finished = self._finished, []
        settlements, self._settlements = self._settlements, []
        if finished:
            await self.comparison.ledger.wallets(finished)
        if settlements:
            await self.comparison.settlements(settlements)
