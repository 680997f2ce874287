"""Folds one wallet's facts from its first on, checking each against what is decided again."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from contracts import money_rules
from runtime.store import FactRow
from services.ledger import balances
from services.ledger.checking.redecide import objection
from services.ledger.effects import effect_of
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
    Reversal,
    Slice,
)
from services.ledger.evolution import evolve
from services.ledger.knowledge import DeploymentHolds, KnownHold
from services.ledger.lots import expire_due
from services.ledger.open_lots import ContradictionError
from services.ledger.slices import OverlapError, size
from services.ledger.wallet import Wallet

DECODER: Final = msgspec.json.Decoder(Fact)


@dataclass(frozen=True, slots=True)
class Settlement:
    """One hold that was spent, and what it earned.

    With a `count` of 0 it is what a later fact changed of that, negative where it takes back.
    """

    hold: Hold
    at: datetime
    awarded_credits: int
    purchased_credits: int
    true_revenue_minor: int
    count: int = 1

    @property
    def payees(self) -> tuple[money_rules.Payee, ...]:
        """Return who earns a share of it."""
        return money_rules.payees(
            user_id=self.hold.user_id,
            partner_id=self.hold.partner_id,
            agent_id=self.hold.agent_id,
            partner_basis_points=self.hold.share_rule.partner_basis_points,
            agent_basis_points=self.hold.share_rule.agent_basis_points,
        )


@dataclass(slots=True)
class LotPlaces:
    """Where those credits of a lot have gone that are no longer in the wallet."""

    credits: int
    spent: int = 0
    expired: int = 0
    adjusted: int = 0


@dataclass(frozen=True, slots=True)
class Objection:
    """What is wrong with a fact, or with the wallet after its last one."""

    stream: str
    version: int
    problem: str


@dataclass
class WalletFold:
    """One wallet, as far as its facts were taken. What is wrong stands in `objections`."""

    stream: str
    wallet: Wallet = field(default_factory=Wallet)
    version: int = 0
    last_at: datetime | None = None
    movements: int = 0
    lots: dict[str, LotPlaces] = field(default_factory=dict)
    open_holds: dict[str, Hold] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)
    corrections: list[Settlement] = field(default_factory=list)
    settled_total: int = 0
    objections: list[Objection] = field(default_factory=list)
    broken: bool = False
    _settled: dict[str, str] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        """Return whose wallet it is."""
        return self.stream.partition("-")[2]

    def take(self, row: FactRow) -> None:
        """Check one fact, and fold it; after one that cannot be folded nothing more is taken."""
        if self.broken:
            return
        try:
            fact = DECODER.decode(row.body)
            self._check(fact, row)
            self.wallet = evolve(self.wallet, fact)
            self._keep(fact, row.at)
        except (msgspec.MsgspecError, ContradictionError, OverlapError, ValueError) as error:
            self._object(row.version, f"cannot be folded: {error}")
            self.broken = True
        self.version, self.last_at = row.version, row.at

    def finish(self) -> None:
        """Check what must hold after the last fact."""
        if self.broken or self.last_at is None:
            return
        left_over, _ = expire_due(self.wallet, self.last_at)
        if left_over:
            self._object(self.version, "a lot that was due is not expired")
        counted = self._counted()
        if counted != self.wallet.balance:
            self._object(self.version, f"the lots come to {counted}, not to {self.wallet.balance}")

    def _check(self, fact: Fact, row: FactRow) -> None:
        if self.last_at is not None and row.at < self.last_at:
            self._object(row.version, "it is earlier than the fact before it")
        known = self._known(fact)
        problem = objection(fact, self.wallet, row.at, user_id=self.user_id, holds=known)
        if problem is not None:
            self._object(row.version, problem)

    def _known(self, fact: Fact) -> DeploymentHolds:
        """Return what was known of a fact's deployment before it, from the wallet's own facts."""
        match fact:
            case HoldSettled(hold=hold) | HoldReleased(hold=hold):
                record = self.open_holds.get(hold.hold_id)
                if record is None:
                    return DeploymentHolds()
                return DeploymentHolds(
                    holds=(KnownHold(hold_id=hold.hold_id, fate="PLACED", hold=record),)
                )
            case HoldPlaced(hold=hold):
                return self._others(hold.deployment_id)
            case HoldRefused(deployment_id=deployment_id):
                return self._others(deployment_id)
            case _:
                return DeploymentHolds()

    def _others(self, deployment_id: str) -> DeploymentHolds:
        settled = self._settled.get(deployment_id)
        if settled is not None:
            return DeploymentHolds(holds=(KnownHold(hold_id=settled, fate="SETTLED"),))
        return DeploymentHolds(
            holds=tuple(
                KnownHold(hold_id=hold.hold_id, fate="PLACED", hold=hold)
                for hold in self.open_holds.values()
                if hold.deployment_id == deployment_id
            )
        )

    def _keep(self, fact: Fact, at: datetime) -> None:
        """Remember what the comparison and the figures need of a fact."""
        match fact:
            case HoldRefused():
                return
            case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
                self.lots[lot.lot_id] = LotPlaces(lot.credits)
            case HoldPlaced(hold=hold):
                self.open_holds[hold.hold_id] = hold
            case HoldReleased(hold=hold):
                del self.open_holds[hold.hold_id]
            case HoldSettled(hold=hold):
                del self.open_holds[hold.hold_id]
                self._settled[hold.deployment_id] = hold.hold_id
                self._settle(hold, at)
            case CreditsExpired(slices=slices):
                for gone in slices:
                    self.lots[gone.lot_id].expired += gone.credits
            case CreditsAdjusted(slices=slices):
                for gone in slices:
                    self.lots[gone.lot_id].adjusted += gone.credits
            case _:
                self._correct(fact, at)
        self.movements += 1

    def _correct(self, fact: Reversal, at: datetime) -> None:
        effect = effect_of(fact)
        if effect.hold is not None:
            self.corrections.append(
                Settlement(
                    hold=effect.hold,
                    at=at,
                    awarded_credits=effect.awarded_spent,
                    purchased_credits=effect.purchased_spent,
                    true_revenue_minor=effect.earns,
                    count=0,
                )
            )

    def _settle(self, hold: Hold, at: datetime) -> None:
        for spent in hold.slices:
            self.lots[spent.lot_id].spent += spent.credits
        awarded, purchased = balances.parts(hold.slices)
        revenue = sum(_revenue_minor(spent) for spent in hold.slices)
        self.settlements.append(Settlement(hold, at, awarded, purchased, revenue))
        self.settled_total += 1

    def _counted(self) -> Balance:
        """Return the balance as the open lots come to."""
        counts = {True: [0, 0], False: [0, 0]}
        for lot in self.wallet.lots.values():
            counts[lot.purchased][0] += size(lot.free) + lot.held
            counts[lot.purchased][1] += lot.held
        (awarded, awarded_held), (purchased, purchased_held) = counts[False], counts[True]
        return Balance(awarded, purchased, awarded_held, purchased_held)

    def _object(self, version: int, problem: str) -> None:
        self.objections.append(Objection(self.stream, version, problem))


def _revenue_minor(spent: Slice) -> int:
    return money_rules.slice_revenue(
        lot_kind=spent.lot_kind,
        price_minor=spent.lot_price_minor,
        lot_credits=spent.lot_credits,
        start=spent.start,
        end=spent.end,
    )
