"""The ledger's messages of a wallet whose holds are settled, as they come from the bus."""

from datetime import UTC, datetime
from typing import Any

from contracts.envelope import Envelope
from contracts.events import Event
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from runtime.ids import new_id
from runtime.inbox import Delivery

MAY = datetime(2026, 5, 4, 12, tzinfo=UTC)
JUNE = datetime(2026, 6, 4, 12, tzinfo=UTC)
EMPTY = ledger.Balance(awarded=0, purchased=0, awarded_held=Credits(0), purchased_held=Credits(0))


def purchased(start: int, end: int) -> ledger.Slice:
    """Return a slice of 100 credits bought for 100.00."""
    return ledger.Slice(
        lot_id="lot-1",
        lot_kind="purchase",
        lot_credits=Credits(100),
        lot_price_minor=10_000,
        start=Credits(start),
        end=Credits(end),
    )


def hold(
    *slices: ledger.Slice,
    deployment: str,
    user: str = "ursula",
    partner: str | None = None,
    agent: str | None = None,
) -> ledger.Hold:
    """Return the record of a hold on these slices, with shares of 30.00 % and 5.05 %."""
    cost = Credits(sum(s.end - s.start for s in slices))
    return ledger.Hold(
        hold_id=f"hold-of-{deployment}",
        deployment_id=deployment,
        build_id=f"build-of-{deployment}",
        user_id=user,
        module_id="m1",
        module_name="object-store",
        module_version=1,
        partner_id=partner,
        agent_id=agent,
        project=None,
        list_price=cost,
        cost=cost,
        premium=False,
        gate="STANDARD",
        slices=slices,
        share_rule=ledger.ShareRule(
            settings_version=1, partner_basis_points=3_000, agent_basis_points=505
        ),
        currency="USD",
        algorithm_version=1,
        requested_at=MAY,
        request_expires_at=MAY,
        placed_at=MAY,
    )


def settled(record: ledger.Hold, *, at: datetime = MAY) -> ledger.HoldSettled:
    """Return what the ledger says when a hold was settled."""
    return ledger.HoldSettled(user_id=record.user_id, balance=EMPTY, hold=record, settled_at=at)


class Wallet:
    """The stream of a wallet, or of another kind, which numbers its messages."""

    def __init__(self, user: str = "ursula", *, kind: str = "wallet") -> None:
        self.stream = f"{kind}-{user}"
        self.sequence = 0
        self.acknowledged: list[int] = []

    def says(self, event: Event, *, at: datetime = MAY) -> Delivery:
        """Return the stream's next message."""
        self.sequence += 1
        return self._delivery(event, self.sequence, at)

    def _delivery(self, event: Event, sequence: int, at: datetime) -> Delivery:
        envelope: Envelope[Any] = Envelope(
            id=new_id(),
            source=f"/tollgate/{event.service}",
            type=event.type_name(),
            subject=self.stream,
            time=at,
            dataschema=event.schema_id(),
            partitionkey=self.stream,
            sequence=sequence,
            correlationid="request-1",
            data=event,
        )

        async def settle() -> None:
            self.acknowledged.append(sequence)

        return Delivery(
            envelope=envelope,
            subject=event.bus_subject(),
            body=envelope.to_bytes(),
            first_at=MAY,
            settle=settle,
        )
