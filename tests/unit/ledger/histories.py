"""Histories of a few wallets with every kind of fact: drawn by Hypothesis, or long and seeded."""

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from hypothesis import strategies as st

from runtime.refusal import Refusal
from services.ledger.events import CreditsPurchased, DisputeOpened
from tests.unit.ledger.book import (
    Book,
    Step,
    adjust,
    award,
    days,
    expire,
    hold,
    purchase,
    release,
    settle,
)
from tests.unit.ledger.taking_back import close, dispute, refund, refund_purchase

if TYPE_CHECKING:
    from collections.abc import Callable

Histories = dict[str, Book]

_KINDS: Final = "PPPSSSSSHHHHHBBQQAARRXDDEFG"
_LIFETIMES: Final = (None, 1, 3, 9)
_PARTNERS: Final = (None, "pa", "pb", "owner")
_AGENTS: Final = (None, "aa", "owner")
_USERS: Final = ("u1", "u2", "u-3", "ué")


class Happening(NamedTuple):
    """Something that may happen; `which` chooses what it ends or takes back, of what there is."""

    kind: str
    number: int
    price: int
    lifetime: int | None
    which: int
    premium: bool
    partner: str | None
    agent: str | None

    def step(self, book: Book, count: int) -> Step:
        """Return it as a step for a wallet."""
        placed = [name for name, known in book.deployments.items() if known.holds]
        some = self._one_of(placed)
        lot_id = self._one_of(
            [fact.lot.lot_id for fact in book.facts if isinstance(fact, CreditsPurchased)]
        )
        case = self._one_of([fact.lot_id for fact in book.facts if isinstance(fact, DisputeOpened)])
        steps: dict[str, Callable[[], Step]] = {
            "A": lambda: award(f"a{count}", self.number, days_to_live=self.lifetime),
            "P": lambda: purchase(f"p{count}", self.number, self.price, bonus=self.which % 4 * 3),
            "H": lambda: hold(
                f"d{count}",
                self.number // 2,
                premium=self.premium,
                partner_id=self.partner,
                agent_id=self.agent,
            ),
            "S": lambda: settle(some),
            "R": lambda: release(some),
            "X": lambda: adjust(self.number),
            "D": lambda: days(1 + self.which / 7),
            "B": lambda: refund(some, self.number // 4 + 1 if self.premium else None),
            "Q": lambda: refund_purchase(lot_id, self.price // 2 + 1),
            "E": lambda: dispute(lot_id, self.price + 1),
            "F": lambda: close(case, "WON"),
            "G": lambda: close(case, "LOST"),
        }
        return steps[self.kind]()

    def _one_of(self, names: list[str]) -> str:
        return names[-1 - self.which % len(names)] if names else "none"


happenings = st.builds(
    Happening,
    kind=st.sampled_from(_KINDS),
    number=st.integers(1, 60),
    price=st.integers(0, 5_000),
    lifetime=st.sampled_from(_LIFETIMES),
    which=st.integers(0, 50),
    premium=st.booleans(),
    partner=st.sampled_from(_PARTNERS),
    agent=st.sampled_from(_AGENTS),
)


@st.composite
def histories(draw: st.DrawFn) -> Histories:
    """Draw up to four wallets and what happened to them."""
    users = draw(st.sets(st.sampled_from(_USERS), min_size=1))
    return {user: book_of(draw(st.lists(happenings, min_size=5, max_size=40))) for user in users}


def long_histories(seed: int) -> Histories:
    """Return four wallets to which much has happened, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a history, and no secret
    return {user: book_of([_by_chance(chance) for _ in range(150)]) for user in _USERS}


def _by_chance(chance: random.Random) -> Happening:
    return Happening(
        kind=chance.choice(_KINDS),
        number=chance.randint(1, 60),
        price=chance.randint(0, 5_000),
        lifetime=chance.choice(_LIFETIMES),
        which=chance.randint(0, 50),
        premium=chance.random() < 0.5,
        partner=chance.choice(_PARTNERS),
        agent=chance.choice(_AGENTS),
    )


def book_of(happened: list[Happening]) -> Book:
    """Return a wallet to which all this happened, but for what a rule forbids."""
    book = Book()
    for count, happening in enumerate(happened):
        _happen(book, happening.step(book, count))
    _happen(book, expire())
    return book


def _happen(book: Book, step: Step) -> None:
    try:
        step(book)
    except Refusal:
        return
