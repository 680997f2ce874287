"""Asks the decider again what it decided once: a recorded fact is checked, not believed.

From a fact follows the command that must have brought it. Decided again, on the wallet as it was
folded so far, that command must bring exactly this fact first: the same slices, in the same burn
order, at the same cost, with the same balance after it, and nothing that was due left unexpired.
"""

from datetime import datetime

from runtime.refusal import Refusal
from services.ledger.burn_order import ShortError
from services.ledger.commands import (
    AdjustCredits,
    AwardCredits,
    ExpireDueLots,
    PlaceHold,
    RecordPurchase,
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
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    Reversal,
)
from services.ledger.knowledge import DeploymentHolds, Settings, Shares
from services.ledger.wallet import Wallet


def objection(
    fact: Fact, wallet: Wallet, at: datetime, *, user_id: str, holds: DeploymentHolds
) -> str | None:
    """Return how a fact differs from what is decided now, or nothing.

    `wallet` is as it was before the fact, `holds` what was known of the fact's deployment. What
    takes something back is folded, but not decided again.
    """
    if isinstance(fact, Reversal):
        return None
    try:
        decided = decide(command_of(fact, user_id=user_id, holds=holds), wallet, at)
    except (Refusal, ShortError) as error:
        return f"it would not be decided again: {error}"
    if not decided:
        return "it would not be decided again: nothing is to be done"
    if decided[0] != fact:
        return f"decided again it is {decided[0]}"
    return None


def command_of(fact: Fact, *, user_id: str, holds: DeploymentHolds) -> WalletCommand:  # noqa: PLR0911 - one return for each fact
    """Return the command that a fact must have come from."""
    match fact:
        case HoldPlaced(hold=hold):
            return _placing(hold, user_id, holds)
        case HoldSettled(hold=hold):
            return SettleHold(hold_id=hold.hold_id, deployment=holds)
        case HoldReleased(hold=hold, reason=reason):
            return ReleaseHold(hold_id=hold.hold_id, reason=reason, deployment=holds)
        case HoldRefused():
            return _refusing(fact, user_id, holds)
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
                platform_currency=lot.currency,
                source=lot.source,
                recorded_by=fact.recorded_by,
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
        case _:
            raise TypeError(f"no command is made of a {type(fact).__name__}")


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
