"""What the ledger keeps beside its wallets, to decide by: documents, each found by its key.

The settings and the users are the gateway's; a deployment's holds are the ledger's own. A hold
that has ended leaves its wallet's state, and what became of it is known from here.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec

from services.ledger.events import (
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    LotTerms,
    SettlementRefunded,
    ShareRule,
)
from services.ledger.open_lots import terms_of
from services.ledger.wallet import Wallet

SETTINGS: Final = ("settings", "current")
USERS: Final = "user"
DEPLOYMENTS: Final = "deployment"
LOTS: Final = "lot"

Fate = Literal["PLACED", "REFUSED", "SETTLED", "RELEASED"]


class Shares(msgspec.Struct, frozen=True, array_like=True):
    """Shares of true revenue in force from an instant on, in basis points."""

    effective_from: datetime
    partner_basis_points: int
    agent_basis_points: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What of the platform's settings the ledger decides by.

    The defaults hold until the gateway says otherwise, as version 0.
    """

    version: int = 0
    credits_enabled: bool = True
    currency: str = "USD"
    signup_award: int = 0
    referral_award: int = 0
    award_expiry_days: int | None = None
    shares: tuple[Shares, ...] = ()

    def share_rule(self, at: datetime) -> ShareRule:
        """Return the shares in force at an instant: the latest that had begun by then."""
        in_force = Shares(at, 0, 0)
        for shares in self.shares:
            if shares.effective_from > at:
                break
            in_force = shares
        return ShareRule(
            settings_version=self.version,
            partner_basis_points=in_force.partner_basis_points,
            agent_basis_points=in_force.agent_basis_points,
        )


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has registered; `referred_by` is the agent who earns by their deployments."""

    referred_by: str | None


class Refund(msgspec.Struct, frozen=True, array_like=True):
    """Credits of a settlement that were given back at once."""

    refund_id: str
    credits: int


class KnownLot(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase that was booked, in whose wallet: it is never booked again."""

    user_id: str


class KnownHold(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a hold; its record is kept while it is open and once it is settled.

    Once settled, the terms of its `lots` are kept as well, because a refund brings them back, and
    its `refunds`, each of one credit or more.
    """

    hold_id: str
    fate: Fate
    hold: Hold | None = None
    lots: tuple[LotTerms, ...] = ()
    refunds: tuple[Refund, ...] = ()

    @property
    def refunded(self) -> int:
        """Return how many credits were given back in all."""
        return sum(refund.credits for refund in self.refunds)


class DeploymentHolds(msgspec.Struct, frozen=True, kw_only=True):
    """The holds of one deployment, one for each CREATE build: at most one is open or settled."""

    holds: tuple[KnownHold, ...] = ()

    def known(self, hold_id: str) -> KnownHold | None:
        """Return what became of a hold, or nothing where it was never asked for."""
        for known in self.holds:
            if known.hold_id == hold_id:
                return known
        return None

    def with_fate(self, fate: Fate) -> KnownHold | None:
        """Return the deployment's hold that is open, or that was settled."""
        return next((known for known in self.holds if known.fate == fate), None)

    def after(self, fact: Fact, wallet: Wallet) -> "DeploymentHolds":
        """Return what is known once a fact of the wallet, as it was before, has come to be."""
        match fact:
            case HoldPlaced(hold=hold):
                return self._with(KnownHold(hold_id=hold.hold_id, fate="PLACED", hold=hold))
            case HoldSettled(hold=hold):
                lots = _terms(hold, wallet)
                settled = KnownHold(hold_id=hold.hold_id, fate="SETTLED", hold=hold, lots=lots)
                return self._with(settled)
            case HoldReleased(hold=hold):
                return self._with(KnownHold(hold_id=hold.hold_id, fate="RELEASED"))
            case SettlementRefunded(hold=hold):
                return self._refunded(hold.hold_id, Refund(fact.refund_id, fact.credits))
            case HoldRefused(hold_id=hold_id):
                return self._with(KnownHold(hold_id=hold_id, fate="REFUSED"))
            case _:
                return self

    def _with(self, changed: KnownHold) -> "DeploymentHolds":
        others = tuple(known for known in self.holds if known.hold_id != changed.hold_id)
        return DeploymentHolds(holds=(*others, changed))

    def _refunded(self, hold_id: str, refund: Refund) -> "DeploymentHolds":
        known = self.known(hold_id)
        if known is None:
            raise LookupError(f"hold {hold_id} is refunded but not known")
        return self._with(msgspec.structs.replace(known, refunds=(*known.refunds, refund)))


def _terms(hold: Hold, wallet: Wallet) -> tuple[LotTerms, ...]:
    """Return the terms of the lots that a hold is of; all are open while it is."""
    return tuple(terms_of(wallet.lots[lot_id]) for lot_id in {s.lot_id: None for s in hold.slices})
