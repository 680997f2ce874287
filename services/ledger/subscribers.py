"""What the others' messages mean to the ledger: the only place where one becomes a command."""

from datetime import datetime, timedelta

from contracts.deployer import v1 as deployer
from contracts.gateway import v1 as gateway
from services.ledger.commands import (
    AdjustCredits,
    AwardCredits,
    PlaceHold,
    RecordPurchase,
    RefundSettlement,
    ReleaseHold,
    SettleHold,
)
from services.ledger.knowledge import DeploymentHolds, Settings, Shares
from services.ledger.lots import PLATFORM


def settings(event: gateway.SettingsChanged) -> Settings:
    """Return what of the settings the ledger decides by."""
    return Settings(
        version=event.settings_version,
        credits_enabled=event.credits_enabled,
        currency=event.currency,
        signup_award=event.signup_award,
        referral_award=event.referral_award,
        award_expiry_days=event.award_expiry_days,
        shares=tuple(
            Shares(s.effective_from, s.partner_basis_points, s.agent_basis_points)
            for s in event.shares
        ),
    )


def award(request: gateway.AwardRequested, known: Settings, at: datetime) -> AwardCredits:
    """Return the award that a person asked for; it expires as the settings say, or as asked."""
    return AwardCredits(
        user_id=request.user_id,
        lot_id=request.request_id,
        kind=request.award_kind,
        credits=request.credits,
        currency=known.currency,
        source=f"award:{request.request_id}",
        reason=request.reason,
        awarded_by=request.requested_by,
        expires_at=request.credits_expire_at or _expiry(known, at),
    )


def signup_lot(user_id: str) -> str:
    """Return the id of the lot that a user is given for registering."""
    return f"signup:{user_id}"


def referral_lot(user_id: str) -> str:
    """Return the id of the lot that is given to whoever has referred a user."""
    return f"referral:{user_id}"


def signup_award(user_id: str, known: Settings, at: datetime) -> AwardCredits:
    """Return what the settings promise to whoever registers."""
    return AwardCredits(
        user_id=user_id,
        lot_id=signup_lot(user_id),
        kind="award.signup",
        credits=known.signup_award,
        currency=known.currency,
        source=f"settings:{known.version}",
        reason="Signed up",
        awarded_by=PLATFORM,
        expires_at=_expiry(known, at),
    )


def referral_award(referrer_id: str, user_id: str, known: Settings, at: datetime) -> AwardCredits:
    """Return what the settings promise to whoever has referred a user that registers."""
    return AwardCredits(
        user_id=referrer_id,
        lot_id=referral_lot(user_id),
        kind="award.referral",
        credits=known.referral_award,
        currency=known.currency,
        source=f"settings:{known.version}",
        reason=f"Referred user {user_id}",
        awarded_by=PLATFORM,
        expires_at=_expiry(known, at),
    )


def purchase(request: gateway.PurchaseRequested) -> RecordPurchase:
    """Return the purchase, invoiced outside Stripe, that a person wants recorded."""
    return RecordPurchase(
        user_id=request.user_id,
        lot_id=request.request_id,
        credits=request.credits,
        price_minor=request.price_minor,
        currency=request.currency,
        source=request.reference,
        recorded_by=request.requested_by,
    )


def adjustment(request: gateway.AdjustmentRequested) -> AdjustCredits:
    """Return the deduction that a person asked for."""
    return AdjustCredits(
        user_id=request.user_id,
        credits=request.credits,
        reason=request.reason,
        adjusted_by=request.requested_by,
    )


def settlement_refund(
    request: gateway.SettlementRefundRequested, holds: DeploymentHolds
) -> RefundSettlement:
    """Return the refund of a deployment that a person asked for."""
    return RefundSettlement(
        user_id=request.user_id,
        refund_id=request.request_id,
        credits=request.credits,
        reason=request.reason,
        refunded_by=request.requested_by,
        deployment=holds,
    )


def hold(
    request: deployer.HoldRequested,
    known: Settings,
    referred_by: str | None,
    holds: DeploymentHolds,
) -> PlaceHold:
    """Return the hold that a build needs; an agent is never their own referrer."""
    return PlaceHold(
        user_id=request.user_id,
        hold_id=request.hold_id,
        deployment_id=request.deployment_id,
        build_id=request.build_id,
        module_id=request.module_id,
        module_name=request.module_name,
        module_version=request.module_version,
        partner_id=request.partner_id,
        agent_id=None if referred_by == request.user_id else referred_by,
        project=request.project,
        list_price=request.list_price,
        premium=request.premium,
        requested_at=request.requested_at,
        expires_at=request.expires_at,
        settings=known,
        deployment=holds,
    )


def end_of_hold(  # noqa: PLR0911 - one return for each end
    event: deployer.DeploymentEvent, holds: DeploymentHolds
) -> SettleHold | ReleaseHold | None:
    """Return how what happened to a deployment ends a hold of it, or nothing.

    A build that changes or destroys costs nothing and names no hold. A deployment that is refused
    names none either; if one is open, it is given back.
    """
    match event:
        case deployer.DeploymentSucceeded(hold_id=str(hold_id)):
            return SettleHold(hold_id=hold_id, deployment=holds)
        case deployer.DeploymentFailed(hold_id=str(hold_id)):
            return ReleaseHold(hold_id=hold_id, reason="FAILED", deployment=holds)
        case deployer.DeploymentCancelled(hold_id=str(hold_id)):
            return ReleaseHold(hold_id=hold_id, reason="CANCELLED", deployment=holds)
        case deployer.DeploymentTimedOut(hold_id=str(hold_id)):
            return ReleaseHold(hold_id=hold_id, reason="TIMED_OUT", deployment=holds)
        case deployer.DeploymentRefused():
            is_open = holds.with_fate("PLACED")
            if is_open is None:
                return None
            return ReleaseHold(hold_id=is_open.hold_id, reason="REFUSED", deployment=holds)
        case _:
            return None


def _expiry(known: Settings, at: datetime) -> datetime | None:
    """Return when an award made now expires, unless it is said otherwise."""
    return None if known.award_expiry_days is None else at + timedelta(days=known.award_expiry_days)
