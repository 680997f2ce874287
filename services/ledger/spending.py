"""Where the credits of a lot are that are no longer in the wallet: which settlement spent which.

A wallet forgets what has ended. Whoever takes back a purchase finds this in the facts first
(`spenders.read`) and hands it in; the decider checks under the lock that it is complete.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    Fact,
    Hold,
    HoldPlaced,
    HoldSettled,
    Lot,
    PurchaseRefunded,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.slices import with_back, without
from services.ledger.wallet import Range

Ranges = tuple[Range, ...]


class Spent(msgspec.Struct, frozen=True):
    """A range of a lot that a settlement is paid with."""

    lot_id: str
    start: int
    end: int
    hold_id: str
    deployment_id: str


class Ended(msgspec.Struct, frozen=True):
    """A range of a lot that expired or was taken away."""

    lot_id: str
    start: int
    end: int


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase and its bonus, and all of them that was spent or has ended and is not void."""

    lot: Lot
    bonus: Lot | None
    payment_id: str | None
    spent: tuple[Spent, ...]
    ended: tuple[Ended, ...]

    @property
    def lots(self) -> tuple[Lot, ...]:
        """Return the purchase, and its bonus where it has one."""
        return (self.lot,) if self.bonus is None else (self.lot, self.bonus)


@dataclass
class SpendingBook:
    """Folds a wallet's facts to who spent what of its lots, or of some `only`."""

    only: frozenset[str] | None = None
    _purchases: dict[str, CreditsPurchased] = field(default_factory=dict)
    _lots: dict[str, Lot] = field(default_factory=dict)
    _spent: dict[str, dict[str, Ranges]] = field(default_factory=dict)
    _ended: dict[str, Ranges] = field(default_factory=dict)
    _deployments: dict[str, str] = field(default_factory=dict)

    def take(self, fact: Fact) -> None:
        """Take the wallet's next fact."""
        match fact:
            case HoldPlaced():
                pass
            case CreditsPurchased(lot=lot):
                self._purchases[lot.lot_id] = fact
                self._lots[lot.lot_id] = lot
            case CreditsAwarded(lot=lot):
                self._lots[lot.lot_id] = lot
            case HoldSettled(hold=hold):
                self._spend(hold, hold.slices)
            case DebtRepaid(hold=hold, slices=slices):
                self._spend(hold, slices)
            case SettlementRefunded(hold=hold, slices=slices):
                self._unspend(hold, slices)
            case SettlementReversed(hold=hold, slices=slices):
                self._unspend(hold, slices)
            case CreditsExpired(slices=slices) | CreditsAdjusted(slices=slices):
                for gone in self._of_interest(slices):
                    ended = self._ended.get(gone.lot_id, ())
                    self._ended[gone.lot_id] = with_back(ended, gone.start, gone.end)
            case PurchaseRefunded(ended=slices):
                for gone in self._of_interest(slices):
                    ended = self._ended[gone.lot_id]
                    self._ended[gone.lot_id] = without(ended, gone.start, gone.end)
            case _:
                pass

    def lot(self, lot_id: str) -> Lot | None:
        """Return a lot that there ever was."""
        return self._lots.get(lot_id)

    def spending(self, lot_id: str) -> Spending | None:
        """Return where the credits of a purchase and of its bonus are, or nothing."""
        purchase = self._purchases.get(lot_id)
        if purchase is None:
            return None
        bonus = self._lots.get(bonus_lot_id(lot_id))
        lots = [lot.lot_id for lot in (purchase.lot, bonus) if lot is not None]
        return Spending(
            lot=purchase.lot,
            bonus=bonus,
            payment_id=purchase.payment_id,
            spent=tuple(
                Spent(each, start, end, hold_id, self._deployments[hold_id])
                for each in lots
                for hold_id, ranges in self._spent.get(each, {}).items()
                for start, end in ranges
            ),
            ended=tuple(
                Ended(each, start, end) for each in lots for start, end in self._ended.get(each, ())
            ),
        )

    def _spend(self, hold: Hold, slices: Iterable[Slice]) -> None:
        for part in self._of_interest(slices):
            self._deployments[hold.hold_id] = hold.deployment_id
            by_hold = self._spent.setdefault(part.lot_id, {})
            by_hold[hold.hold_id] = with_back(by_hold.get(hold.hold_id, ()), part.start, part.end)

    def _unspend(self, hold: Hold, slices: Iterable[Slice]) -> None:
        for part in self._of_interest(slices):
            by_hold = self._spent[part.lot_id]
            left = without(by_hold.pop(hold.hold_id), part.start, part.end)
            if left:
                by_hold[hold.hold_id] = left

    def _of_interest(self, slices: Iterable[Slice]) -> Iterable[Slice]:
        only = self.only
        return slices if only is None else [s for s in slices if s.lot_id in only]


def bonus_lot_id(lot_id: str) -> str:
    """Return the id of the bonus that a purchase may have."""
    return f"bonus:{lot_id}"
