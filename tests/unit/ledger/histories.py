"""Histories of a few wallets, with whatever may happen in them, for Hypothesis to draw."""

from collections.abc import Callable

from hypothesis import strategies as st

from runtime.refusal import Refusal
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

Histories = dict[str, Book]
Happening = Callable[[Book, int], Step]

_LIFETIMES = st.none() | st.sampled_from([1, 3, 9])


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    """Draw something that may happen; what it ends is some hold that was placed before."""
    number, price = draw(st.integers(1, 60)), draw(st.integers(0, 5_000))
    lifetime, which = draw(_LIFETIMES), draw(st.integers(0, 50))
    premium, partner = draw(st.booleans()), draw(st.sampled_from([None, "pa", "pb", "owner"]))
    agent = draw(st.sampled_from([None, "aa", "owner"]))
    kind = draw(st.sampled_from("AAPPHHHHHSSSSRRXDD"))

    def make(book: Book, count: int) -> Step:
        placed = [name for name, known in book.deployments.items() if known.holds]
        some = placed[which % len(placed)] if placed else "none"
        steps: dict[str, Callable[[], Step]] = {
            "A": lambda: award(f"a{count}", number, days_to_live=lifetime),
            "P": lambda: purchase(f"p{count}", number, price),
            "H": lambda: hold(
                f"d{count}", number, premium=premium, partner_id=partner, agent_id=agent
            ),
            "S": lambda: settle(some),
            "R": lambda: release(some),
            "X": lambda: adjust(number),
            "D": lambda: days(1 + which / 7),
        }
        return steps[kind]()

    return make


@st.composite
def histories(draw: st.DrawFn) -> Histories:
    """Draw up to four wallets and what happened to them."""
    found: Histories = {}
    for user_id in draw(st.sets(st.sampled_from(["u1", "u2", "u-3", "ué"]), min_size=1)):
        book = Book()
        for count, happening in enumerate(draw(st.lists(happenings(), max_size=40))):
            happen(book, happening(book, count))
        happen(book, expire())
        found[user_id] = book
    return found


def happen(book: Book, step: Step) -> None:
    """Let something happen, unless a rule forbids it."""
    try:
        step(book)
    except Refusal:
        return
