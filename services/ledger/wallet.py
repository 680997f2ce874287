"""What a wallet's facts fold to: what a decision needs, and nothing of what has ended.

So a decision costs the same in an old wallet as in a new one.
"""

from datetime import datetime

import msgspec

from services.ledger.events import Balance, DisputeOutcome, Hold, LotKind, LotTerms, Slice

Range = tuple[int, int]
"""Credits of a lot, from and up to but not including."""


class OpenLot(msgspec.Struct, frozen=True, array_like=True):
    """A lot that has credits left: its free ranges, lowest first, and how many credits are held.

    What is free of a `frozen` lot cannot be spent: its purchase is disputed.
    """

    lot_id: str
    position: int
    kind: LotKind
    credits: int
    price_minor: int
    granted_at: datetime
    expires_at: datetime | None
    free: tuple[Range, ...]
    held: int
    frozen: bool = False

    @property
    def purchased(self) -> bool:
        """Whether the lot's credits were paid for."""
        return self.kind == "purchase"


class HeldRange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A range of a lot that a hold has set aside."""

    lot_id: str
    start: int
    end: int


class Doomed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A held range that a refund or a lost dispute, `cause`, has made void."""

    start: int
    end: int
    cause: str


class Dispute(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A dispute of a purchase, and how it ended."""

    dispute_id: str
    amount_minor: int
    outcome: DisputeOutcome | None = None


class LotCase(msgspec.Struct, frozen=True, array_like=True):
    """What refunds and disputes have made of a lot; a bonus has its purchase's disputes.

    `voided` are all ranges that count as void, lowest first: those that were free, were reversed,
    had ended before, or are `doomed`, which are held still.
    """

    refunded_minor: int = 0
    refunds: tuple[str, ...] = ()
    voided: tuple[Range, ...] = ()
    doomed: tuple[Doomed, ...] = ()
    disputes: tuple[Dispute, ...] = ()

    @property
    def frozen(self) -> bool:
        """Whether a dispute is open."""
        return any(dispute.outcome is None for dispute in self.disputes)


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A slice of a settlement as it is paid for now; an `unpaid` one was reversed and is debt.

    `lot` are the terms of the slice's lot where it is not one that the hold took.
    """

    slice: Slice
    unpaid: bool = False
    lot: LotTerms | None = None


class Debt(msgspec.Struct, frozen=True, array_like=True):
    """Slices of a settlement that were reversed and that no purchase has repaid."""

    hold: Hold
    cause: str
    slices: tuple[Slice, ...]


class Wallet(msgspec.Struct, frozen=True, array_like=True):
    """A user's credits: the lots that have any left, and the holds that are open.

    `currency` is that of the first priced lot there ever was; `lots_granted` counts all lots,
    those that are gone included. Only what was refunded, disputed or reversed stays for good: the
    `cases` of lots by their id, the parts of `amended` settlements by hold, and the `debts`,
    oldest first, as long as they are.
    """

    currency: str | None = None
    lots_granted: int = 0
    balance: Balance = Balance()
    lots: dict[str, OpenLot] = msgspec.field(default_factory=dict)
    holds: dict[str, tuple[HeldRange, ...]] = msgspec.field(default_factory=dict)
    cases: dict[str, LotCase] = msgspec.field(default_factory=dict)
    amended: dict[str, tuple[Part, ...]] = msgspec.field(default_factory=dict)
    debts: tuple[Debt, ...] = ()
