"""The rules of revenue: what a settlement earns, and what of it a payee is due.

True revenue is the value of the purchased slices that were spent; awarded ones earn nothing. Every
settlement makes a line, one of 0 included, so that a report of a module's deployments is whole, and
so does each later change: what comes back, or is no longer paid for, is a negative line of its own
at the instant of the ledger's fact, and what is paid for again is recognised then.

Nothing is refused here: the ledger has decided. What contradicts what is known is a bug, and
raises `ContradictionError`. Shares of lines are decided in `services.revenue.shares`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

import msgspec

from contracts import money_rules
from services.revenue.events import (
    DisputeFact,
    DisputeOutcome,
    DisputeState,
    Earning,
    EarningRange,
    LedgerEntry,
    RevenueDisputed,
    RevenueFact,
    RevenueRecognized,
    RevenueReversed,
    RevenueState,
    RevenueUndisputed,
    Reversing,
    SettledHold,
    SpentSlice,
)

SETTLEMENT_LINE: Final = 1
"""A deployment's first line is that of its settlement; awarded credits stand in no other."""


class ContradictionError(Exception):
    """A message contradicts what is known; `fields` say how."""

    def __init__(self, what: str, **fields: str | int | None) -> None:
        super().__init__(f"{what}: {fields}")
        self.fields = fields


@dataclass(frozen=True, kw_only=True)
class Recognize:
    """A hold was settled at an instant of the ledger: recognise what it earned."""

    hold: SettledHold
    entry: LedgerEntry
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Reverse:
    """Slices of a settlement came back to the user, or are no longer paid for.

    `credits` came back, and are more than the slices where a debt went with them.
    """

    hold: SettledHold
    entry: LedgerEntry
    at: datetime
    reversing: Reversing
    cause: str
    slices: tuple[SpentSlice, ...]
    credits: int


@dataclass(frozen=True, kw_only=True)
class Repay:
    """Slices of a new purchase took the place of reversed ones of a settlement."""

    hold: SettledHold
    entry: LedgerEntry
    at: datetime
    slices: tuple[SpentSlice, ...]


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A purchase is disputed."""

    dispute_id: str
    lot_id: str
    user_id: str
    amount_minor: int
    currency: str
    entry: LedgerEntry
    at: datetime


@dataclass(frozen=True, kw_only=True)
class EndDispute:
    """A dispute was decided."""

    dispute_id: str
    lot_id: str
    outcome: DisputeOutcome
    entry: LedgerEntry
    at: datetime


RevenueCommand = Recognize | Reverse | Repay
DisputeCommand = Dispute | EndDispute


def decide_revenue(command: RevenueCommand, state: RevenueState) -> list[RevenueFact]:
    """Return the lines of revenue that a command brings; none where they are there already."""
    match command:
        case Recognize():
            return _recognize(command, state)
        case Reverse() | Repay() if _applied(command, state):
            return []
        case Reverse():
            return [*_reverse(command, state)]
        case Repay():
            number = state.lines + 1
            return [_line(command, number=number, earning="repaid", slices=command.slices, cost=0)]
        case _:
            assert_never(command)


def evolve_revenue(state: RevenueState, fact: RevenueFact) -> RevenueState:
    """Return what is known of a deployment's revenue after a fact."""
    match fact:
        case RevenueRecognized():
            earning = (*state.earning, *_ranges(fact.line, fact.slices))
        case RevenueReversed():
            taken = _ranges(fact.reverses, fact.slices)
            earning = tuple(_without(state.earning, taken))
        case _:
            assert_never(fact)
    return msgspec.structs.replace(
        state,
        hold_id=fact.hold.hold_id,
        lines=fact.line,
        wallet_sequence=fact.entry.sequence,
        true_revenue_minor=state.true_revenue_minor + fact.true_revenue_minor,
        earning=earning,
    )


def decide_dispute(command: DisputeCommand, state: DisputeState) -> list[DisputeFact]:
    """Return what changes of a dispute; nothing where it is known already."""
    match command:
        case Dispute() if state.known:
            return []
        case Dispute():
            return [
                RevenueDisputed(
                    dispute_id=command.dispute_id,
                    lot_id=command.lot_id,
                    user_id=command.user_id,
                    amount_minor=command.amount_minor,
                    currency=command.currency,
                    entry=command.entry,
                    at=command.at,
                )
            ]
        case EndDispute() if not state.known:
            raise ContradictionError("no such dispute", dispute_id=command.dispute_id)
        case EndDispute() if not state.open:
            return []
        case EndDispute():
            return [
                RevenueUndisputed(
                    dispute_id=command.dispute_id,
                    lot_id=command.lot_id,
                    outcome=command.outcome,
                    entry=command.entry,
                    at=command.at,
                )
            ]
        case _:
            assert_never(command)


def evolve_dispute(state: DisputeState, fact: DisputeFact) -> DisputeState:  # noqa: ARG001 - a dispute is opened and closed once
    """Return whether a dispute is open after a fact."""
    return DisputeState(known=True, open=isinstance(fact, RevenueDisputed))


def _recognize(command: Recognize, state: RevenueState) -> list[RevenueFact]:
    hold = command.hold
    if state.hold_id == hold.hold_id:
        return []
    if state.hold_id is not None:
        raise ContradictionError(
            "a deployment is settled once",
            deployment_id=hold.deployment_id,
            settled_hold_id=state.hold_id,
            hold_id=hold.hold_id,
        )
    spent = sum(s.credits for s in hold.slices)
    if spent != hold.cost:
        raise ContradictionError(
            "a hold's slices are its cost", hold_id=hold.hold_id, cost=hold.cost, spent=spent
        )
    line = _line(
        command, number=SETTLEMENT_LINE, earning="settled", slices=hold.slices, cost=hold.cost
    )
    return [line]


def _line(
    command: Recognize | Repay,
    *,
    number: int,
    earning: Earning,
    slices: tuple[SpentSlice, ...],
    cost: int,
) -> RevenueRecognized:
    revenues = tuple(_revenue_minor(s) for s in slices)
    return RevenueRecognized(
        line=number,
        earning=earning,
        hold=command.hold,
        entry=command.entry,
        credits=cost,
        slices=slices,
        slice_revenue_minor=revenues,
        true_revenue_minor=sum(revenues),
        recognized_at=command.at,
    )


def _applied(command: Reverse | Repay, state: RevenueState) -> bool:
    """Whether a command of the deployment's one wallet was applied before."""
    if state.hold_id != command.hold.hold_id:
        raise ContradictionError(
            "what changes was settled",
            deployment_id=command.hold.deployment_id,
            settled_hold_id=state.hold_id,
            hold_id=command.hold.hold_id,
        )
    return command.entry.sequence <= state.wallet_sequence


def _reverse(command: Reverse, state: RevenueState) -> Iterator[RevenueReversed]:
    """Yield one line for each line that slices are taken from, the oldest first.

    There is at least one: what touches no purchased credit reverses nothing of the settlement's
    line, and says so.
    """
    by_line = _by_line(command, state)
    earning = state.earning
    returned = command.reversing == "settlement_refunded"
    debt_gone = command.credits - sum(s.credits for s in command.slices) if returned else 0
    for number, (reverses, slices) in enumerate(sorted(by_line.items()), start=state.lines + 1):
        earning = tuple(_without(earning, _ranges(reverses, slices)))
        revenues = tuple(-_revenue_minor(s) for s in slices)
        credits_back = sum(s.credits for s in slices) if returned else 0
        if reverses == SETTLEMENT_LINE:
            credits_back += debt_gone
        yield RevenueReversed(
            line=number,
            reverses=reverses,
            reversing=command.reversing,
            cause=command.cause,
            hold=command.hold,
            entry=command.entry,
            credits=-credits_back,
            slices=tuple(slices),
            slice_revenue_minor=revenues,
            true_revenue_minor=sum(revenues),
            purchased_left=sum(r.end - r.start for r in earning if r.line == reverses),
            recognized_at=command.at,
        )


def _by_line(command: Reverse, state: RevenueState) -> dict[int, list[SpentSlice]]:
    """Return the slices cut by the lines that earn from them now."""
    by_line: dict[int, list[SpentSlice]] = {}
    debt_gone = command.credits > sum(s.credits for s in command.slices)
    if debt_gone or not any(s.purchased for s in command.slices):
        by_line[SETTLEMENT_LINE] = []
    for spent in command.slices:
        if not spent.purchased:
            by_line.setdefault(SETTLEMENT_LINE, []).append(spent)
            continue
        found = sorted(
            (max(r.start, spent.start), min(r.end, spent.end), r.line)
            for r in state.earning
            if r.lot_id == spent.lot_id and r.start < spent.end and spent.start < r.end
        )
        if sum(end - start for start, end, _ in found) != spent.credits:
            raise ContradictionError(
                "what is reversed has earned",
                hold_id=command.hold.hold_id,
                lot_id=spent.lot_id,
                start=spent.start,
                end=spent.end,
            )
        for start, end, line in found:
            cut = msgspec.structs.replace(spent, start=start, end=end)
            by_line.setdefault(line, []).append(cut)
    return by_line


def _ranges(line: int, slices: Iterable[SpentSlice]) -> tuple[EarningRange, ...]:
    return tuple(
        EarningRange(line=line, lot_id=s.lot_id, start=s.start, end=s.end)
        for s in slices
        if s.purchased
    )


def _without(
    earning: Iterable[EarningRange], taken: Iterable[EarningRange]
) -> Iterator[EarningRange]:
    """Yield what is left of ranges when others, each within one of them, are taken away."""
    left = list(earning)
    for gone in taken:
        rest: list[EarningRange] = []
        for kept in left:
            same = (kept.line, kept.lot_id) == (gone.line, gone.lot_id)
            if not same or kept.end <= gone.start or gone.end <= kept.start:
                rest.append(kept)
                continue
            if kept.start < gone.start:
                rest.append(msgspec.structs.replace(kept, end=gone.start))
            if gone.end < kept.end:
                rest.append(msgspec.structs.replace(kept, start=gone.end))
        left = rest
    yield from left


def _revenue_minor(spent: SpentSlice) -> int:
    return money_rules.slice_revenue(
        lot_kind=spent.lot_kind,
        price_minor=spent.lot_price_minor,
        lot_credits=spent.lot_credits,
        start=spent.start,
        end=spent.end,
    )
