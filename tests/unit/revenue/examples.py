"""Settlements to test with: believable, and short to write down."""

from datetime import UTC, datetime

from services.revenue.decider import Recognize
from services.revenue.events import LedgerEntry, LotKind, SettledHold, SpentSlice

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def purchased(
    start: int, end: int, *, lot_credits: int = 100, price_minor: int = 10_000
) -> SpentSlice:
    """Return a slice of a purchase, of 100 credits for 100.00 unless said otherwise."""
    return SpentSlice(
        lot_id="lot-purchase",
        lot_kind="purchase",
        lot_credits=lot_credits,
        lot_price_minor=price_minor,
        start=start,
        end=end,
    )


def awarded(start: int, end: int, *, kind: LotKind = "award.signup") -> SpentSlice:
    """Return a slice of an award of as many credits as it ends at."""
    return SpentSlice(
        lot_id="lot-award",
        lot_kind=kind,
        lot_credits=end,
        lot_price_minor=0,
        start=start,
        end=end,
    )


def settlement(
    *slices: SpentSlice,
    deployment: str = "d1",
    hold: str | None = None,
    user: str = "ursula",
    partner: str | None = None,
    agent: str | None = None,
    partner_basis_points: int = 3_000,
    agent_basis_points: int = 500,
    currency: str = "USD",
    cost: int | None = None,
    settled_at: datetime = NOON,
) -> Recognize:
    """Return the command that a settled hold with these slices gives."""
    hold_id = hold or f"hold-of-{deployment}"
    return Recognize(
        hold=SettledHold(
            hold_id=hold_id,
            deployment_id=deployment,
            user_id=user,
            module_id="m1",
            module_name="object-store",
            module_version=3,
            partner_id=partner,
            agent_id=agent,
            project="intranet",
            cost=sum(s.credits for s in slices) if cost is None else cost,
            slices=slices,
            currency=currency,
            settings_version=7,
            partner_basis_points=partner_basis_points,
            agent_basis_points=agent_basis_points,
            requested_at=NOON,
        ),
        entry=LedgerEntry(message_id=f"message-of-{hold_id}", stream=f"wallet-{user}", sequence=9),
        at=settled_at,
    )
