"""What refunds, disputes and debts make of a wallet: the rare part of its evolution.

Like the rest of it, this decides nothing, and raises where a fact contradicts the wallet.
"""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from services.ledger import settled_parts
from services.ledger.events import (
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    LotTerms,
    PurchaseRefunded,
    Reversal,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.open_lots import (
    ContradictionError,
    in_position,
    keep,
    lot_in,
    reopened,
    terms_of,
)
from services.ledger.slices import with_back, without
from services.ledger.wallet import Debt, Dispute, Doomed, LotCase, Part, Wallet

Cases = dict[str, LotCase]
Amended = dict[str, tuple[Part, ...]]


def unwind(wallet: Wallet, fact: Reversal) -> Wallet:
    """Return the wallet after the fact."""
    match fact:
        case SettlementRefunded():
            return _give_back(wallet, fact)
        case PurchaseRefunded():
            return _void(wallet, fact)
        case SettlementReversed():
            return _reverse(wallet, fact)
        case DebtRepaid():
            return _repay(wallet, fact)
        case DisputeOpened():
            opened = Dispute(fact.dispute_id, fact.amount_minor)
            return _dispute(wallet, fact, opened)
        case DisputeClosed():
            return _dispute(wallet, fact, _closed(wallet, fact))
        case _:
            assert_never(fact)


def _give_back(wallet: Wallet, fact: SettlementRefunded) -> Wallet:
    lots = dict(wallet.lots)
    terms = {lot.lot_id: lot for lot in fact.reopened}
    for back in fact.slices:
        if back.lot_id in terms and back.lot_id not in lots:
            frozen = case_of(wallet, back.lot_id).frozen
            lots[back.lot_id] = reopened(back, terms[back.lot_id], frozen=frozen)
        lot = lot_in(lots, back.lot_id)
        keep(lots, lot, with_back(lot.free, back.start, back.end), lot.held)
    amended, hold_id = dict(wallet.amended), fact.hold.hold_id
    if hold_id in amended:
        left, _ = settled_parts.before_end(amended.pop(hold_id), fact.credits)
        if left:
            amended[hold_id] = left
    debts = _without_debt(wallet.debts, hold_id, fact.debt_cancelled)
    return replace(
        wallet,
        balance=fact.balance,
        lots=in_position(lots) if terms else lots,
        amended=amended,
        debts=debts,
    )


def _void(wallet: Wallet, fact: PurchaseRefunded) -> Wallet:
    lots, cases = dict(wallet.lots), dict(wallet.cases)
    case = case_of(wallet, fact.lot_id)
    if fact.refund_id in case.refunds:
        raise ContradictionError(f"refund {fact.refund_id} was made before")
    cases[fact.lot_id] = replace(
        case, refunded_minor=fact.refunded_total_minor, refunds=(*case.refunds, fact.refund_id)
    )
    for gone in fact.slices:
        lot = lot_in(lots, gone.lot_id)
        keep(lots, lot, without(lot.free, gone.start, gone.end), lot.held)
    for held in fact.held:
        case = cases.get(held.lot_id, LotCase())
        doomed = Doomed(held.start, held.end, fact.refund_id)
        cases[held.lot_id] = replace(case, doomed=(*case.doomed, doomed))
    _add_voided(cases, (*fact.slices, *fact.held, *fact.ended))
    return replace(wallet, balance=fact.balance, lots=lots, cases=cases)


def _reverse(wallet: Wallet, fact: SettlementReversed) -> Wallet:
    """Make slices of a settlement debt: those that were doomed while held are void already."""
    hold = fact.hold
    cases = dict(wallet.cases)
    doomed = [s for s in fact.slices if _is_doomed(wallet, s)]
    _add_voided(cases, [s for s in fact.slices if s not in doomed])
    _end_doom(cases, doomed)
    parts = wallet.amended.get(hold.hold_id)
    if parts is None:
        parts = settled_parts.parts_of(hold.slices, fact.refunded_total)
    amended = wallet.amended | {hold.hold_id: settled_parts.with_unpaid(parts, fact.slices)}
    debts = (*wallet.debts, Debt(hold, fact.cause, fact.slices))
    return replace(wallet, balance=fact.balance, cases=cases, amended=amended, debts=debts)


def _repay(wallet: Wallet, fact: DebtRepaid) -> Wallet:
    lots, hold_id = dict(wallet.lots), fact.hold.hold_id
    terms: dict[str, LotTerms] = {}
    for spent in fact.slices:
        lot = lot_in(lots, spent.lot_id)
        terms[lot.lot_id] = terms_of(lot)
        keep(lots, lot, without(lot.free, spent.start, spent.end), lot.held)
    parts = wallet.amended.get(hold_id, ())
    parts = settled_parts.with_repaid(parts, fact.reversed, fact.slices, terms)
    return replace(
        wallet,
        balance=fact.balance,
        lots=lots,
        amended=wallet.amended | {hold_id: parts},
        debts=_without_debt(wallet.debts, hold_id, fact.reversed),
    )


def _closed(wallet: Wallet, fact: DisputeClosed) -> Dispute:
    for dispute in case_of(wallet, fact.lot_id).disputes:
        if dispute.dispute_id == fact.dispute_id and dispute.outcome is None:
            return Dispute(dispute.dispute_id, dispute.amount_minor, fact.outcome)
    raise ContradictionError(f"dispute {fact.dispute_id} is not open")


def _dispute(wallet: Wallet, fact: DisputeOpened | DisputeClosed, dispute: Dispute) -> Wallet:
    """Enter a dispute as it is now with the lot and its bonus, which it freezes while open."""
    lots, cases = dict(wallet.lots), dict(wallet.cases)
    for lot_id in filter(None, (fact.lot_id, fact.bonus_lot_id)):
        case = cases.get(lot_id, LotCase())
        others = tuple(d for d in case.disputes if d.dispute_id != dispute.dispute_id)
        cases[lot_id] = replace(case, disputes=(*others, dispute))
        if lot_id in lots:
            lots[lot_id] = replace(lots[lot_id], frozen=cases[lot_id].frozen)
    return replace(wallet, balance=fact.balance, lots=lots, cases=cases)


def case_of(wallet: Wallet, lot_id: str) -> LotCase:
    """Return what refunds and disputes have made of a lot: nothing, of most."""
    return wallet.cases.get(lot_id, LotCase())


def without_doomed(wallet: Wallet, slices: Iterable[Slice]) -> Wallet:
    """Return the wallet once doomed slices are held no more."""
    cases = dict(wallet.cases)
    _end_doom(cases, slices)
    return replace(wallet, cases=cases)


def _is_doomed(wallet: Wallet, part: Slice) -> bool:
    return any(
        doomed.start <= part.start and part.end <= doomed.end
        for doomed in case_of(wallet, part.lot_id).doomed
    )


def _end_doom(cases: Cases, slices: Iterable[Slice]) -> None:
    for gone in slices:
        case = cases.get(gone.lot_id, LotCase())
        left = tuple(d for d in case.doomed if not (gone.start <= d.start and d.end <= gone.end))
        if len(left) == len(case.doomed):
            raise ContradictionError(f"{gone.lot_id}[{gone.start}:{gone.end}] is not doomed")
        cases[gone.lot_id] = replace(case, doomed=left)


def _add_voided(cases: Cases, slices: Iterable[Slice]) -> None:
    for gone in slices:
        case = cases.get(gone.lot_id, LotCase())
        voided = with_back(case.voided, gone.start, gone.end)
        cases[gone.lot_id] = replace(case, voided=voided)


def _without_debt(
    debts: tuple[Debt, ...], hold_id: str, slices: Iterable[Slice]
) -> tuple[Debt, ...]:
    """Return the debts without slices of one settlement, each of which lies in one of them."""
    for gone in slices:
        debts = _without_one(debts, hold_id, gone)
    return debts


def _without_one(debts: tuple[Debt, ...], hold_id: str, gone: Slice) -> tuple[Debt, ...]:
    for index, debt in enumerate(debts):
        if debt.hold.hold_id == hold_id and any(_covers(owed, gone) for owed in debt.slices):
            left = settled_parts.without_slices(debt.slices, (gone,))
            smaller = (replace(debt, slices=left),) if left else ()
            return (*debts[:index], *smaller, *debts[index + 1 :])
    raise ContradictionError(f"{gone.lot_id}[{gone.start}:{gone.end}] is not owed")


def _covers(outer: Slice, inner: Slice) -> bool:
    return outer.lot_id == inner.lot_id and outer.start <= inner.start and inner.end <= outer.end
