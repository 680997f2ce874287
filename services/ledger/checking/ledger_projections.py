"""Compares what the facts come to with the ledger's own read models, wallets by the chunk.

Everything is read in the snapshot that the facts are read in, so any difference is an error. Only
the history can be asked what was at an earlier instant; the others say what is now.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from services.ledger.checking.differences import Differences
from services.ledger.checking.fold import Settlement, WalletFold
from services.ledger.events import Balance
from services.ledger.projections.balances import figures
from services.ledger.slices import size
from services.ledger.unwinding import case_of

NOTHING: Final = "nothing"


class LedgerComparison:
    """Compares chunks of finished wallets, and at the end whether there is anything besides."""

    def __init__(
        self, connection: asyncpg.Connection, differences: Differences, as_of: datetime | None
    ) -> None:
        self._connection = connection
        self._differences = differences
        self._as_of = as_of

    async def settlements(self, settlements: Sequence[Settlement]) -> None:
        """Compare settlements with the holds that are settled."""
        rows = await self._by_key(
            "select * from holds where hold_id = any($1::text[])",
            [settlement.hold.hold_id for settlement in settlements],
            "hold_id",
        )
        for settlement in settlements:
            hold = settlement.hold
            row = rows.get(hold.hold_id)
            self._differences.compare(
                "ledger.holds",
                hold.hold_id,
                from_facts=(
                    hold.user_id,
                    "SETTLED",
                    hold.cost,
                    settlement.awarded_credits,
                    settlement.purchased_credits,
                    settlement.at,
                ),
                live=row
                and (
                    row["user_id"],
                    row["status"],
                    row["cost"],
                    row["awarded"],
                    row["purchased"],
                    row["ended_at"],
                ),
            )

    async def wallets(self, folds: Sequence[WalletFold]) -> None:
        """Compare wallets after their last fact."""
        await self._histories(folds)
        if self._as_of is not None:
            return
        await self._balances(folds)
        await self._states(folds)
        await self._lots(folds)
        await self._holds(folds)

    async def finish(self, wallets: int) -> None:
        """Find read models of wallets that have no facts."""
        if self._as_of is not None:
            return
        live = await self._connection.fetchval("select count(*) from balances")
        if live == wallets:
            return
        rows = await self._connection.fetch(
            """select user_id from balances b
               where not exists (select 1 from facts f where f.stream = 'wallet-' || b.user_id)
               limit 100"""
        )
        for row in rows:
            self._differences.add(
                "ledger.balances", row["user_id"], from_facts=NOTHING, live="a wallet"
            )

    async def _balances(self, folds: Sequence[WalletFold]) -> None:
        rows = await self._by_key(
            "select * from balances where user_id = any($1::text[])", _users(folds), "user_id"
        )
        for fold in folds:
            row = rows.get(fold.user_id)
            self._differences.compare(
                "ledger.balances",
                fold.user_id,
                from_facts=(fold.version, *_balance(fold)),
                live=row and (row["version"], *_balance_in(row, "")),
            )

    async def _states(self, folds: Sequence[WalletFold]) -> None:
        """Compare with the states that decisions are made on, byte by byte."""
        rows = await self._by_key(
            "select name, state from streams where name = any($1::text[])",
            [fold.stream for fold in folds],
            "name",
        )
        for fold in folds:
            row = rows.get(fold.stream)
            folded = msgspec.msgpack.encode(fold.wallet)
            self._differences.compare(
                "ledger.streams", fold.stream, from_facts=folded, live=row and row["state"]
            )

    async def _lots(self, folds: Sequence[WalletFold]) -> None:
        rows = await self._by_key(
            "select * from lots where user_id = any($1::text[])", _users(folds), "lot_id"
        )
        for fold in folds:
            for lot_id, places in fold.lots.items():
                is_open = fold.wallet.lots.get(lot_id)
                row = rows.pop(lot_id, None)
                self._differences.compare(
                    "ledger.lots",
                    lot_id,
                    from_facts=(
                        fold.user_id,
                        places.credits,
                        size(is_open.free) if is_open else 0,
                        is_open.held if is_open else 0,
                        places.spent,
                        places.expired,
                        places.adjusted,
                        places.voided,
                        case_of(fold.wallet, lot_id).refunded_minor,
                        case_of(fold.wallet, lot_id).frozen,
                    ),
                    live=row
                    and (
                        row["user_id"],
                        row["credits"],
                        row["free"],
                        row["held"],
                        row["spent"],
                        row["expired"],
                        row["adjusted"],
                        row["voided"],
                        row["refunded_minor"],
                        row["disputes_open"] > 0,
                    ),
                )
        for lot_id in rows:
            self._differences.add("ledger.lots", lot_id, from_facts=NOTHING, live="a lot")

    async def _holds(self, folds: Sequence[WalletFold]) -> None:
        """Compare which holds are open, how many are settled, and how much was refunded."""
        rows = await self._connection.fetch(
            """select user_id, count(*) filter (where status = 'SETTLED') as settled,
                      sum(refunded)::bigint as refunded,
                      array_agg(hold_id order by hold_id) filter (where status = 'PLACED') as open
               from holds where user_id = any($1::text[]) group by user_id""",
            _users(folds),
        )
        live = {
            row["user_id"]: (row["settled"], row["refunded"], row["open"] or []) for row in rows
        }
        for fold in folds:
            self._differences.compare(
                "ledger.holds",
                fold.user_id,
                from_facts=(fold.settled_total, fold.refunded_total, sorted(fold.open_holds)),
                live=live.get(fold.user_id, (0, 0, [])),
            )

    async def _histories(self, folds: Sequence[WalletFold]) -> None:
        """Compare how many movements there were up to the instant, and the balance after them."""
        rows = await self._by_key(
            """select distinct on (user_id) *, count(*) over (partition by user_id) as movements
               from history
               where user_id = any($1::text[]) and ($2::timestamptz is null or at <= $2)
               order by user_id, version desc""",
            _users(folds),
            "user_id",
            self._as_of,
        )
        for fold in folds:
            row = rows.get(fold.user_id)
            self._differences.compare(
                "ledger.history",
                fold.user_id,
                from_facts=(fold.movements, *_balance(fold)),
                live=(row["movements"], *_balance_in(row, "_after"))
                if row
                else (0, *figures(Balance())),
            )

    async def _by_key(
        self, query: str, keys: list[str], key: str, *more: Any
    ) -> dict[str, asyncpg.Record]:
        rows = await self._connection.fetch(query, keys, *more)
        return {row[key]: row for row in rows}


def _users(folds: Sequence[WalletFold]) -> list[str]:
    return [fold.user_id for fold in folds]


def _balance(fold: WalletFold) -> tuple[int, ...]:
    return figures(fold.wallet.balance)


def _balance_in(row: asyncpg.Record, suffix: str) -> tuple[int, ...]:
    return tuple(row[f"{name}{suffix}"] for name in Balance.__struct_fields__)
