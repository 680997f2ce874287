"""L12: a dispute freezes what is left of a purchase; lost it is a refund, won it is as before."""

import pytest

from services.ledger.events import Balance
from tests.unit.ledger.book import (
    Row,
    Step,
    adjust,
    award,
    days,
    given,
    hold,
    purchase,
    release,
    settle,
    spend,
    when,
)
from tests.unit.ledger.taking_back import close, dispute, refund_purchase

PURCHASE = (purchase("p", 100, 10_000, bonus=10), spend("d", 30))
DISPUTED = (*PURCHASE, dispute("p", 10_000))

ROWS = (
    Row(
        "what is free of the purchase and its bonus is frozen",
        PURCHASE,
        dispute("p", 10_000),
        ("dispute_opened p p[20:100]",),
    ),
    Row(
        "a bonus is frozen with its purchase",
        (purchase("p", 100, 10_000, bonus=10),),
        dispute("p", 5_000),
        ("dispute_opened p p[0:100] bonus:p[0:10]",),
    ),
    Row(
        "frozen credits pay for nothing",
        DISPUTED,
        hold("e", 1),
        ("hold_refused e INSUFFICIENT_TOTAL_CREDITS 1 of 0",),
    ),
    Row(
        "other lots go on paying",
        (*DISPUTED, award("a", 5), purchase("q", 5, 500)),
        hold("e", 10),
        ("hold_placed e a[0:5] q[0:5]",),
    ),
    Row(
        "frozen credits are not taken away",
        DISPUTED,
        adjust(1),
        ("refused INSUFFICIENT_TOTAL_CREDITS",),
    ),
    Row(
        "a hold of the purchase goes on, and is settled",
        (*PURCHASE, hold("e", 10), dispute("p", 10_000)),
        settle("e"),
        ("hold_settled e p[20:30]",),
    ),
    Row(
        "a dispute that was won gives all back",
        DISPUTED,
        close("p", "WON"),
        ("dispute_closed p p[20:100]",),
    ),
    Row(
        "a dispute that was lost is a refund",
        DISPUTED,
        close("p", "LOST"),
        (
            "purchase_refunded p p[20:100]",
            "settlement_reversed d bonus:p[0:10] p[0:20]",
            "dispute_closed p",
        ),
    ),
    Row(
        "a dispute of a part refunds that part, and thaws the rest",
        (*PURCHASE, dispute("p", 2_000)),
        close("p", "LOST"),
        (
            "purchase_refunded p p[80:100]",
            "settlement_reversed d bonus:p[8:10]",
            "dispute_closed p p[20:80]",
        ),
    ),
    Row(
        "no more is refunded than was paid, whatever was disputed",
        (purchase("p", 100, 10_000), dispute("p", 12_000)),
        close("p", "LOST"),
        ("purchase_refunded p p[0:100]", "dispute_closed p"),
    ),
    Row(
        "what was refunded before is not refunded again",
        (purchase("p", 100, 10_000), refund_purchase("p", 9_000), dispute("p", 10_000)),
        close("p", "LOST"),
        ("purchase_refunded p p[0:10]", "dispute_closed p"),
    ),
    Row(
        "a dispute of what was refunded wholly only ends",
        (purchase("p", 100, 10_000), refund_purchase("p", 10_000), dispute("p", 10_000)),
        close("p", "LOST"),
        ("dispute_closed p",),
    ),
    Row(
        "a second dispute freezes nothing more",
        DISPUTED,
        dispute("p", 100, dispute_id="du2"),
        ("dispute_opened p",),
    ),
    Row(
        "what one dispute that was won gives back, another keeps frozen",
        (*DISPUTED, dispute("p", 100, dispute_id="du2")),
        close("p", "WON"),
        ("dispute_closed p",),
    ),
    Row(
        "the last dispute thaws",
        (*DISPUTED, dispute("p", 100, dispute_id="du2"), close("p", "WON")),
        close("p", "WON", dispute_id="du2"),
        ("dispute_closed p p[20:100]",),
    ),
    Row("a dispute that is told again changes nothing", DISPUTED, dispute("p", 10_000), ()),
    Row(
        "an end that is told again changes nothing",
        (*DISPUTED, close("p", "LOST")),
        close("p", "LOST"),
        (),
    ),
    Row(
        "a dispute that is told again after its end changes nothing",
        (*DISPUTED, close("p", "WON")),
        dispute("p", 10_000),
        (),
    ),
    Row(
        "what is due elsewhere expires first",
        (award("a", 5, days_to_live=1), purchase("p", 10, 10), days(2)),
        dispute("p", 10),
        ("credits_expired a[0:5]", "dispute_opened p p[0:10]"),
    ),
)

REFUSALS: tuple[tuple[str, tuple[Step, ...], Step, str], ...] = (
    ("a lot that is not known", (), dispute("x", 0, currency="EUR"), "UNKNOWN_LOT"),
    ("an award", (award("a", 5),), dispute("a", 1), "UNKNOWN_LOT"),
    ("another currency", PURCHASE, dispute("p", 0, currency="EUR"), "CURRENCY_MISMATCH"),
    ("no money", PURCHASE, dispute("p", 0), "INVALID_AMOUNT"),
    ("2^63", PURCHASE, dispute("p", 2**63), "INVALID_AMOUNT"),
    ("the end of what never began", PURCHASE, close("p", "WON"), "UNKNOWN_DISPUTE"),
    ("the end of a dispute of nothing", (), close("x", "LOST"), "UNKNOWN_DISPUTE"),
    (
        "another end than it had",
        (*DISPUTED, close("p", "WON")),
        close("p", "LOST"),
        "DISPUTE_ALREADY_CLOSED",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
def test_purchases_are_disputed(row: Row) -> None:
    row.check()


@pytest.mark.parametrize(
    ("steps", "step", "code"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_disputes_that_are_refused(steps: tuple[Step, ...], step: Step, code: str) -> None:
    assert when(given(*steps), step) == [f"refused {code}"]


def test_what_is_frozen_is_owned_and_not_available() -> None:
    balance = given(purchase("p", 100, 10_000, bonus=10), dispute("p", 1)).wallet.balance
    assert balance == Balance(awarded=10, purchased=100, awarded_frozen=10, purchased_frozen=100)
    assert (balance.available_awarded, balance.available_purchased) == (0, 0)


def test_what_a_release_gives_back_to_a_disputed_purchase_is_frozen() -> None:
    book = given(purchase("p", 100, 10_000, bonus=10), hold("d", 30), dispute("p", 1), release("d"))
    assert book.wallet.balance == Balance(
        awarded=10, purchased=100, awarded_frozen=10, purchased_frozen=100
    )


def test_a_refund_during_a_dispute_makes_frozen_credits_void() -> None:
    book = given(purchase("p", 100, 10_000, bonus=10), dispute("p", 1), refund_purchase("p", 5_000))
    assert book.wallet.balance == Balance(
        awarded=5, purchased=50, awarded_frozen=5, purchased_frozen=50
    )


def test_a_lost_dispute_leaves_nothing_frozen() -> None:
    book = given(*DISPUTED, close("p", "LOST"))
    assert book.wallet.balance == Balance(purchased=-30, debt=30)
