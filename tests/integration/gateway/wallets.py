"""A wallet as the ledger tells of it: every movement with the balance that it leaves."""

from datetime import datetime
from typing import Any

from contracts.ledger import v1 as ledger
from contracts.types import Credits
from runtime.ids import new_id
from tests.integration.gateway.api import Api
from tests.integration.gateway.neighbours import NOON


class Ledger:
    """Plays a wallet: its lots, and what each movement leaves."""

    def __init__(self, api: Api, user_id: str) -> None:
        self.api = api
        self.user_id = user_id
        self.awarded = self.purchased = self.awarded_held = self.purchased_held = 0

    @property
    def balance(self) -> ledger.Balance:
        return ledger.Balance(
            awarded=self.awarded,
            purchased=self.purchased,
            awarded_held=Credits(self.awarded_held),
            purchased_held=Credits(self.purchased_held),
        )

    async def tells(self, event: Any, correlation_id: str | None = None) -> None:
        await self.api.tells(f"wallet-{self.user_id}", event, correlation_id=correlation_id)

    async def awards(
        self,
        credits_given: int,
        *,
        lot_id: str | None = None,
        correlation_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Give credits for free; return the lot."""
        self.awarded += credits_given
        lot = lot_of(credits_given, lot_id or f"lot-{new_id()}", "award.admin", 0)
        lot = lot.model_copy(update={"expires_at": expires_at})
        await self.tells(
            ledger.CreditsAwarded(
                user_id=self.user_id,
                balance=self.balance,
                lot=lot,
                award_kind="award.admin",
                reason="welcome",
                awarded_by="tollgate",
            ),
            correlation_id,
        )
        return lot.lot_id

    async def sells(
        self,
        credits_sold: int,
        price_minor: int,
        *,
        lot_id: str | None = None,
        correlation_id: str | None = None,
    ) -> str:
        """Record a purchase; return the lot."""
        self.purchased += credits_sold
        lot = lot_of(credits_sold, lot_id or f"lot-{new_id()}", "purchase", price_minor)
        await self.tells(
            ledger.CreditsPurchased(
                user_id=self.user_id, balance=self.balance, lot=lot, recorded_by="finance"
            ),
            correlation_id,
        )
        return lot.lot_id

    async def holds(
        self,
        deployment_id: str,
        slices: tuple[ledger.Slice, ...],
        *,
        partner_id: str | None = None,
        agent_id: str | None = None,
        module_id: str = "m-1",
        correlation_id: str | None = None,
    ) -> ledger.Hold:
        """Set slices aside for a deployment."""
        hold = ledger.Hold(
            hold_id=f"hold-{deployment_id}",
            deployment_id=deployment_id,
            build_id=f"build-{deployment_id}",
            user_id=self.user_id,
            module_id=module_id,
            module_name="Website",
            module_version=1,
            partner_id=partner_id,
            agent_id=agent_id,
            project=None,
            list_price=Credits(sum(s.end - s.start for s in slices)),
            cost=Credits(sum(s.end - s.start for s in slices)),
            premium=False,
            gate="STANDARD",
            slices=slices,
            share_rule=ledger.ShareRule(
                settings_version=1, partner_basis_points=3000, agent_basis_points=1000
            ),
            currency="USD",
            algorithm_version=1,
            requested_at=NOON,
            request_expires_at=NOON,
            placed_at=NOON,
        )
        self.awarded_held += hold.awarded_credits
        self.purchased_held += hold.purchased_credits
        event = ledger.HoldPlaced(user_id=self.user_id, balance=self.balance, hold=hold)
        await self.tells(event, correlation_id)
        return hold

    async def settles(self, hold: ledger.Hold) -> None:
        """Spend what was held."""
        self._give_back(hold)
        self.awarded -= hold.awarded_credits
        self.purchased -= hold.purchased_credits
        await self.tells(
            ledger.HoldSettled(
                user_id=self.user_id, balance=self.balance, hold=hold, settled_at=NOON
            )
        )

    async def releases(self, hold: ledger.Hold) -> None:
        """Give back what was held."""
        self._give_back(hold)
        await self.tells(
            ledger.HoldReleased(
                user_id=self.user_id, balance=self.balance, hold=hold, reason="FAILED"
            )
        )

    async def adjusts(self, taken: ledger.Slice, *, correlation_id: str | None = None) -> None:
        """Take credits away."""
        self._lose(taken)
        event = ledger.CreditsAdjusted(
            user_id=self.user_id,
            balance=self.balance,
            slices=(taken,),
            algorithm_version=1,
            reason="by mistake",
            adjusted_by="finance",
        )
        await self.tells(event, correlation_id)

    async def expires(self, ended: ledger.Slice) -> None:
        """End what was due."""
        self._lose(ended)
        event = ledger.CreditsExpired(
            user_id=self.user_id, balance=self.balance, lot_id=ended.lot_id, slices=(ended,)
        )
        await self.tells(event)

    async def disputed(self, lot_id: str, *, dispute_id: str = "dispute-1") -> None:
        """Have a purchase disputed of which nothing is free."""
        await self.tells(
            ledger.DisputeOpened(
                user_id=self.user_id,
                balance=self.balance,
                dispute_id=dispute_id,
                lot_id=lot_id,
                bonus_lot_id=None,
                amount_minor=10_000,
                currency="USD",
                slices=(),
                payment_id=None,
                reason="fraudulent",
            )
        )

    async def cleared(self, lot_id: str, *, dispute_id: str = "dispute-1") -> None:
        """Have the dispute won."""
        await self.tells(
            ledger.DisputeClosed(
                user_id=self.user_id,
                balance=self.balance,
                dispute_id=dispute_id,
                lot_id=lot_id,
                bonus_lot_id=None,
                outcome="WON",
                slices=(),
            )
        )

    def _give_back(self, hold: ledger.Hold) -> None:
        self.awarded_held -= hold.awarded_credits
        self.purchased_held -= hold.purchased_credits

    def _lose(self, gone: ledger.Slice) -> None:
        if gone.lot_kind == "purchase":
            self.purchased -= gone.end - gone.start
        else:
            self.awarded -= gone.end - gone.start


def lot_of(credits_in_it: int, lot_id: str, kind: Any, price_minor: int) -> ledger.Lot:
    """A lot."""
    return ledger.Lot(
        lot_id=lot_id,
        position=0,
        kind=kind,
        credits=Credits(credits_in_it),
        price_minor=price_minor,
        currency="USD",
        source="invoice 7" if price_minor else "request",
        granted_at=NOON,
        expires_at=None,
    )


def awarded_slice(lot_id: str, start: int, end: int, of: int) -> ledger.Slice:
    """Credits of a lot that was awarded."""
    return _slice(lot_id, "award.admin", (start, end), of, 0)


def purchased_slice(lot_id: str, start: int, end: int, of: int, price_minor: int) -> ledger.Slice:
    """Credits of a lot that was paid for."""
    return _slice(lot_id, "purchase", (start, end), of, price_minor)


def _slice(
    lot_id: str, kind: Any, bounds: tuple[int, int], of: int, price_minor: int
) -> ledger.Slice:
    return ledger.Slice(
        lot_id=lot_id,
        lot_kind=kind,
        lot_credits=Credits(of),
        lot_price_minor=price_minor,
        start=Credits(bounds[0]),
        end=Credits(bounds[1]),
    )
