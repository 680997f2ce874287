"""Folds one wallet's facts from its first on, checking each against what is decided again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from contracts import money_rules
from runtime.store import FactRow
from services.ledger import balances
from services.ledger.checking.redecide import Beside, decided_again
from services.ledger.checking.settled import SettledBook
from services.ledger.effects import effect_of
from services.ledger.events import (
    Balance,
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
    PurchaseRefunded,
    Reversal,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.evolution import evolve
from services.ledger.knowledge import DeploymentHolds, KnownHold
from services.ledger.lots import expire_due
from services.ledger.open_lots import ContradictionError
from services.ledger.slices import OverlapError, size
from services.ledger.wallet import Wallet

DECODER: Final = msgspec.json.Decoder(Fact)


class Settlement(NamedTuple):
    """One hold that was spent, and what it earned.

    With a `count` of 0 it is what a later fact changed of that, negative where it takes back.
    `kind` is the fact's, as revenue calls its lines, and `earning` how many credits earned.
    """

    hold: Hold
    at: datetime
    awarded_credits: int
    purchased_credits: int
    true_revenue_minor: int
    earning: int
    kind: str = "settled"
    count: int = 1  # type: ignore[assignment]  # hides the tuple's own count, which nobody needs

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
    voided: int = 0


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
    refunded_total: int = 0
    objections: list[Objection] = field(default_factory=list)
    broken: bool = False
    _settled: SettledBook = field(default_factory=SettledBook)
    _due: list[Fact] = field(default_factory=list)

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
            before, self.wallet = self.wallet, evolve(self.wallet, fact)
            self._keep(fact, row.at)
            self._settled.take(fact, row.body, before)
        except (msgspec.MsgspecError, ContradictionError, OverlapError, ValueError) as error:
            self._object(row.version, f"cannot be folded: {error}")
            self.broken = True
        self.version, self.last_at = row.version, row.at

    def finish(self) -> None:
        """Check what must hold after the last fact."""
        if self.broken or self.last_at is None:
            return
        for due in self._due:
            self._object(self.version, f"what it brings is missing: {due}")
        left_over, _ = expire_due(self.wallet, self.last_at)
        if left_over:
            self._object(self.version, "a lot that was due is not expired")
        counted = self._counted()
        if counted != self.wallet.balance:
            self._object(self.version, f"the lots come to {counted}, not to {self.wallet.balance}")

    def _check(self, fact: Fact, row: FactRow) -> None:
        """Decide a fact again, unless the fact before it brought it: then only compare."""
        if self.last_at is not None and row.at < self.last_at:
            self._object(row.version, "it is earlier than the fact before it")
        if self._due:
            due = self._due.pop(0)
            if due != fact or row.at != self.last_at:
                self._object(row.version, f"the fact before it brings {due}")
                self._due.clear()
            return
        again = decided_again(
            fact, self.wallet, row.at, user_id=self.user_id, beside=self._beside(fact)
        )
        self._due = list(again.following)
        if again.problem is not None:
            self._object(row.version, again.problem)

    def _beside(self, fact: Fact) -> Beside:
        """Return what was known beside the wallet before a fact, from the wallet's own facts."""
        match fact:
            case HoldSettled(hold=hold) | HoldReleased(hold=hold):
                record = self.open_holds.get(hold.hold_id)
                if record is None:
                    return Beside()
                known = KnownHold(hold_id=hold.hold_id, fate="PLACED", hold=record)
                return Beside(DeploymentHolds(holds=(known,)))
            case HoldPlaced(hold=hold):
                return Beside(self._others(hold.deployment_id))
            case HoldRefused(deployment_id=deployment_id):
                return Beside(self._others(deployment_id))
            case SettlementRefunded(hold=hold):
                return Beside(DeploymentHolds(holds=self._settled.of_deployment(hold)))
            case PurchaseRefunded(lot_id=lot_id) | DisputeClosed(lot_id=lot_id):
                return Beside(DeploymentHolds(), *self._settled.of_lot(lot_id))
            case DisputeOpened(lot_id=lot_id):
                return Beside(spending=self._settled.spending.spending(lot_id))
            case _:
                return Beside()

    def _others(self, deployment_id: str) -> DeploymentHolds:
        settled = self._settled.hold_id(deployment_id)
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
            case HoldPlaced(hold=hold):
                self.open_holds[hold.hold_id] = hold
            case HoldSettled(hold=hold):
                del self.open_holds[hold.hold_id]
                self._settle(hold, at)
            case HoldReleased(hold=hold, voided=voided):
                del self.open_holds[hold.hold_id]
                self._count(voided, voided=1)
            case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
                self.lots[lot.lot_id] = LotPlaces(lot.credits)
            case HoldRefused():
                return
            case CreditsExpired(slices=slices):
                self._count(slices, expired=1)
            case CreditsAdjusted(slices=slices):
                self._count(slices, adjusted=1)
            case _:
                self._correct(fact, at)
        self.movements += 1

    def _correct(self, fact: Reversal, at: datetime) -> None:
        match fact:
            case SettlementRefunded(slices=slices):
                self._count(slices, spent=-1)
                self.refunded_total += fact.credits
            case PurchaseRefunded(slices=slices):
                self._count(slices, voided=1)
            case SettlementReversed(slices=slices):
                self._count(slices, spent=-1, voided=1)
            case DebtRepaid(slices=slices):
                self._count(slices, spent=1)
            case DisputeOpened() | DisputeClosed():
                pass
        effect = effect_of(fact)
        if effect.hold is not None:
            self.corrections.append(
                Settlement(
                    hold=effect.hold,
                    at=at,
                    awarded_credits=effect.awarded_spent,
                    purchased_credits=effect.purchased_spent,
                    true_revenue_minor=effect.earns,
                    earning=effect.earning,
                    kind="repaid" if isinstance(fact, DebtRepaid) else tag_of(fact),
                    count=0,
                )
            )

    def _count(
        self,
        slices: Iterable[Slice],
        *,
        spent: int = 0,
        expired: int = 0,
        adjusted: int = 0,
        voided: int = 0,
    ) -> None:
        """Move the credits of slices between the places of their lots, so many times each."""
        for part in slices:
            places = self.lots[part.lot_id]
            places.spent += spent * part.credits
            places.expired += expired * part.credits
            places.adjusted += adjusted * part.credits
            places.voided += voided * part.credits

    def _settle(self, hold: Hold, at: datetime) -> None:
        self._count(hold.slices, spent=1)
        awarded, purchased = balances.parts(hold.slices)
        revenue = sum(_revenue_minor(spent) for spent in hold.slices)
        self.settlements.append(Settlement(hold, at, awarded, purchased, revenue, purchased))
        self.settled_total += 1

    def _counted(self) -> Balance:
        """Return the balance as the open lots come to."""
        awarded, awarded_held, awarded_frozen = _sums(self.wallet, purchased=False)
        purchased, purchased_held, purchased_frozen = _sums(self.wallet, purchased=True)
        debt = sum(part.credits for debt in self.wallet.debts for part in debt.slices)
        return Balance(
            awarded=awarded,
            purchased=purchased - debt,
            awarded_held=awarded_held,
            purchased_held=purchased_held,
            awarded_frozen=awarded_frozen,
            purchased_frozen=purchased_frozen,
            debt=debt,
        )

    def _object(self, version: int, problem: str) -> None:
        self.objections.append(Objection(self.stream, version, problem))


def tag_of(fact: Fact) -> str:
    """Return the name that a kind of fact is stored under."""
    return str(fact.__struct_config__.tag)


def _sums(wallet: Wallet, *, purchased: bool) -> tuple[int, int, int]:
    """Return how many credits the open lots of a kind have, are held and are frozen."""
    lots = [lot for lot in wallet.lots.values() if lot.purchased == purchased]
    return (
        sum(size(lot.free) + lot.held for lot in lots),
        sum(lot.held for lot in lots),
        sum(size(lot.free) for lot in lots if lot.frozen),
    )


def _revenue_minor(spent: Slice) -> int:
    return money_rules.slice_revenue(
        lot_kind=spent.lot_kind,
        price_minor=spent.lot_price_minor,
        lot_credits=spent.lot_credits,
        start=spent.start,
        end=spent.end,
    )
