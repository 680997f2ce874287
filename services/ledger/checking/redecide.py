"""Asks the decider again what it decided once: a recorded fact is checked, not believed.

From a fact follows the command that must have brought it. Decided again, on the wallet as it was
folded so far, that command must bring exactly this fact first: the same slices, in the same burn
order, at the same cost, with the same balance after it, and nothing that was due left unexpired.
What else the command brings must be the next facts, at the same instant.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, assert_never

from runtime.refusal import Refusal
from services.ledger.burn_order import ShortError
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
from services.ledger.decider import decide
from services.ledger.events import (
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
    PurchaseRefunded,
    SettlementRefunded,
    SettlementReversed,
)
from services.ledger.knowledge import DeploymentHolds, KnownHold, Settings, Shares
from services.ledger.spending import Spending
from services.ledger.unwinding import case_of
from services.ledger.wallet import Wallet


class Beside(NamedTuple):
    """What was known beside the wallet when a fact was decided.

    `holds` are those of the fact's deployment. `spending` is where the credits of the purchase
    were that the fact takes back, and `settled` are the settlements that had spent them.
    """

    holds: DeploymentHolds = DeploymentHolds()
    spending: Spending | None = None
    settled: Mapping[str, KnownHold] = MappingProxyType({})


class Again(NamedTuple):
    """What is wrong with a fact that was decided again; if nothing, what must come next."""

    problem: str | None
    following: tuple[Fact, ...] = ()


def decided_again(
    fact: Fact, wallet: Wallet, at: datetime, *, user_id: str, beside: Beside
) -> Again:
    """Return how a fact differs from what is decided now; `wallet` is as it was before it."""
    command = command_of(fact, wallet, user_id=user_id, beside=beside)
    if command is None:
        return Again("nothing brings it by itself")
    try:
        decided = decide(command, wallet, at)
    except (Refusal, ShortError) as error:
        return Again(f"it would not be decided again: {error}")
    if not decided:
        return Again("it would not be decided again: nothing is to be done")
    if decided[0] != fact:
        return Again(f"decided again it is {decided[0]}")
    return Again(None, tuple(decided[1:]))


def command_of(  # noqa: PLR0911 - one return for each fact
    fact: Fact, wallet: Wallet, *, user_id: str, beside: Beside
) -> WalletCommand | None:
    """Return the command that a fact must have come from first, or nothing if it only follows."""
    holds = beside.holds
    match fact:
        case HoldPlaced(hold=hold):
            return _placing(hold, user_id, holds)
        case HoldSettled(hold=hold):
            return SettleHold(hold_id=hold.hold_id, deployment=holds)
        case HoldReleased(hold=hold, reason=reason):
            return ReleaseHold(hold_id=hold.hold_id, reason=reason, deployment=holds)
        case HoldRefused():
            return _refusing(fact, user_id, holds)
        case CreditsAwarded(lot=Lot(bonus_of=str())) | SettlementReversed() | DebtRepaid():
            return None
        case CreditsAwarded(lot=lot):
            return AwardCredits(
                user_id=user_id,
                lot_id=lot.lot_id,
                kind=lot.kind,  # type: ignore[arg-type]  # decided again, another kind is told
                credits=lot.credits,
                currency=lot.currency,
                source=lot.source,
                reason=fact.reason,
                awarded_by=fact.awarded_by,
                expires_at=lot.expires_at,
            )
        case CreditsPurchased(lot=lot):
            return RecordPurchase(
                user_id=user_id,
                lot_id=lot.lot_id,
                credits=lot.credits,
                price_minor=lot.price_minor,
                currency=lot.currency,
                source=lot.source,
                recorded_by=fact.recorded_by,
                bonus_credits=fact.bonus_credits,
                payment_id=fact.payment_id,
                checkout_id=fact.checkout_id,
                platform_currency=lot.currency,
            )
        case CreditsAdjusted():
            return AdjustCredits(
                user_id=user_id,
                credits=sum(gone.credits for gone in fact.slices),
                reason=fact.reason,
                adjusted_by=fact.adjusted_by,
            )
        case CreditsExpired():
            return ExpireDueLots()
        case SettlementRefunded():
            return RefundSettlement(
                user_id=user_id,
                refund_id=fact.refund_id,
                credits=fact.credits,
                reason=fact.reason,
                refunded_by=fact.refunded_by,
                deployment=holds,
            )
        case PurchaseRefunded():
            return _refunding(fact, wallet, user_id, beside)
        case DisputeOpened() | DisputeClosed():
            return _disputing(fact, user_id, beside)
        case _:
            assert_never(fact)


def _disputing(
    fact: DisputeOpened | DisputeClosed, user_id: str, beside: Beside
) -> OpenDispute | CloseDispute:
    if isinstance(fact, DisputeOpened):
        return OpenDispute(
            user_id=user_id,
            lot_id=fact.lot_id,
            dispute_id=fact.dispute_id,
            amount_minor=fact.amount_minor,
            currency=fact.currency,
            reason=fact.reason,
            spending=beside.spending,
        )
    return CloseDispute(
        user_id=user_id,
        lot_id=fact.lot_id,
        dispute_id=fact.dispute_id,
        outcome=fact.outcome,
        reason="",
        closed_by="",
        spending=beside.spending,
        settled=beside.settled,
    )


def _refunding(
    fact: PurchaseRefunded, wallet: Wallet, user_id: str, beside: Beside
) -> RefundPurchase | CloseDispute:
    """Return the refund, or the loss of the dispute that the refund is named after."""
    disputes = case_of(wallet, fact.lot_id).disputes
    if any(dispute.dispute_id == fact.refund_id for dispute in disputes):
        return CloseDispute(
            user_id=user_id,
            lot_id=fact.lot_id,
            dispute_id=fact.refund_id,
            outcome="LOST",
            reason=fact.reason,
            closed_by=fact.refunded_by,
            spending=beside.spending,
            settled=beside.settled,
        )
    return RefundPurchase(
        user_id=user_id,
        lot_id=fact.lot_id,
        refund_id=fact.refund_id,
        amount_minor=fact.amount_minor,
        currency=fact.currency,
        reason=fact.reason,
        refunded_by=fact.refunded_by,
        spending=beside.spending,
        settled=beside.settled,
    )


def _placing(hold: Hold, user_id: str, holds: DeploymentHolds) -> PlaceHold:
    rule = hold.share_rule
    settings = Settings(
        version=rule.settings_version,
        credits_enabled=hold.gate != "CREDITS_OFF",
        currency=hold.currency,
        shares=(Shares(hold.placed_at, rule.partner_basis_points, rule.agent_basis_points),),
    )
    return PlaceHold(
        user_id=user_id,
        hold_id=hold.hold_id,
        deployment_id=hold.deployment_id,
        build_id=hold.build_id,
        module_id=hold.module_id,
        module_name=hold.module_name,
        module_version=hold.module_version,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        project=hold.project,
        list_price=hold.list_price,
        premium=hold.premium,
        requested_at=hold.requested_at,
        expires_at=hold.request_expires_at,
        settings=settings,
        deployment=holds,
    )


def _refusing(fact: HoldRefused, user_id: str, holds: DeploymentHolds) -> PlaceHold:
    """Return a request for a hold of as much; what it was for is not recorded and not needed."""
    return PlaceHold(
        user_id=user_id,
        hold_id=fact.hold_id,
        deployment_id=fact.deployment_id,
        build_id=fact.build_id,
        module_id="",
        module_name="",
        module_version=1,
        partner_id=None,
        agent_id=None,
        project=None,
        list_price=fact.required,
        premium=fact.premium,
        requested_at=fact.request_expires_at,
        expires_at=fact.request_expires_at,
        settings=Settings(),
        deployment=holds,
    )
