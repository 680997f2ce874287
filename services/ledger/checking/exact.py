"""The exact engine: every fact decided again and folded by the ledger's own rules."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg
from msgspec.structs import astuple

from runtime.segments.chain import ChainCheck, VerifyResult
from runtime.segments.reader import CONNECT_SECONDS_MAX, WHOLE, Span, read_facts
from runtime.store import FactRow
from services.ledger.checking.differences import Differences
from services.ledger.checking.fold import Settlement, WalletFold
from services.ledger.checking.ledger_projections import LedgerComparison
from services.ledger.checking.revenue_projections import RevenueComparison
from services.ledger.checking.totals import GroupBy, Totals
from services.ledger.checking.what_if import OtherShares, WhatIf

CHUNK_WALLETS: Final = 1_000
CHUNK_SETTLEMENTS: Final = 5_000
_WALLET: Final = "wallet-"


@dataclass
class Comparison:
    """The read models that a replay is compared with."""

    ledger: LedgerComparison
    revenue: RevenueComparison | None = None

    async def settlements(self, settlements: list[Settlement]) -> None:
        """Compare settlements, and with revenue what was corrected of them."""
        await self.ledger.settlements([each for each in settlements if each.count])
        if self.revenue is not None:
            await self.revenue.settlements(settlements)

    async def finish(self, wallets: int) -> None:
        """Find what stands there without a fact behind it."""
        await self.ledger.finish(wallets)
        if self.revenue is not None:
            await self.revenue.finish()


@dataclass
class ExactReplay:
    """One pass over the facts; holds one open wallet, and a chunk of what is to be compared."""

    totals: Totals
    what_if: WhatIf | None
    differences: Differences
    comparison: Comparison
    chain: ChainCheck = field(default_factory=ChainCheck)
    _fold: WalletFold | None = None
    _finished: list[WalletFold] = field(default_factory=list)
    _settlements: list[Settlement] = field(default_factory=list)

    async def take_span(
        self,
        connection: asyncpg.Connection,
        as_of: datetime | None,
        taken: Callable[[int], None],
        span: Span = WHOLE,
    ) -> None:
        """Take all facts of a span up to an instant and compare; tell how many were taken."""
        async for rows in read_facts(connection, as_of, span):
            await self.take(rows)
            if as_of is None:
                await self.chain.check_heads(connection)
            taken(self.chain.events)
        self._finish_wallet()
        await self._compare()
        await self.chain.end(connection, whole=as_of is None)

    async def finish(self, connection: asyncpg.Connection, as_of: datetime | None) -> VerifyResult:
        """Find what is live without a fact behind it, and return whether the chain fits."""
        await self.comparison.finish(self.totals.wallets)
        return await self.chain.finish(connection, whole=as_of is None)

    async def take(self, rows: list[FactRow]) -> None:
        """Check and fold a chunk of facts, then compare what is finished."""
        for row in rows:
            self.chain.take(row)
            if not row.stream.startswith(_WALLET):
                continue
            if self._fold is None or self._fold.stream != row.stream:
                self._finish_wallet()
                self._fold = WalletFold(row.stream)
            self._fold.take(row)
        self._collect(self._fold)
        if len(self._finished) >= CHUNK_WALLETS or len(self._settlements) >= CHUNK_SETTLEMENTS:
            await self._compare()

    def _finish_wallet(self) -> None:
        fold = self._fold
        if fold is None:
            return
        fold.finish()
        self._fold = None
        self._collect(fold)
        self.totals.add_wallet(fold.user_id, astuple(fold.wallet.balance))
        for objection in fold.objections:
            self.differences.add(
                "ledger.facts",
                f"{objection.stream} {objection.version}",
                from_facts=objection.problem,
                live="recorded",
            )
        self._finished.append(fold)

    def _collect(self, fold: WalletFold | None) -> None:
        """Take the settlements out of a wallet, so that a long one costs no more than a chunk.

        Those of an open wallet's last instant stay: what belongs to one fact is compared at once.
        """
        if fold is None:
            return
        taken: list[Settlement] = []
        left: list[Settlement] = []
        for settlement in (*fold.settlements, *fold.corrections):
            is_last = fold is self._fold and settlement.at == fold.last_at
            (left if is_last else taken).append(settlement)
        fold.settlements = [each for each in left if each.count]
        fold.corrections = [each for each in left if not each.count]
        for settlement in taken:
            self.totals.add(settlement)
            if self.what_if is not None:
                self.what_if.add(settlement)
        self._settlements += taken

    async def _compare(self) -> None:
        finished, self._finished = self._finished, []
        settlements, self._settlements = self._settlements, []
        if finished:
            await self.comparison.ledger.wallets(finished)
        if settlements:
            await self.comparison.settlements(settlements)


@dataclass(frozen=True)
class Question:
    """What a replay is asked for, as `services.ledger.replay` says it.

    `same_as` names the snapshot to read, where it is another connection's.
    """

    dsn: str
    as_of: datetime | None
    group_by: GroupBy
    shares: OtherShares | None
    revenue_dsn: str | None
    patience_seconds: float
    same_as: str | None = None

    async def open(self, connection: asyncpg.Connection, stack: AsyncExitStack) -> ExactReplay:
        """Return a replay that has taken nothing yet; `stack` closes what it opens."""
        differences = Differences()
        comparison = Comparison(LedgerComparison(connection, differences, self.as_of))
        if self.revenue_dsn is not None:
            comparison.revenue = RevenueComparison(
                revenue=await _connect(self.revenue_dsn, stack),
                ledger=await _connect(self.dsn, stack),
                differences=differences,
                as_of=self.as_of,
                patience_seconds=self.patience_seconds,
            )
        what_if = None if self.shares is None else WhatIf(self.shares)
        return ExactReplay(Totals(self.group_by), what_if, differences, comparison)


async def _connect(dsn: str, stack: AsyncExitStack) -> asyncpg.Connection:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS_MAX)
    stack.push_async_callback(connection.close)
    return connection
