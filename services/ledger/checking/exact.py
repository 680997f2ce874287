"""The exact engine: every fact decided again and folded by the ledger's own rules."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg
from msgspec.structs import astuple

from runtime.store import FactRow
from services.ledger.checking.chain import ChainCheck, VerifyResult
from services.ledger.checking.differences import Differences
from services.ledger.checking.fold import Settlement, WalletFold
from services.ledger.checking.ledger_projections import LedgerComparison
from services.ledger.checking.reader import count_facts, read_facts
from services.ledger.checking.revenue_projections import RevenueComparison
from services.ledger.checking.totals import Totals
from services.ledger.checking.what_if import WhatIf

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

    async def run(
        self,
        connection: asyncpg.Connection,
        as_of: datetime | None,
        progress: Callable[[int, int], None] | None,
    ) -> VerifyResult:
        """Take all facts up to an instant, compare, and return whether their chain fits."""
        total = await count_facts(connection, as_of)
        async for rows in read_facts(connection, as_of):
            await self.take(rows)
            if as_of is None:
                await self.chain.check_heads(connection)
            if progress is not None:
                progress(self.chain.events, total)
        await self.finish()
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
