"""A year's books, kept by hand: credit by credit, as plainly as it can be said.

It knows nothing of slices, holds, streams or rounding lines. A credit of a purchase is worth the
same as every other one of it, so that it matters only how many are spent.
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Lot:
    """Credits that came together; awarded ones are worth nothing and may expire."""

    lot_id: str
    credits: int
    worth: int = 0
    expires_at: datetime | None = None
    free: int = 0
    disputed: bool = False


@dataclass
class Deployment:
    """What a deployment took, lot by lot in order, and who is due which basis points of it."""

    name: str
    payees: list[tuple[str, int]]
    taken: list[tuple[Lot, int]] = field(default_factory=list)
    refundable: bool = True


@dataclass(frozen=True)
class Line:
    """Money earned, or taken back, in a month; `lots` are those that it was earned from."""

    month: str
    minor: int
    payees: list[tuple[str, int]]
    lots: frozenset[str]


@dataclass
class Book:
    """One user's lots and deployments, and everybody's lines."""

    lines: list[Line]
    lots: list[Lot] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)

    def add(self, lot: Lot) -> Lot:
        """Note credits that came."""
        lot.free = lot.credits
        self.lots.append(lot)
        return lot

    def spend(self, deployment: Deployment, cost: int, at: datetime) -> bool:
        """Take credits: awarded ones first, those that expire soonest first; else nothing."""
        self.lots = [lot for lot in self.lots if not (lot.expires_at and lot.expires_at <= at)]
        awarded = [lot for lot in self.lots if not lot.worth]
        never = datetime.max.replace(tzinfo=at.tzinfo)
        awarded.sort(key=lambda lot: lot.expires_at or never)
        bought = [lot for lot in self.lots if lot.worth and not lot.disputed]
        if sum(lot.free for lot in (*awarded, *bought)) < cost:
            return False
        for lot in (*awarded, *bought):
            part = min(cost, lot.free)
            if part:
                lot.free -= part
                cost -= part
                deployment.taken.append((lot, part))
        return True

    def settle(self, deployment: Deployment, at: datetime) -> None:
        """Earn what was taken."""
        self.deployments.append(deployment)
        self._line(deployment, deployment.taken, 1, at)

    def release(self, deployment: Deployment) -> None:
        """Put back what was taken."""
        for lot, part in deployment.taken:
            lot.free += part

    def refund(self, deployment: Deployment, credits_back: int, at: datetime) -> None:
        """Give back the last credits that were taken."""
        back, left = [], credits_back
        for lot, part in reversed(deployment.taken):
            step = min(part, left)
            if step:
                lot.free += step
                left -= step
                back.append((lot, step))
        self._line(deployment, back, -1, at, deployment.taken)
        deployment.refundable = False

    def void(self, lot: Lot, instead: Lot, at: datetime) -> None:
        """Take a purchase back; what was spent of it is paid from another one."""
        lot.free = 0
        lot.disputed = False
        self.lots = [each for each in self.lots if each is not lot]
        for deployment in self.deployments:
            part = sum(taken for each, taken in deployment.taken if each is lot)
            if not part:
                continue
            deployment.refundable = False
            self._line(deployment, [(lot, part)], -1, at, deployment.taken)
            instead.free -= part
            self._line(deployment, [(instead, part)], 1, at)

    def owed(self, lot: Lot) -> int:
        """Return how many credits of a purchase are spent for good."""
        return sum(part for each in self.deployments for other, part in each.taken if other is lot)

    def _line(
        self,
        deployment: Deployment,
        parts: list[tuple[Lot, int]],
        sign: int,
        at: datetime,
        earned_from: list[tuple[Lot, int]] | None = None,
    ) -> None:
        minor = sign * sum(lot.worth * part for lot, part in parts)
        if minor:
            lots = frozenset(lot.lot_id for lot, _ in earned_from or parts if lot.worth)
            self.lines.append(Line(f"{at:%Y-%m}", minor, deployment.payees, lots))
