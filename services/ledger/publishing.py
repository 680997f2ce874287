"""What others are told of a wallet's facts: the only translation of one into the other."""

from collections.abc import Sequence
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
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    Lot,
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
        case CreditsAwarded():
            return [
                v1.CreditsAwarded(
                    user_id=user_id,
                    balance=balance,
                    lot=_lot(fact.lot),
                    award_kind=fact.lot.kind,  # type: ignore[arg-type]  # awards have award kinds
                    reason=fact.reason,
                    awarded_by=fact.awarded_by,
                )
            ]
        case CreditsPurchased():
            return [
                v1.CreditsPurchased(
                    user_id=user_id,
                    balance=balance,
                    lot=_lot(fact.lot),
                    recorded_by=fact.recorded_by,
                )
            ]
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
                    user_id=user_id, balance=balance, hold=_hold(fact.hold), reason=fact.reason
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
                    reason=fact.reason,
                    adjusted_by=fact.adjusted_by,
                )
            ]
        case _:
            assert_never(fact)


def _balance(balance: Balance) -> v1.Balance:
    return v1.Balance(
        awarded=balance.awarded,
        purchased=balance.purchased,
        awarded_held=Credits(balance.awarded_held),
        purchased_held=Credits(balance.purchased_held),
    )


def _lot(lot: Lot) -> v1.Lot:
    return v1.Lot(
        lot_id=lot.lot_id,
        kind=lot.kind,
        credits=Credits(lot.credits),
        price_minor=lot.price_minor,
        currency=lot.currency,
        source=lot.source,
        granted_at=lot.granted_at,
        expires_at=lot.expires_at,
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
        slices=_slices(hold.slices),
        share_rule=v1.ShareRule(
            settings_version=hold.share_rule.settings_version,
            partner_basis_points=hold.share_rule.partner_basis_points,
            agent_basis_points=hold.share_rule.agent_basis_points,
        ),
        currency=hold.currency,
        algorithm_version=hold.algorithm_version,
        requested_at=hold.requested_at,
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
