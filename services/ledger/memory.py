"""What the ledger keeps beside its wallets of facts of its own, and how a fact alone tells it.

A wallet forgets a hold that has ended and a lot that nothing is left of. What must be known of them
for good, so that nothing is booked twice, follows from the facts: as they are decided, and again
when they are brought back to a database that was restored from a backup.
"""

from typing import Any

from runtime.floor import TimeFloor
from runtime.store import Recorded
from runtime.work import DocumentKey, Work
from services.ledger.events import (
    CreditsAwarded,
    CreditsPurchased,
    Fact,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    SettlementRefunded,
)
from services.ledger.knowledge import DEPLOYMENTS, LOTS, DeploymentHolds, KnownLot
from services.ledger.periods.handlers import FLOOR
from services.ledger.periods.rules import PeriodAttested
from services.ledger.wallet import Wallet

PROMISED = ("award.signup", "award.referral")


class Memory:
    """Brings back what is kept beside the streams; see `runtime.restored`."""

    def keys(self, record: Recorded[Any]) -> tuple[DocumentKey, ...]:
        """Return the documents that a fact changes."""
        if isinstance(record.fact, PeriodAttested):
            return (FLOOR,)
        key = _key(record.fact)
        return () if key is None else (key,)

    def remember(self, record: Recorded[Any], before: Any, work: Work) -> None:
        """Change them; `before` is the stream's state before the fact."""
        fact = record.fact
        if isinstance(fact, PeriodAttested):
            floor = work.document(*FLOOR, TimeFloor)
            if floor is None or floor.until < fact.until:
                work.put(*FLOOR, TimeFloor(until=fact.until))
        elif isinstance(before, Wallet):
            remember(fact, record.stream.partition("-")[2], before, work)


def remember(fact: Fact, user_id: str, wallet: Wallet, work: Work) -> None:
    """Keep what a fact of a wallet, as it was before, says of a lot or of a deployment's holds."""
    key = _key(fact)
    if key is None:
        return
    if isinstance(fact, CreditsAwarded | CreditsPurchased):
        work.put(*key, KnownLot(user_id=user_id))
        return
    holds = work.document(*key, DeploymentHolds) or DeploymentHolds()
    work.put(*key, holds.after(fact, wallet))


def _key(fact: Any) -> DocumentKey | None:
    match fact:
        case CreditsPurchased(lot=lot):
            return (LOTS, lot.lot_id)
        case CreditsAwarded(lot=lot) if lot.kind in PROMISED:
            return (LOTS, lot.lot_id)
        case HoldPlaced() | HoldSettled() | HoldReleased() | SettlementRefunded():
            return (DEPLOYMENTS, fact.hold.deployment_id)
        case HoldRefused(deployment_id=deployment_id):
            return (DEPLOYMENTS, deployment_id)
        case _:
            return None
