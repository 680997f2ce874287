"""Replays from columns: a thread for each core, each with all facts of its own part of the wallets.

Memory grows with the number of wallets and of groups, not with that of facts: each thread holds
one group of rows at a time.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import pyarrow as pa

from runtime.store import FactRow
from services.ledger.checking.totals import GroupBy, Totals
from services.ledger.checking.what_if import OtherShares, WhatIf
from services.ledger.columnar.chunks import (
    TABLE,
    Part,
    Scope,
    Segment,
    chunk_of,
    count_rows,
    parts_of,
    read_part,
)
from services.ledger.columnar.kernel import Chunk, Problem, WalletStates
from services.ledger.columnar.payees import PayeeSums
from services.ledger.columnar.sums import KEYS, Sums
from services.ledger.columns import typed_columns

Taken = Callable[[int], None]
"""Called with how many facts were taken since the last call; from any thread."""


@dataclass(frozen=True)
class ColumnarResult:
    """What the columns come to, and the facts that do not fit; the first hundred are kept."""

    group_by: GroupBy
    facts: int
    wallets: int
    problems: tuple[Problem, ...]
    problem_count: int
    workers: "tuple[_Worker, ...]"

    def totals(self) -> Totals:
        """Return the figures by group, as the exact engine gives them."""
        totals = Totals(self.group_by)
        for worker in self.workers:
            for key, group in worker.sums.groups():
                totals.add_group(key, group)
            for stream, balance in worker.states.balances():
                totals.add_wallet(stream.partition("-")[2], balance)
        return totals

    def what_if(self) -> WhatIf | None:
        """Return what payees would be due with the other shares that were asked about."""
        merged: WhatIf | None = None
        for worker in self.workers:
            if worker.payees is None:
                continue
            part = worker.payees.what_if
            merged = merged or WhatIf(part.shares)
            for (role, payee_id), figures in part.payees.items():
                merged.figures(role, payee_id).add(
                    figures.true_revenue_minor, figures.entitlement, figures.entitlement_if
                )
        return merged


@dataclass
class _Worker:
    part: Part
    sums: Sums
    payees: PayeeSums | None
    states: WalletStates = field(default_factory=WalletStates)

    def take(self, chunk: Chunk) -> None:
        self.states.fold(chunk)
        self.sums.add(chunk)
        if self.payees is not None:
            self.payees.add(chunk)


class ColumnarReplay:
    """One replay: first all segments, in order; then what is not sealed, in order; then the result.

    `as_of` counts what happened up to that instant, the instant included.
    """

    def __init__(
        self,
        segments: Sequence[Segment] = (),
        *,
        group_by: GroupBy = "user",
        as_of: datetime | None = None,
        shares: OtherShares | None = None,
        workers: int | None = None,
    ) -> None:
        self._segments = [segment.opened() for segment in segments]
        self._group_by: GroupBy = group_by
        texts = {KEYS[group_by]} if group_by in KEYS else set()
        if shares is not None:
            texts |= {"partner_id", "agent_id"}
        self._scope = Scope(frozenset(texts), as_of)
        count = workers or len(os.sched_getaffinity(0))
        self._workers = [
            _Worker(part, Sums(group_by), None if shares is None else PayeeSums(shares))
            for part in parts_of(self._segments, count)
        ]

    @property
    def sealed(self) -> int:
        """Return how many facts the segments hold."""
        return count_rows(self._segments)

    def read_segments(self, taken: Taken | None = None) -> None:
        """Take all segments, every worker its own part of the wallets."""
        lock = Lock()

        def read(worker: _Worker) -> None:
            for segment in self._segments:
                for chunk in read_part(segment, worker.part, self._scope):
                    worker.take(chunk)
                    if taken is not None:
                        with lock:
                            taken(chunk.rows)

        with ThreadPoolExecutor(len(self._workers)) as pool:
            list(pool.map(read, self._workers))

    def take(self, rows: Sequence[FactRow]) -> None:
        """Take stored facts that are in no segment, in the order of their streams and versions."""
        raw = {
            "stream": pa.array([row.stream for row in rows], pa.string()),
            "version": pa.array([row.version for row in rows], pa.int64()),
            "at": pa.array([row.at for row in rows], TABLE.field("at").type),
        }
        self.take_table(pa.table(raw | typed_columns(rows), schema=TABLE))

    def take_table(self, table: pa.Table) -> None:
        """Take facts as columns, in the order of their streams and versions."""
        for worker in self._workers:
            chunk = chunk_of(table, worker.part, self._scope)
            if chunk is not None:
                worker.take(chunk)

    def finish(self) -> ColumnarResult:
        """Return what it all comes to."""
        states = [worker.states for worker in self._workers]
        return ColumnarResult(
            group_by=self._group_by,
            facts=sum(state.facts for state in states),
            wallets=sum(len(state.slots) for state in states),
            problems=tuple(problem for state in states for problem in state.problems),
            problem_count=sum(state.problem_count for state in states),
            workers=tuple(self._workers),
        )
