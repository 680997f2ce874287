"""What brings credits into a wallet and takes them out, but for holds: lots and their end."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from contracts.types import WHOLE_NUMBER_MAX
from runtime.refusal import Refusal
from services.ledger import balances
from services.ledger.burn_order import ALGORITHM_VERSION, slice_of, take
from services.ledger.commands import AdjustCredits, AwardCredits, RecordPurchase
from services.ledger.events import (
    Balance,
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    Fact,
    Lot,
    Slice,
)
from services.ledger.evolution import evolve
from services.ledger.settled_parts import first_credits
from services.ledger.spending import bonus_lot_id
from services.ledger.wallet import Debt, Wallet

PLATFORM: Final = "tollgate"
"""Who awards what the settings promise and what a purchase brings, and who expires what is due."""


def award(command: AwardCredits, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return the lot that is given for free."""
    if command.lot_id in wallet.lots:
        return []
    refuse_self(command.user_id, command.awarded_by)
    refuse_odd_credits(command.credits)
    if command.expires_at is not None and command.expires_at <= at:
        raise Refusal("EXPIRES_IN_THE_PAST", "awarded credits must expire later than now")
    facts, wallet = expire_due(wallet, at)
    balance = balances.granted(wallet.balance, command.kind, command.credits)
    refuse_large_balance(balance.awarded + balance.purchased)
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
    """Return the lot that was paid for, its bonus, and the debts that it repays."""
    if command.booked or command.lot_id in wallet.lots:
        return []
    refuse_self(command.user_id, command.recorded_by)
    refuse_odd_credits(command.credits)
    if command.bonus_credits:
        refuse_odd_credits(command.bonus_credits)
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
    refuse_large_balance(balance.awarded + balance.purchased + command.bonus_credits)
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
    purchased = CreditsPurchased(
        lot=lot,
        recorded_by=command.recorded_by,
        bonus_credits=command.bonus_credits,
        payment_id=command.payment_id,
        checkout_id=command.checkout_id,
        balance=balance,
    )
    bonus = [_bonus(lot, command.bonus_credits, balance)] if command.bonus_credits else []
    balance = bonus[-1].balance if bonus else balance
    return [*facts, purchased, *bonus, *_repayments(wallet.debts, lot, balance)]


def _bonus(purchase: Lot, credits_given: int, balance: Balance) -> CreditsAwarded:
    """Return the lot that comes with a purchase; it lives as long, and has the same fate."""
    lot = Lot(
        lot_id=bonus_lot_id(purchase.lot_id),
        position=purchase.position + 1,
        kind="award.bonus",
        credits=credits_given,
        price_minor=0,
        currency=purchase.currency,
        source=purchase.source,
        granted_at=purchase.granted_at,
        expires_at=None,
        bonus_of=purchase.lot_id,
    )
    return CreditsAwarded(
        lot=lot,
        reason="Came with a purchase",
        awarded_by=PLATFORM,
        balance=balances.granted(balance, lot.kind, credits_given),
    )


def _repayments(debts: Iterable[Debt], lot: Lot, balance: Balance) -> list[DebtRepaid]:
    """Return which debts a new lot repays: the oldest first, from the lot's first credit on."""
    facts: list[DebtRepaid] = []
    start = 0
    for debt in debts:
        owed = sum(part.credits for part in debt.slices)
        end = min(start + owed, lot.credits)
        if start == end:
            break
        by = Slice(
            lot_id=lot.lot_id,
            lot_kind=lot.kind,
            lot_credits=lot.credits,
            lot_price_minor=lot.price_minor,
            start=start,
            end=end,
        )
        balance = balances.repaid(balance, by.credits)
        repaid = DebtRepaid(
            hold=debt.hold,
            reversed=first_credits(debt.slices, by.credits),
            slices=(by,),
            cause=debt.cause,
            balance=balance,
        )
        facts.append(repaid)
        start = end
    return facts


def adjust(command: AdjustCredits, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return the slices that are taken away, of what is available, in burn order."""
    refuse_self(command.user_id, command.adjusted_by)
    refuse_odd_credits(command.credits)
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
    """Return a fact for each lot that is due and has free credits, and the wallet after them.

    What was paid for never expires, nor does a bonus: so no frozen lot does.
    """
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


def refuse_self(user_id: str, actor: str) -> None:
    """Refuse what somebody does to their own wallet."""
    if user_id == actor:
        raise Refusal("SELF_AWARD", "nobody changes their own credits")


def refuse_odd_credits(number: int) -> None:
    """Refuse a number of credits that cannot be moved."""
    if not 0 < number <= WHOLE_NUMBER_MAX:
        raise Refusal("INVALID_CREDITS", f"credits are a whole number, 1 to {WHOLE_NUMBER_MAX}")


def refuse_large_balance(total: int) -> None:
    """Refuse what no reader of JSON could hold exactly."""
    if total > WHOLE_NUMBER_MAX:
        # What it would be is not told: no message could carry it.
        raise Refusal("BALANCE_TOO_LARGE", f"a wallet holds at most {WHOLE_NUMBER_MAX} credits")
