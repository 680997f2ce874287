"""A recorded fact is believed only if it would be decided again, to the last slice."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.ledger.checking.redecide import Beside, decided_again
from services.ledger.events import Fact
from services.ledger.knowledge import DeploymentHolds
from services.ledger.wallet import Wallet
from tests.unit.ledger.book import (
    OWNER,
    Book,
    Step,
    adjust,
    award,
    days,
    given,
    hold,
    purchase,
    release,
    settle,
)

replace = msgspec.structs.replace
HISTORY: tuple[Step, ...] = (
    award("a", 30, days_to_live=9),
    award("b", 30, days_to_live=3),
    purchase("p", 100, 9_999),
)


def shifted(fact: Any) -> Any:
    """Return a hold of the next credits of the same lots."""
    slices = tuple(replace(s, start=s.start + 1, end=s.end + 1) for s in fact.hold.slices)
    return with_hold(fact, slices=slices)


def with_hold(fact: Any, **changes: Any) -> Any:
    """Return a fact of a hold with another hold in it."""
    return replace(fact, hold=replace(fact.hold, **changes))


def with_balance(fact: Any) -> Any:
    """Return a fact with one credit more after it."""
    return replace(fact, balance=replace(fact.balance, purchased=fact.balance.purchased + 1))


FORGERIES: dict[str, tuple[Step, Callable[[Any], Any]]] = {
    "other slices of the lots": (hold("d", 20), shifted),
    "a lot that is not next": (
        hold("d", 20),
        lambda f: with_hold(f, slices=(replace(f.hold.slices[0], lot_id="a"),)),
    ),
    "a price that the lot did not have": (
        hold("d", 70),
        lambda f: with_hold(
            f, slices=(*f.hold.slices[:-1], replace(f.hold.slices[-1], lot_price_minor=1))
        ),
    ),
    "a cost that is not the list price": (hold("d", 20), lambda f: with_hold(f, list_price=40)),
    "a rule that does not apply": (hold("d", 20), lambda f: with_hold(f, gate="CREDITS_OFF")),
    "a premium module paid with awards": (hold("d", 20), lambda f: with_hold(f, premium=True)),
    "a partner's own module that was paid for": (
        hold("d", 20),
        lambda f: with_hold(f, partner_id=OWNER),
    ),
    "somebody else's hold": (hold("d", 20), lambda f: with_hold(f, user_id="somebody")),
    "another burn order": (hold("d", 20), lambda f: with_hold(f, algorithm_version=2)),
    "another currency": (hold("d", 20), lambda f: with_hold(f, currency="EUR")),
    "another balance": (hold("d", 20), with_balance),
    "a refusal of what could be paid": (hold("d", 999), lambda f: replace(f, required=50)),
    "a refusal for another reason": (
        hold("d", 999),
        lambda f: replace(f, code="INSUFFICIENT_PURCHASED_CREDITS"),
    ),
    "an award to oneself": (award("x", 5), lambda f: replace(f, awarded_by=OWNER)),
    "an award of nothing": (
        award("x", 5),
        lambda f: replace(f, lot=replace(f.lot, credits=0)),
    ),
    "an award that had a price": (
        award("x", 5),
        lambda f: replace(f, lot=replace(f.lot, price_minor=1)),
    ),
    "a purchase at another position": (
        purchase("x", 5, 5),
        lambda f: replace(f, lot=replace(f.lot, position=9)),
    ),
    "a deduction of other slices": (
        adjust(5),
        lambda f: replace(f, slices=(replace(f.slices[0], start=1, end=6),)),
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_fact_is_objected_to(what: str) -> None:
    step, forge = FORGERIES[what]
    book = given(*HISTORY)
    before = book.wallet
    fact = step(book)[-1]
    assert object_to(fact, before, book) is None
    assert object_to(forge(fact), before, book) is not None


@pytest.mark.parametrize("step", [settle("d"), release("d")])
def test_a_hold_that_ends_otherwise_than_it_was_placed_is_objected_to(step: Step) -> None:
    book = given(*HISTORY, hold("d", 20))
    before, holds = book.wallet, book.holds("d")
    [fact] = step(book)
    assert object_to(fact, before, book, holds) is None
    forged = with_hold(fact, share_rule=replace(fact.hold.share_rule, partner_basis_points=9_999))  # type: ignore[union-attr]
    assert object_to(forged, before, book, holds) is not None
    assert object_to(fact, before, book) is not None, "a hold that was never placed"


def test_a_fact_that_comes_while_a_lot_is_due_is_objected_to() -> None:
    book = given(*HISTORY)
    days(3)(book)
    before = book.wallet
    expired, awarded = award("x", 5)(book)
    assert object_to(expired, before, book) is None
    assert object_to(awarded, before, book) is not None


def test_an_expiry_before_its_time_is_objected_to() -> None:
    book = given(*HISTORY)
    days(3)(book)
    before = book.wallet
    [expired, _] = award("x", 5)(book)
    days(-1)(book)
    assert object_to(expired, before, book) is not None


def object_to(
    fact: Fact, wallet: Wallet, book: Book, holds: DeploymentHolds | None = None
) -> str | None:
    """Return what is objected to a fact that is said to have come to be at the book's instant."""
    beside = Beside(holds or DeploymentHolds())
    return decided_again(fact, wallet, book.at, user_id=OWNER, beside=beside).problem
