"""What holds of any wallet, however its history went."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts.money_rules import slice_value
from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    Fact,
    HoldPlaced,
    HoldReleased,
    HoldSettled,
    Lot,
    PurchaseRefunded,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.slices import size
from tests.unit.ledger.book import Book
from tests.unit.ledger.taking_back import replayed


@dataclass
class Places:
    """Where each credit of each lot is, by its number, followed from the facts alone."""

    lots: dict[str, Lot] = field(default_factory=dict)
    where: dict[str, list[str]] = field(default_factory=dict)

    def take(self, fact: Fact) -> None:  # noqa: C901, PLR0912 - one branch for each fact
        """Move what a fact moves; each credit must be where the fact says that it was."""
        match fact:
            case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
                self.lots[lot.lot_id] = lot
                self.where[lot.lot_id] = ["free"] * lot.credits
            case HoldPlaced(hold=hold):
                self.move(hold.slices, "free", "held")
            case HoldReleased(hold=hold, voided=voided):
                self.move(hold.slices, "held", "free")
                self.move(voided, "free", "voided")
            case HoldSettled(hold=hold):
                self.move(hold.slices, "held", "spent")
            case CreditsExpired(slices=slices):
                self.move(slices, "free", "expired")
            case CreditsAdjusted(slices=slices):
                self.move(slices, "free", "adjusted")
            case SettlementRefunded(slices=slices):
                self.move(slices, "spent", "free")
            case PurchaseRefunded(slices=slices, held=held):
                self.move(slices, "free", "voided")
                self.move(held, "held", "held")
            case SettlementReversed(slices=slices):
                self.move(slices, "spent", "voided")
            case DebtRepaid(slices=slices, reversed=reversed_slices):
                self.move(slices, "free", "spent")
                self.move(reversed_slices, "voided", "voided")
            case DisputeOpened(slices=slices) | DisputeClosed(slices=slices):
                self.move(slices, "free", "free")
            case _:
                pass

    def move(self, slices: Iterable[Slice], source: str, target: str) -> None:
        """Move credits from one place to another."""
        for part in slices:
            where = self.where[part.lot_id]
            assert where[part.start : part.end] == [source] * part.credits
            where[part.start : part.end] = [target] * part.credits


def places_of(book: Book) -> Places:
    """Return where each credit is."""
    places = Places()
    for fact in book.facts:
        places.take(fact)
    return places


def assert_conserved(book: Book) -> None:
    """Each credit of each lot is in one place, and the wallet says the same of free and held."""
    for lot_id, where in places_of(book).where.items():
        lot = book.wallet.lots.get(lot_id)
        free = set() if lot is None else {n for a, b in lot.free for n in range(a, b)}
        held = {
            number
            for ranges in book.wallet.holds.values()
            for part in ranges
            if part.lot_id == lot_id
            for number in range(part.start, part.end)
        }
        assert free == {n for n, place in enumerate(where) if place == "free"}
        assert held == {n for n, place in enumerate(where) if place == "held"}
        assert (lot is None) == (not free and not held)
        assert lot is None or lot.held == len(held)


def assert_balance(book: Book) -> None:
    """The balance is what the lots come to, and only debt and disputes take it below zero."""
    wallet, balance = book.wallet, book.wallet.balance
    lots = {kind: [lot for lot in wallet.lots.values() if lot.purchased == kind] for kind in (0, 1)}
    owned = [sum(size(lot.free) + lot.held for lot in lots[kind]) for kind in (0, 1)]
    held = [sum(lot.held for lot in lots[kind]) for kind in (0, 1)]
    frozen = [sum(size(lot.free) for lot in lots[kind] if lot.frozen) for kind in (0, 1)]
    debt = sum(part.credits for each in wallet.debts for part in each.slices)
    unpaid = sum(p.slice.credits for parts in wallet.amended.values() for p in parts if p.unpaid)
    assert balance.debt == debt == unpaid
    assert [balance.awarded, balance.purchased] == [owned[0], owned[1] - debt]
    assert [balance.awarded_held, balance.purchased_held] == held
    assert [balance.awarded_frozen, balance.purchased_frozen] == frozen
    assert balance.available_awarded >= 0
    assert balance.available_purchased >= -debt
    for lot in wallet.lots.values():
        case = wallet.cases.get(lot.lot_id)
        assert lot.frozen == (case is not None and case.frozen)


def assert_running_minimum(book: Book) -> None:
    """What of standard costs awards did not cover is the depth of one running sum's minimum.

    The sum goes up by the awarded credits that become free to spend, and down by the costs of
    standard holds and by the awarded credits that stop being free to spend otherwise.
    """
    running = lowest = uncovered = 0
    disputes: dict[str, set[str]] = {}
    for fact in book.facts:
        match fact:
            case CreditsAwarded(lot=lot):
                running += lot.credits
            case HoldPlaced(hold=record) if record.gate == "STANDARD":
                running -= record.cost
                uncovered += record.cost - awarded_in(record.slices)
            case HoldReleased(hold=record, voided=voided):
                running += awarded_in(record.slices, frozen=disputes) - awarded_in(voided)
                running += awarded_in(voided) - awarded_in(voided, frozen=disputes)
            case SettlementRefunded(slices=slices):
                running += awarded_in(slices, frozen=disputes)
            case CreditsExpired(slices=slices) | CreditsAdjusted(slices=slices):
                running -= awarded_in(slices)
            case PurchaseRefunded(slices=slices):
                running -= awarded_in(slices, frozen=disputes)
            case DisputeOpened(slices=slices, bonus_lot_id=str(bonus)):
                running -= awarded_in(slices)
                disputes.setdefault(bonus, set()).add(fact.dispute_id)
            case DisputeClosed(slices=slices, bonus_lot_id=str(bonus)):
                running += awarded_in(slices)
                disputes[bonus].discard(fact.dispute_id)
            case _:
                pass
        lowest = min(lowest, running)
        assert uncovered == max(0, -lowest)
        assert fact.balance.available_awarded == running + uncovered


def awarded_in(slices: Iterable[Slice], *, frozen: dict[str, set[str]] | None = None) -> int:
    """Return how many awarded credits slices are, without those of frozen lots."""
    return sum(
        part.credits
        for part in slices
        if not part.purchased and not (frozen or {}).get(part.lot_id)
    )


def assert_decided_again(book: Book) -> None:
    """Each fact is what would be decided again, and the fold comes to the wallet as it is."""
    fold = replayed(book.facts, book.times)
    assert fold.objections == []
    assert fold.wallet == book.wallet


def assert_slices_are_worth_the_price(book: Book) -> None:
    """What of a lot is gone, held and free is worth exactly its price, cut as it may be.

    And what its settlements have earned, less what was taken back, is the worth of what is spent.
    """
    places = places_of(book)
    earned = dict.fromkeys(places.lots, 0)
    for fact in book.facts:
        match fact:
            case HoldSettled(hold=hold):
                _add(earned, hold.slices, 1)
            case SettlementRefunded(slices=slices) | SettlementReversed(slices=slices):
                _add(earned, slices, -1)
            case DebtRepaid(slices=slices):
                _add(earned, slices, 1)
            case _:
                pass
    for lot_id, lot in places.lots.items():
        worth = dict.fromkeys(places.where[lot_id], 0)
        for number, place in enumerate(places.where[lot_id]):
            worth[place] += _value(lot, number, number + 1)
        assert sum(worth.values()) == lot.price_minor
        assert earned[lot_id] == worth.get("spent", 0)


def assert_void_is_what_was_refunded(book: Book) -> None:
    """Of each purchase and bonus, credits are void as its refunds demand, and no other."""
    for lot_id, case in book.wallet.cases.items():
        purchase = book.spending.lot(lot_id.removeprefix("bonus:"))
        lot = book.spending.lot(lot_id)
        assert lot is not None
        assert purchase is not None
        refunded = book.wallet.cases[purchase.lot_id].refunded_minor
        if purchase.price_minor:
            assert size(case.voided) == -(-lot.credits * refunded // purchase.price_minor)
        else:
            assert case.voided == ()


def _add(earned: dict[str, int], slices: Iterable[Slice], sign: int) -> None:
    for part in slices:
        earned[part.lot_id] += sign * slice_value(
            price_minor=part.lot_price_minor,
            lot_credits=part.lot_credits,
            start=part.start,
            end=part.end,
        )


def _value(lot: Lot, start: int, end: int) -> int:
    return slice_value(price_minor=lot.price_minor, lot_credits=lot.credits, start=start, end=end)
