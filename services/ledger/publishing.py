"""What others are told of a wallet's facts: the only translation of one into the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, assert_never

from contracts.events import Event
from contracts.ledger import v1
from contracts.types import Credits
from runtime.store import Recorded, StreamKind
from services.ledger import decider
from services.ledger.events import (
    Balance,
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    Lot,
    LotTerms,
    PurchaseRefunded,
    Reversal,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.wallet import Wallet


def publish(  # noqa: PLR0911 - one return for each fact
    record: Recorded[Fact],
) -> Sequence[Event]:
    """Return the one message that each fact of a wallet is."""
    fact = record.fact
    user_id = record.stream.partition("-")[2]
    balance = _balance(fact.balance)
    match fact:
        case CreditsAwarded() | CreditsPurchased():
            return [_granted(fact, user_id, balance)]
        case HoldPlaced():
            return [v1.HoldPlaced(user_id=user_id, balance=balance, hold=_hold(fact.hold))]
        case HoldRefused():
            return [
                v1.HoldRefused(
                    user_id=user_id,
                    balance=balance,
                    hold_id=fact.hold_id,
                    deployment_id=fact.deployment_id,
                    build_id=fact.build_id,
                    code=fact.code,
                    required=Credits(fact.required),
                    available=fact.available,
                    premium=fact.premium,
                    request_expires_at=fact.request_expires_at,
                )
            ]
        case HoldSettled():
            return [
                v1.HoldSettled(
                    user_id=user_id,
                    balance=balance,
                    hold=_hold(fact.hold),
                    settled_at=record.at,
                )
            ]
        case HoldReleased():
            return [
                v1.HoldReleased(
                    user_id=user_id,
                    balance=balance,
                    hold=_hold(fact.hold),
                    reason=fact.reason,
                    voided=_slices(fact.voided),
                )
            ]
        case CreditsExpired():
            return [
                v1.CreditsExpired(
                    user_id=user_id,
                    balance=balance,
                    lot_id=fact.lot_id,
                    slices=_slices(fact.slices),
                )
            ]
        case CreditsAdjusted():
            return [
                v1.CreditsAdjusted(
                    user_id=user_id,
                    balance=balance,
                    slices=_slices(fact.slices),
                    algorithm_version=fact.algorithm_version,
                    reason=fact.reason,
                    adjusted_by=fact.adjusted_by,
                )
            ]
        case _:
            return [_reversal(fact, record.at, user_id, balance)]


def _granted(
    fact: CreditsAwarded | CreditsPurchased, user_id: str, balance: v1.Balance
) -> v1.WalletEvent:
    if isinstance(fact, CreditsAwarded):
        return v1.CreditsAwarded(
            user_id=user_id,
            balance=balance,
            lot=_lot(fact.lot),
            award_kind=fact.lot.kind,  # type: ignore[arg-type]  # awards have award kinds
            reason=fact.reason,
            awarded_by=fact.awarded_by,
        )
    return v1.CreditsPurchased(
        user_id=user_id,
        balance=balance,
        lot=_lot(fact.lot),
        recorded_by=fact.recorded_by,
        bonus_credits=Credits(fact.bonus_credits),
        payment_id=fact.payment_id,
        checkout_id=fact.checkout_id,
    )


def _reversal(fact: Reversal, at: datetime, user_id: str, balance: v1.Balance) -> v1.WalletEvent:
    """Return the message that a refund, a dispute or what follows from them is."""
    match fact:
        case SettlementRefunded():
            return v1.SettlementRefunded(
                user_id=user_id,
                balance=balance,
                refund_id=fact.refund_id,
                hold=_hold(fact.hold),
                slices=_slices(fact.slices),
                debt_cancelled=_slices(fact.debt_cancelled),
                credits=Credits(fact.credits),
                refunded_total=Credits(fact.refunded_total),
                reopened=_terms(fact.reopened),
                reason=fact.reason,
                refunded_by=fact.refunded_by,
                refunded_at=at,
            )
        case PurchaseRefunded():
            return v1.PurchaseRefunded(
                user_id=user_id,
                balance=balance,
                refund_id=fact.refund_id,
                lot_id=fact.lot_id,
                amount_minor=fact.amount_minor,
                refunded_total_minor=fact.refunded_total_minor,
                currency=fact.currency,
                slices=_slices(fact.slices),
                held=_slices(fact.held),
                ended=_slices(fact.ended),
                payment_id=fact.payment_id,
                reason=fact.reason,
                refunded_by=fact.refunded_by,
            )
        case SettlementReversed():
            return v1.SettlementReversed(
                user_id=user_id,
                balance=balance,
                hold=_hold(fact.hold),
                slices=_slices(fact.slices),
                cause=fact.cause,
                refunded_total=Credits(fact.refunded_total),
                reversed_at=at,
            )
        case DebtRepaid():
            return v1.DebtRepaid(
                user_id=user_id,
                balance=balance,
                hold=_hold(fact.hold),
                reversed=_slices(fact.reversed),
                slices=_slices(fact.slices),
                cause=fact.cause,
                repaid_at=at,
            )
        case DisputeOpened():
            return v1.DisputeOpened(
                user_id=user_id,
                balance=balance,
                dispute_id=fact.dispute_id,
                lot_id=fact.lot_id,
                bonus_lot_id=fact.bonus_lot_id,
                amount_minor=fact.amount_minor,
                currency=fact.currency,
                slices=_slices(fact.slices),
                payment_id=fact.payment_id,
                reason=fact.reason,
            )
        case DisputeClosed():
            return v1.DisputeClosed(
                user_id=user_id,
                balance=balance,
                dispute_id=fact.dispute_id,
                lot_id=fact.lot_id,
                bonus_lot_id=fact.bonus_lot_id,
                outcome=fact.outcome,
                slices=_slices(fact.slices),
            )
        case _:
            assert_never(fact)


def _balance(balance: Balance) -> v1.Balance:
    return v1.Balance(
        awarded=balance.awarded,
        purchased=balance.purchased,
        awarded_held=Credits(balance.awarded_held),
        purchased_held=Credits(balance.purchased_held),
        awarded_frozen=Credits(balance.awarded_frozen),
        purchased_frozen=Credits(balance.purchased_frozen),
        debt=Credits(balance.debt),
    )


def _lot(lot: Lot) -> v1.Lot:
    return v1.Lot(
        lot_id=lot.lot_id,
        position=lot.position,
        kind=lot.kind,
        credits=Credits(lot.credits),
        price_minor=lot.price_minor,
        currency=lot.currency,
        source=lot.source,
        granted_at=lot.granted_at,
        expires_at=lot.expires_at,
        bonus_of=lot.bonus_of,
    )


def _terms(lots: Sequence[LotTerms]) -> tuple[v1.LotTerms, ...]:
    return tuple(
        v1.LotTerms(
            lot_id=lot.lot_id,
            position=lot.position,
            granted_at=lot.granted_at,
            expires_at=lot.expires_at,
        )
        for lot in lots
    )


def _slices(slices: Sequence[Slice]) -> tuple[v1.Slice, ...]:
    return tuple(
        v1.Slice(
            lot_id=part.lot_id,
            lot_kind=part.lot_kind,
            lot_credits=Credits(part.lot_credits),
            lot_price_minor=part.lot_price_minor,
            start=Credits(part.start),
            end=Credits(part.end),
        )
        for part in slices
    )


def _hold(hold: Hold) -> v1.Hold:
    return v1.Hold(
        hold_id=hold.hold_id,
        deployment_id=hold.deployment_id,
        build_id=hold.build_id,
        user_id=hold.user_id,
        module_id=hold.module_id,
        module_name=hold.module_name,
        module_version=hold.module_version,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        project=hold.project,
        list_price=Credits(hold.list_price),
        cost=Credits(hold.cost),
        premium=hold.premium,
        gate=hold.gate,
        slices=_slices(hold.slices),
        share_rule=v1.ShareRule(
            settings_version=hold.share_rule.settings_version,
            partner_basis_points=hold.share_rule.partner_basis_points,
            agent_basis_points=hold.share_rule.agent_basis_points,
        ),
        currency=hold.currency,
        algorithm_version=hold.algorithm_version,
        requested_at=hold.requested_at,
        request_expires_at=hold.request_expires_at,
        placed_at=hold.placed_at,
    )


WALLET: Final = StreamKind(
    name="wallet",
    facts=Fact,
    state=Wallet,
    initial=lambda _: Wallet(),
    evolve=decider.evolve,
    publish=publish,
)
"""`wallet-<user id>`: everything that happens to a user's credits."""
