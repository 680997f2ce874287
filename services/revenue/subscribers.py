"""What the ledger's messages mean to revenue: the only place where one becomes a command."""

from contracts.envelope import Envelope
from contracts.ledger import v1 as ledger
from services.revenue.decider import Recognize
from services.revenue.events import SettledHold, Settlement, SpentSlice


def recognition(envelope: Envelope[ledger.HoldSettled]) -> Recognize:
    """Return the command to recognise what a settled hold earned."""
    return Recognize(
        hold=settled_hold(envelope.data.hold),
        settlement=Settlement(
            message_id=envelope.id, stream=envelope.subject, sequence=envelope.sequence
        ),
        settled_at=envelope.data.settled_at,
    )


def settled_hold(hold: ledger.Hold) -> SettledHold:
    """Return what of a hold revenue keeps."""
    return SettledHold(
        hold_id=hold.hold_id,
        deployment_id=hold.deployment_id,
        user_id=hold.user_id,
        module_id=hold.module_id,
        module_name=hold.module_name,
        module_version=hold.module_version,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        project=hold.project,
        cost=hold.cost,
        slices=tuple(_spent(s) for s in hold.slices),
        currency=hold.currency,
        settings_version=hold.share_rule.settings_version,
        partner_basis_points=hold.share_rule.partner_basis_points,
        agent_basis_points=hold.share_rule.agent_basis_points,
        requested_at=hold.requested_at,
    )


def _spent(held: ledger.Slice) -> SpentSlice:
    return SpentSlice(
        lot_id=held.lot_id,
        lot_kind=held.lot_kind,
        lot_credits=held.lot_credits,
        lot_price_minor=held.lot_price_minor,
        start=held.start,
        end=held.end,
    )
