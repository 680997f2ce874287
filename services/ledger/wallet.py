"""What a wallet's facts fold to: what a decision needs, and nothing of what has ended.

So a decision costs the same in an old wallet as in a new one.
"""

from datetime import datetime

import msgspec

from services.ledger.events import Balance, LotKind

Range = tuple[int, int]
"""Credits of a lot, from and up to but not including."""


class OpenLot(msgspec.Struct, frozen=True, array_like=True):
    """A lot that has credits left: its free ranges, lowest first, and how many credits are held."""

    lot_id: str
    position: int
    kind: LotKind
    credits: int
    price_minor: int
    granted_at: datetime
    expires_at: datetime | None
    free: tuple[Range, ...]
    held: int

    @property
    def purchased(self) -> bool:
        """Whether the lot's credits were paid for."""
        return self.kind == "purchase"


class HeldRange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A range of a lot that a hold has set aside."""

    lot_id: str
    start: int
    end: int


class Wallet(msgspec.Struct, frozen=True, array_like=True):
    """A user's credits: the lots that have any left, and the holds that are open.

    `currency` is that of the first priced lot there ever was; `lots_granted` counts all lots,
    those that are gone included.
    """

    currency: str | None = None
    lots_granted: int = 0
    balance: Balance = Balance()
    lots: dict[str, OpenLot] = msgspec.field(default_factory=dict)
    holds: dict[str, tuple[HeldRange, ...]] = msgspec.field(default_factory=dict)
