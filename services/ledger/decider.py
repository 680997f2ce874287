"""The rules of a wallet. `decide` returns the facts a command brings, or raises a `Refusal`.

Every command that brings anything first ends what is due, by a fact of its own for each lot. A
command that was carried out before brings nothing. Of several rules that forbid a command, the
first of these wins:

- award: `SELF_AWARD`, `INVALID_CREDITS`, `EXPIRES_IN_THE_PAST`, `BALANCE_TOO_LARGE`
- purchase: `SELF_AWARD`, `INVALID_CREDITS`, `INVALID_PRICE`, `CURRENCY_MISMATCH`,
  `BALANCE_TOO_LARGE`
- refund of a settlement: `SELF_AWARD`, `INVALID_CREDITS`, `NOT_SETTLED`, `NOTHING_TO_REFUND`,
  `REFUND_EXCEEDS_SETTLEMENT`, `BALANCE_TOO_LARGE`
- refund of a purchase: `SELF_AWARD`, `UNKNOWN_LOT`, `CURRENCY_MISMATCH`, `INVALID_AMOUNT`,
  `NOTHING_TO_REFUND`, `REFUND_EXCEEDS_PURCHASE`, `STALE_SPENDING`, `BALANCE_TOO_LARGE`
- opening of a dispute: `UNKNOWN_LOT`, `CURRENCY_MISMATCH`, `INVALID_AMOUNT`
- end of a dispute: `UNKNOWN_DISPUTE`, `DISPUTE_ALREADY_CLOSED`, `UNKNOWN_LOT`, `STALE_SPENDING`,
  `BALANCE_TOO_LARGE`
- adjustment: `SELF_AWARD`, `INVALID_CREDITS`, `INSUFFICIENT_TOTAL_CREDITS`
- hold: `DEPLOYMENT_ALREADY_SETTLED`, `DEPLOYMENT_ALREADY_HELD`; then, each as a fact and not as a
  refusal, because the deployer waits for it: `HOLD_REQUEST_EXPIRED`,
  `INSUFFICIENT_TOTAL_CREDITS`, `INSUFFICIENT_PURCHASED_CREDITS`
- settlement: `UNKNOWN_HOLD`, `HOLD_WAS_REFUSED`, `HOLD_ALREADY_RELEASED`
- release: `UNKNOWN_HOLD`, `HOLD_ALREADY_SETTLED`; of a refused hold it brings nothing
"""

from datetime import datetime
from typing import assert_never

from services.ledger import holds, lots, reversals, settlement_refunds
from services.ledger.commands import (
    AdjustCredits,
    AwardCredits,
    CloseDispute,
    ExpireDueLots,
    OpenDispute,
    PlaceHold,
    RecordPurchase,
    RefundPurchase,
    RefundSettlement,
    ReleaseHold,
    SettleHold,
    WalletCommand,
)
from services.ledger.events import Fact
from services.ledger.evolution import evolve
from services.ledger.wallet import Wallet

__all__ = ["decide", "evolve"]


def decide(  # noqa: PLR0911 - one return for each command
    command: WalletCommand, wallet: Wallet, at: datetime
) -> list[Fact]:
    """Return the facts that the command brings to the wallet at an instant."""
    match command:
        case PlaceHold():
            return holds.place(command, wallet, at)
        case SettleHold():
            return holds.settle(command, wallet, at)
        case ReleaseHold():
            return holds.release(command, wallet, at)
        case AwardCredits():
            return lots.award(command, wallet, at)
        case RecordPurchase():
            return lots.record_purchase(command, wallet, at)
        case AdjustCredits():
            return lots.adjust(command, wallet, at)
        case ExpireDueLots():
            return lots.expire_due(wallet, at)[0]
        case RefundSettlement():
            return settlement_refunds.refund_settlement(command, wallet, at)
        case RefundPurchase():
            return reversals.refund_purchase(command, wallet, at)
        case OpenDispute():
            return reversals.open_dispute(command, wallet, at)
        case CloseDispute():
            return reversals.close_dispute(command, wallet, at)
        case _:
            assert_never(command)
