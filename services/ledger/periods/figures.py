"""What a month came to, counted from the stored facts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec

from runtime.store import FactRow
from services.ledger.effects import revenue_of
from services.ledger.events import (
    DebtRepaid,
    Fact,
    HoldSettled,
    SettlementRefunded,
    SettlementReversed,
)
from services.ledger.periods.rules import Month

_WALLET: Final = "wallet-"
_DECODER: Final = msgspec.json.Decoder(Fact)


class _Kind(msgspec.Struct):
    """Of any fact only what kind it is."""

    fact: str


_KIND: Final = msgspec.json.Decoder(_Kind)


@dataclass
class MonthFigures:
    """Takes the facts of the whole ledger, and counts those of one month."""

    month: Month
    facts_by_kind: Counter[str] = field(default_factory=Counter)
    recognized_minor: int = 0
    reversed_minor: int = 0

    @property
    def facts(self) -> int:
        """Return how many facts are in the month."""
        return self.facts_by_kind.total()

    def take(self, row: FactRow) -> None:
        """Count a fact, if it is in the month."""
        if not self.month.since <= row.at < self.month.until:
            return
        self.facts_by_kind[_KIND.decode(row.body).fact] += 1
        if not row.stream.startswith(_WALLET):
            return
        match _DECODER.decode(row.body):
            case HoldSettled(hold=hold):
                self.recognized_minor += revenue_of(hold.slices)
            case DebtRepaid(slices=slices):
                self.recognized_minor += revenue_of(slices)
            case SettlementRefunded(slices=slices) | SettlementReversed(slices=slices):
                self.reversed_minor += revenue_of(slices)
            case _:
                pass
