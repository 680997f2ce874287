"""A settled deployment is given back to its owner, wholly or in part, from its end."""

from datetime import datetime

from runtime.refusal import Refusal
from services.ledger import balances
from services.ledger.commands import RefundSettlement
from services.ledger.events import Fact, Hold, LotTerms, SettlementRefunded
from services.ledger.evolution import evolve
from services.ledger.holds import frozen_of
from services.ledger.knowledge import KnownHold
from services.ledger.lots import (
    expire_due,
    refuse_large_balance,
    refuse_odd_credits,
    refuse_self,
)
from services.ledger.settled_parts import Parts, before_end, parts_of
from services.ledger.wallet import Wallet


def refund_settlement(command: RefundSettlement, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return what comes back to the lots, the last spent first: so purchased credits do first.

    Parts that had been reversed and are unpaid only lose their debt. What comes back after its
    lot's expiry ends right after.
    """
    known = command.deployment.with_fate("SETTLED")
    if known is not None and any(r.refund_id == command.refund_id for r in known.refunds):
        return []
    refuse_self(command.user_id, command.refunded_by)
    if command.credits is not None:
        refuse_odd_credits(command.credits)
    known, hold = _settled(known, command)
    refunded = known.refunded
    left = hold.cost - refunded
    if left == 0:
        raise Refusal("NOTHING_TO_REFUND", "nothing of the settlement is left to refund")
    number = left if command.credits is None else command.credits
    if number > left:
        raise Refusal(
            "REFUND_EXCEEDS_SETTLEMENT",
            f"{number} credits are more than the {left} that are left of the settlement",
            required=number,
            available=left,
        )
    facts, wallet = expire_due(wallet, at)
    parts = wallet.amended.get(hold.hold_id) or parts_of(hold.slices, refunded)
    _, taken = before_end(parts, number)
    back = tuple(part.slice for part in taken if not part.unpaid)
    cancelled = tuple(part.slice for part in taken if part.unpaid)
    balance = balances.returned(wallet.balance, back)
    balance = balances.frozen(balance, frozen_of(back, wallet))
    balance = balances.indebted(balance, -sum(part.credits for part in cancelled))
    refuse_large_balance(balance.awarded + balance.purchased)
    refund = SettlementRefunded(
        refund_id=command.refund_id,
        hold=hold,
        slices=back,
        debt_cancelled=cancelled,
        credits=number,
        refunded_total=refunded + number,
        reopened=_reopened(known, taken, wallet),
        reason=command.reason,
        refunded_by=command.refunded_by,
        balance=balance,
    )
    came_back_late, _ = expire_due(evolve(wallet, refund), at)
    return [*facts, refund, *came_back_late]


def _settled(known: KnownHold | None, command: RefundSettlement) -> tuple[KnownHold, Hold]:
    """Return what is known of the hold that was settled, and its record."""
    if known is None or known.hold is None or known.hold.user_id != command.user_id:
        raise Refusal("NOT_SETTLED", "the deployment has no settlement that could be refunded")
    return known, known.hold


def _reopened(known: KnownHold, taken: Parts, wallet: Wallet) -> tuple[LotTerms, ...]:
    """Return the terms of lots that something comes back to and that had nothing left."""
    terms = {lot.lot_id: lot for lot in known.lots}
    terms |= {part.lot.lot_id: part.lot for part in taken if part.lot is not None}
    back = {part.slice.lot_id: None for part in taken if not part.unpaid}
    return tuple(terms[lot_id] for lot_id in back if lot_id not in wallet.lots)
