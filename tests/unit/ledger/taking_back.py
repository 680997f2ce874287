"""Steps of a book that take back what was spent or paid, and a replay of what it has recorded."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from runtime.store import FactRow
from services.ledger.checking.fold import WalletFold
from services.ledger.commands import CloseDispute, OpenDispute, RefundPurchase, RefundSettlement
from services.ledger.events import DisputeOutcome, Fact
from services.ledger.knowledge import KnownHold
from services.ledger.spending import Spending
from tests.unit.ledger.book import FINANCE, OWNER, Book, Step

STRIPE: Final = "stripe"


def refund(
    name: str,
    number: int | None = None,
    *,
    refund_id: str | None = None,
    refunded_by: str = FINANCE,
    user_id: str = OWNER,
) -> Step:
    """Give credits of a settled deployment back, or all."""

    def step(book: Book) -> list[Fact]:
        return book.tell(
            RefundSettlement(
                user_id=user_id,
                refund_id=refund_id or f"refund-{len(book.facts)}",
                credits=number,
                reason="it was down",
                refunded_by=refunded_by,
                deployment=book.holds(name),
            ),
            name,
        )

    return step


def refund_purchase(
    lot_id: str,
    amount_minor: int,
    *,
    refund_id: str | None = None,
    currency: str = "USD",
    refunded_by: str = STRIPE,
) -> Step:
    """Give so much of a purchase's price back."""

    def step(book: Book) -> list[Fact]:
        spending = book.spending.spending(lot_id)
        return book.tell(
            RefundPurchase(
                user_id=OWNER,
                lot_id=lot_id,
                refund_id=refund_id or f"re_{len(book.facts)}",
                amount_minor=amount_minor,
                currency=currency,
                reason="asked for",
                refunded_by=refunded_by,
                spending=spending,
                settled=settled_of(book, spending),
            )
        )

    return step


def dispute(
    lot_id: str, amount_minor: int, *, dispute_id: str | None = None, currency: str = "USD"
) -> Step:
    """Open a dispute of a purchase, called `du_<lot>` unless it is said otherwise."""

    def step(book: Book) -> list[Fact]:
        return book.tell(
            OpenDispute(
                user_id=OWNER,
                lot_id=lot_id,
                dispute_id=dispute_id or f"du_{lot_id}",
                amount_minor=amount_minor,
                currency=currency,
                reason="fraudulent",
                spending=book.spending.spending(lot_id),
            )
        )

    return step


def close(lot_id: str, outcome: DisputeOutcome, *, dispute_id: str | None = None) -> Step:
    """Close a dispute."""

    def step(book: Book) -> list[Fact]:
        spending = book.spending.spending(lot_id)
        return book.tell(
            CloseDispute(
                user_id=OWNER,
                lot_id=lot_id,
                dispute_id=dispute_id or f"du_{lot_id}",
                outcome=outcome,
                reason="decided",
                closed_by=STRIPE,
                spending=spending,
                settled=settled_of(book, spending),
            )
        )

    return step


def settled_of(book: Book, spending: Spending | None) -> dict[str, KnownHold]:
    """Return what is known of the settlements that spent something."""
    known = {}
    for each in () if spending is None else spending.spent:
        found = book.holds(each.deployment_id).known(each.hold_id)
        if found is not None:
            known[each.hold_id] = found
    return known


def replayed(facts: Sequence[Fact], times: Iterable[datetime]) -> WalletFold:
    """Return a wallet folded from stored facts, each decided again."""
    fold = WalletFold(f"wallet-{OWNER}")
    for version, (fact, at) in enumerate(zip(facts, times, strict=True), start=1):
        body = msgspec.json.encode(fact).decode()
        fold.take(FactRow(fold.stream, version, "id", at, body, "a", "c", None, b"", b""))
    fold.finish()
    return fold
