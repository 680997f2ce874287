"""What a replay keeps of a wallet's settlements, so that what takes them back is decided again.

The record of a hold stays as the text of the fact that settled it: it is rarely asked for.
"""

from dataclasses import dataclass, field

import msgspec

from services.ledger.events import Fact, Hold, HoldSettled, LotTerms, SettlementRefunded
from services.ledger.knowledge import KnownHold, Refund
from services.ledger.open_lots import terms_of
from services.ledger.spending import Spending, SpendingBook
from services.ledger.wallet import Wallet


@dataclass(slots=True)
class _Settled:
    body: str
    lots: tuple[LotTerms, ...]
    refunds: tuple[Refund, ...] = ()


@dataclass
class SettledBook:
    """One wallet's settlements, and who spent what of its lots."""

    spending: SpendingBook = field(default_factory=SpendingBook)
    _by_hold: dict[str, _Settled] = field(default_factory=dict)
    _by_deployment: dict[str, str] = field(default_factory=dict)

    def take(self, fact: Fact, body: str, before: Wallet) -> None:
        """Take the wallet's next fact, its text, and the wallet before it."""
        self.spending.take(fact)
        match fact:
            case HoldSettled(hold=hold):
                lots = {s.lot_id: terms_of(before.lots[s.lot_id]) for s in hold.slices}
                self._by_hold[hold.hold_id] = _Settled(body, tuple(lots.values()))
                self._by_deployment[hold.deployment_id] = hold.hold_id
            case SettlementRefunded(hold=hold):
                settled = self._by_hold[hold.hold_id]
                settled.refunds = (*settled.refunds, Refund(fact.refund_id, fact.credits))
            case _:
                pass

    def hold_id(self, deployment_id: str) -> str | None:
        """Return the hold that was settled of a deployment, or nothing."""
        return self._by_deployment.get(deployment_id)

    def of_deployment(self, hold: Hold) -> tuple[KnownHold, ...]:
        """Return the settlement of a hold's deployment, if there is one."""
        hold_id = self.hold_id(hold.deployment_id)
        return () if hold_id is None else (self._known(hold_id),)

    def of_lot(self, lot_id: str) -> tuple[Spending | None, dict[str, KnownHold]]:
        """Return who spent a purchase and its bonus, and those settlements by their hold."""
        spending = self.spending.spending(lot_id)
        spent = () if spending is None else spending.spent
        return spending, {each.hold_id: self._known(each.hold_id) for each in spent}

    def _known(self, hold_id: str) -> KnownHold:
        settled = self._by_hold[hold_id]
        fact = msgspec.json.decode(settled.body, type=Fact)
        if not isinstance(fact, HoldSettled):
            raise TypeError(f"hold {hold_id} was not settled by its fact")
        return KnownHold(
            hold_id=hold_id,
            fate="SETTLED",
            hold=fact.hold,
            lots=settled.lots,
            refunds=settled.refunds,
        )
