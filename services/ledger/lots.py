"""What brings credits into a wallet and takes them out, but for holds: lots and their end."""

from datetime import datetime

from contracts.types import WHOLE_NUMBER_MAX
from runtime.refusal import Refusal
from services.ledger import balances
from services.ledger.burn_order import ALGORITHM_VERSION, slice_of, take
from services.ledger.commands import AdjustCredits, AwardCredits, RecordPurchase
from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    Fact,
    Lot,
)
from services.ledger.evolution import evolve
from services.ledger.wallet import Wallet


def award(command: AwardCredits, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return the lot that is given for free."""
    if command.lot_id in wallet.lots:
        return []
    _refuse_self(command.user_id, command.awarded_by)
    _refuse_odd_credits(command.credits)
    if command.expires_at is not None and command.expires_at <= at:
        raise Refusal("EXPIRES_IN_THE_PAST", "awarded credits must expire later than now")
    facts, wallet = expire_due(wallet, at)
    balance = balances.granted(wallet.balance, command.kind, command.credits)
    _refuse_large_balance(balance.awarded + balance.purchased)
    lot = Lot(
        lot_id=command.lot_id,
        position=wallet.lots_granted,
        kind=command.kind,
        credits=command.credits,
        price_minor=0,
        currency=command.currency,
        source=command.source,
        granted_at=at,
        expires_at=command.expires_at,
    )
    awarded = CreditsAwarded(
        lot=lot, reason=command.reason, awarded_by=command.awarded_by, balance=balance
    )
    return [*facts, awarded]


def record_purchase(command: RecordPurchase, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return the lot that was paid for."""
    if command.lot_id in wallet.lots:
        return []
    _refuse_self(command.user_id, command.recorded_by)
    _refuse_odd_credits(command.credits)
    if not 0 <= command.price_minor <= WHOLE_NUMBER_MAX:
        raise Refusal("INVALID_PRICE", f"a price is 0 to {WHOLE_NUMBER_MAX} minor units")
    for currency in (command.platform_currency, wallet.currency):
        if currency not in (None, command.currency):
            raise Refusal(
                "CURRENCY_MISMATCH",
                f"credits are sold in {currency}, not in {command.currency}",
                currency=currency,
            )
    facts, wallet = expire_due(wallet, at)
    balance = balances.granted(wallet.balance, "purchase", command.credits)
    _refuse_large_balance(balance.awarded + balance.purchased)
    lot = Lot(
        lot_id=command.lot_id,
        position=wallet.lots_granted,
        kind="purchase",
        credits=command.credits,
        price_minor=command.price_minor,
        currency=command.currency,
        source=command.source,
        granted_at=at,
        expires_at=None,
    )
    return [*facts, CreditsPurchased(lot=lot, recorded_by=command.recorded_by, balance=balance)]


def adjust(command: AdjustCredits, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return the slices that are taken away, of what is available, in burn order."""
    _refuse_self(command.user_id, command.adjusted_by)
    _refuse_odd_credits(command.credits)
    facts, wallet = expire_due(wallet, at)
    available = wallet.balance.available_awarded + wallet.balance.available_purchased
    if available < command.credits:
        raise Refusal(
            "INSUFFICIENT_TOTAL_CREDITS",
            f"{command.credits} credits are more than the {available} available",
            required=command.credits,
            available=available,
        )
    slices = take(wallet.lots.values(), command.credits, purchased_only=False)
    adjusted = CreditsAdjusted(
        slices=slices,
        algorithm_version=ALGORITHM_VERSION,
        reason=command.reason,
        adjusted_by=command.adjusted_by,
        balance=balances.ended(wallet.balance, slices),
    )
    return [*facts, adjusted]


def expire_due(wallet: Wallet, at: datetime) -> tuple[list[Fact], Wallet]:
    """Return a fact for each lot that is due and has free credits, and the wallet after them."""
    facts: list[Fact] = []
    for lot in wallet.lots.values():
        if lot.expires_at is not None and lot.expires_at <= at and lot.free:
            slices = tuple(slice_of(lot, free) for free in lot.free)
            expired = CreditsExpired(
                lot_id=lot.lot_id, slices=slices, balance=balances.ended(wallet.balance, slices)
            )
            facts.append(expired)
            wallet = evolve(wallet, expired)
    return facts, wallet


def _refuse_self(user_id: str, actor: str) -> None:
    if user_id == actor:
        raise Refusal("SELF_AWARD", "nobody changes their own credits")


def _refuse_odd_credits(number: int) -> None:
    if not 0 < number <= WHOLE_NUMBER_MAX:
        raise Refusal("INVALID_CREDITS", f"credits are a whole number, 1 to {WHOLE_NUMBER_MAX}")


def _refuse_large_balance(total: int) -> None:
    if total > WHOLE_NUMBER_MAX:
        raise Refusal(
            "BALANCE_TOO_LARGE", f"a wallet holds at most {WHOLE_NUMBER_MAX} credits", total=total
        )
