"""A purchase is taken back: refunded, wholly or in part, or disputed at the payer's bank.

Of m of a price of p minor units, credits x m / p are void, rounded up, over all refunds of the
purchase together; and of its bonus likewise. Free ranges go first, from the highest down. Then
the spent ones, from the highest down: their settlements become unpaid, and the wallet owes the
credits. Then the held ones, which are debt once they are settled, and end when they are released.
What had ended before, because it expired or was taken away, goes last, and only counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from contracts.types import WHOLE_NUMBER_MAX
from runtime.refusal import Refusal
from services.ledger import balances
from services.ledger.burn_order import slice_of
from services.ledger.commands import CloseDispute, OpenDispute, RefundPurchase
from services.ledger.events import (
    Balance,
    DisputeClosed,
    DisputeOpened,
    Fact,
    Lot,
    PurchaseRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.evolution import evolve
from services.ledger.lots import expire_due, refuse_large_balance, refuse_self
from services.ledger.open_lots import ContradictionError
from services.ledger.slices import highest, size
from services.ledger.spending import Spending
from services.ledger.unwinding import case_of
from services.ledger.wallet import Dispute, Range, Wallet


class StaleSpendingError(Refusal):
    """The wallet has moved since the spending was read: it must be read again."""

    def __init__(self, lot_id: str) -> None:
        super().__init__("STALE_SPENDING", "the wallet has moved meanwhile", lot_id=lot_id)


def refund_purchase(command: RefundPurchase, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return what a refund of so much money makes void, and what it reverses."""
    case = case_of(wallet, command.lot_id)
    if command.refund_id in case.refunds:
        return []
    refuse_self(command.user_id, command.refunded_by)
    spending = _purchase(command.spending, command.lot_id)
    _refuse_currency(spending.lot, command.currency)
    _refuse_odd_amount(command.amount_minor)
    left = spending.lot.price_minor - case.refunded_minor
    if left == 0:
        raise Refusal("NOTHING_TO_REFUND", "nothing of the purchase is left to refund")
    if command.amount_minor > left:
        raise Refusal(
            "REFUND_EXCEEDS_PURCHASE",
            f"{command.amount_minor} are more than the {left} that are left of the price",
            required=command.amount_minor,
            available=left,
        )
    return _refunded(command, spending, command.amount_minor, wallet, at)


def open_dispute(command: OpenDispute, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return that what is free of a purchase is frozen."""
    case = case_of(wallet, command.lot_id)
    if _dispute(case.disputes, command.dispute_id) is not None:
        return []
    spending = _purchase(command.spending, command.lot_id)
    _refuse_currency(spending.lot, command.currency)
    _refuse_odd_amount(command.amount_minor)
    facts, wallet = expire_due(wallet, at)
    slices = () if case.frozen else _free(spending.lots, wallet)
    opened = DisputeOpened(
        dispute_id=command.dispute_id,
        lot_id=command.lot_id,
        bonus_lot_id=None if spending.bonus is None else spending.bonus.lot_id,
        amount_minor=command.amount_minor,
        currency=command.currency,
        slices=slices,
        payment_id=spending.payment_id,
        reason=command.reason,
        balance=balances.frozen(wallet.balance, slices),
    )
    return [*facts, opened]


def close_dispute(command: CloseDispute, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return that a dispute is over: where it was lost, what is left of its amount is refunded."""
    case = case_of(wallet, command.lot_id)
    dispute = _dispute(case.disputes, command.dispute_id)
    if dispute is None:
        raise Refusal("UNKNOWN_DISPUTE", "no such dispute was opened")
    if dispute.outcome == command.outcome:
        return []
    if dispute.outcome is not None:
        raise Refusal("DISPUTE_ALREADY_CLOSED", f"the dispute was {dispute.outcome}")
    spending = _purchase(command.spending, command.lot_id)
    amount = min(dispute.amount_minor, spending.lot.price_minor - case.refunded_minor)
    if command.outcome == "LOST" and amount > 0:
        facts = _refunded(command, spending, amount, wallet, at)
    else:
        facts, _ = expire_due(wallet, at)
    for fact in facts:
        wallet = evolve(wallet, fact)
    stays = any(d.outcome is None for d in case.disputes if d is not dispute)
    slices = () if stays else _free(spending.lots, wallet)
    closed = DisputeClosed(
        dispute_id=command.dispute_id,
        lot_id=command.lot_id,
        bonus_lot_id=None if spending.bonus is None else spending.bonus.lot_id,
        outcome=command.outcome,
        slices=slices,
        balance=balances.frozen(wallet.balance, slices, times=-1),
    )
    return [*facts, closed]


@dataclass
class _Voiding:
    """What is made void: slices by what they were, the spent ones by their hold."""

    free: list[Slice] = field(default_factory=list)
    spent: dict[str, list[Slice]] = field(default_factory=dict)
    held: list[Slice] = field(default_factory=list)
    ended: list[Slice] = field(default_factory=list)


def _refunded(
    command: RefundPurchase | CloseDispute,
    spending: Spending,
    amount_minor: int,
    wallet: Wallet,
    at: datetime,
) -> list[Fact]:
    """Return the refund of so much, and a reversal for each settlement that it touches."""
    for lot in spending.lots:
        _refuse_stale(lot, spending, wallet)
    facts, wallet = expire_due(wallet, at)
    refund_id = command.refund_id if isinstance(command, RefundPurchase) else command.dispute_id
    total_minor = case_of(wallet, command.lot_id).refunded_minor + amount_minor
    voiding = _Voiding()
    for lot in spending.lots:
        number = _void_in_all(lot, total_minor, spending.lot.price_minor)
        number -= size(case_of(wallet, lot.lot_id).voided)
        _void(lot, number, spending, wallet, voiding)
    balance = balances.ended(wallet.balance, voiding.free)
    if case_of(wallet, command.lot_id).frozen:
        balance = balances.frozen(balance, voiding.free, times=-1)
    refund = PurchaseRefunded(
        refund_id=refund_id,
        lot_id=command.lot_id,
        amount_minor=amount_minor,
        refunded_total_minor=total_minor,
        currency=spending.lot.currency,
        slices=tuple(voiding.free),
        held=tuple(voiding.held),
        ended=tuple(voiding.ended),
        payment_id=spending.payment_id,
        reason=command.reason,
        refunded_by=(
            command.refunded_by if isinstance(command, RefundPurchase) else command.closed_by
        ),
        balance=balance,
    )
    return [*facts, refund, *_reversed(command, refund_id, voiding, balance)]


def _void(lot: Lot, number: int, spending: Spending, wallet: Wallet, voiding: _Voiding) -> None:
    """Add so many credits of one lot to what is made void."""
    is_open = wallet.lots.get(lot.lot_id)
    free = highest(is_open.free, number) if is_open else ()
    voiding.free += [_slice(lot, each) for each in free]
    number -= size(free)
    for spent in sorted(spending.spent, key=lambda s: s.start, reverse=True):
        if spent.lot_id == lot.lot_id and number > 0:
            start = max(spent.start, spent.end - number)
            part = _slice(lot, (start, spent.end))
            voiding.spent.setdefault(spent.hold_id, []).append(part)
            number -= part.credits
    held = highest(_undoomed(lot, wallet), number)
    voiding.held += [_slice(lot, each) for each in held]
    ended = highest(_ended(lot, spending), number - size(held))
    voiding.ended += [_slice(lot, each) for each in ended]


def _reversed(
    command: RefundPurchase | CloseDispute, cause: str, voiding: _Voiding, balance: Balance
) -> list[Fact]:
    """Return the reversals, of what was spent first of the purchase first."""
    facts: list[Fact] = []
    for hold_id, slices in reversed(voiding.spent.items()):
        known = command.settled.get(hold_id)
        if known is None or known.hold is None:
            raise ContradictionError(f"hold {hold_id} spent credits and is not known")
        balance = balances.indebted(balance, sum(part.credits for part in slices))
        facts.append(
            SettlementReversed(
                hold=known.hold,
                slices=tuple(reversed(slices)),
                cause=cause,
                refunded_total=known.refunded,
                balance=balance,
            )
        )
    if balance.debt > WHOLE_NUMBER_MAX or balance.purchased < -WHOLE_NUMBER_MAX:
        refuse_large_balance(balance.debt)
    return facts


def _void_in_all(lot: Lot, total_minor: int, price_minor: int) -> int:
    """Return how many credits of a lot are void once so much was refunded, rounded up."""
    return -(-lot.credits * total_minor // price_minor)


def _refuse_stale(lot: Lot, spending: Spending, wallet: Wallet) -> None:
    """Refuse a spending that, with what the wallet knows, does not cover the lot exactly."""
    is_open = wallet.lots.get(lot.lot_id)
    ranges = [
        *((s.start, s.end) for s in spending.spent if s.lot_id == lot.lot_id),
        *((e.start, e.end) for e in spending.ended if e.lot_id == lot.lot_id),
        *(is_open.free if is_open else ()),
        *_undoomed(lot, wallet),
        *case_of(wallet, lot.lot_id).voided,
    ]
    reached = 0
    for start, end in sorted(ranges):
        if start != reached:
            raise StaleSpendingError(lot.lot_id)
        reached = end
    if reached != lot.credits:
        raise StaleSpendingError(lot.lot_id)


def _undoomed(lot: Lot, wallet: Wallet) -> tuple[Range, ...]:
    """Return the ranges of a lot that are held and not void yet, lowest first."""
    doomed = case_of(wallet, lot.lot_id).doomed
    ranges: list[Range] = []
    for slices in wallet.holds.values():
        for held in slices:
            if held.lot_id == lot.lot_id:
                start = held.start
                for each in sorted(doomed, key=lambda d: d.start):
                    if held.start <= each.start and each.end <= held.end:
                        ranges.append((start, each.start))
                        start = each.end
                ranges.append((start, held.end))
    return tuple(sorted(each for each in ranges if each[0] < each[1]))


def _ended(lot: Lot, spending: Spending) -> tuple[Range, ...]:
    """Return what has expired or was taken away of a lot, lowest first."""
    return tuple(sorted((e.start, e.end) for e in spending.ended if e.lot_id == lot.lot_id))


def _free(lots: Iterable[Lot], wallet: Wallet) -> tuple[Slice, ...]:
    is_open = [wallet.lots[lot.lot_id] for lot in lots if lot.lot_id in wallet.lots]
    return tuple(slice_of(lot, free) for lot in is_open for free in lot.free)


def _slice(lot: Lot, credits_range: Range) -> Slice:
    return Slice(
        lot_id=lot.lot_id,
        lot_kind=lot.kind,
        lot_credits=lot.credits,
        lot_price_minor=lot.price_minor,
        start=credits_range[0],
        end=credits_range[1],
    )


def _dispute(disputes: Iterable[Dispute], dispute_id: str) -> Dispute | None:
    return next((dispute for dispute in disputes if dispute.dispute_id == dispute_id), None)


def _purchase(spending: Spending | None, lot_id: str) -> Spending:
    if spending is None or spending.lot.lot_id != lot_id:
        raise Refusal("UNKNOWN_LOT", "the wallet has no such purchase", lot_id=lot_id)
    return spending


def _refuse_currency(lot: Lot, currency: str) -> None:
    if lot.currency != currency:
        raise Refusal(
            "CURRENCY_MISMATCH",
            f"the purchase was paid in {lot.currency}, not in {currency}",
            currency=lot.currency,
        )


def _refuse_odd_amount(amount_minor: int) -> None:
    if not 0 < amount_minor <= WHOLE_NUMBER_MAX:
        raise Refusal("INVALID_AMOUNT", f"an amount is 1 to {WHOLE_NUMBER_MAX} minor units")
