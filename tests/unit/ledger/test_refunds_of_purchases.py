"""L12: money that is given back makes credits void, in proportion, and what was spent is owed."""

import pytest

from services.ledger.commands import RefundPurchase
from services.ledger.events import Balance, Fact
from services.ledger.spending import Spending
from services.ledger.wallet import LotCase
from tests.unit.ledger.book import (
    OWNER,
    Book,
    Row,
    Step,
    adjust,
    award,
    given,
    hold,
    purchase,
    release,
    settle,
    spend,
    when,
)
from tests.unit.ledger.taking_back import STRIPE, refund, refund_purchase, settled_of

PURCHASE = (purchase("p", 100, 10_000),)

ROWS = (
    Row(
        "free credits go, the highest",
        PURCHASE,
        refund_purchase("p", 2_500),
        ("purchase_refunded p p[75:100]",),
    ),
    Row(
        "part of a credit is a whole one",
        PURCHASE,
        refund_purchase("p", 101),
        ("purchase_refunded p p[98:100]",),
    ),
    Row(
        "rounding is of all refunds together: the second needs no other credit",
        (*PURCHASE, refund_purchase("p", 101)),
        refund_purchase("p", 99),
        ("purchase_refunded p",),
    ),
    Row(
        "what was spent is reversed when nothing is free, the highest first",
        (*PURCHASE, spend("d", 60)),
        refund_purchase("p", 5_000),
        ("purchase_refunded p p[60:100]", "settlement_reversed d p[50:60]"),
    ),
    Row(
        "each settlement that is touched is reversed by a fact of its own",
        (*PURCHASE, spend("d", 60), spend("e", 40)),
        refund_purchase("p", 5_000),
        (
            "purchase_refunded p",
            "settlement_reversed d p[50:60]",
            "settlement_reversed e p[60:100]",
        ),
    ),
    Row(
        "held credits go after spent ones, and stay held",
        (*PURCHASE, spend("d", 20), hold("e", 80)),
        refund_purchase("p", 5_000),
        ("purchase_refunded p held p[70:100]", "settlement_reversed d p[0:20]"),
    ),
    Row(
        "credits that were taken away count last, and are owed by nobody",
        (*PURCHASE, spend("d", 20), adjust(30), hold("e", 50)),
        refund_purchase("p", 8_000),
        (
            "purchase_refunded p held p[50:100] ended p[40:50]",
            "settlement_reversed d p[0:20]",
        ),
    ),
    Row(
        "all of the price voids all of the credits",
        (*PURCHASE, refund_purchase("p", 3_333)),
        refund_purchase("p", 6_667),
        ("purchase_refunded p p[0:66]",),
    ),
    Row(
        "a bonus is void in the same proportion, rounded up",
        (purchase("p", 100, 10_000, bonus=10), spend("d", 4)),
        refund_purchase("p", 4_500),
        ("purchase_refunded p p[55:100] bonus:p[5:10]",),
    ),
    Row(
        "a spent bonus is reversed like what it came with",
        (purchase("p", 100, 10_000, bonus=10), spend("d", 20)),
        refund_purchase("p", 10_000),
        ("purchase_refunded p p[10:100]", "settlement_reversed d bonus:p[0:10] p[0:10]"),
    ),
    Row(
        "what a refund of a deployment brought back is free again",
        (*PURCHASE, spend("d", 100), refund("d", 30)),
        refund_purchase("p", 4_000),
        ("purchase_refunded p p[70:100]", "settlement_reversed d p[60:70]"),
    ),
    Row(
        "what repaid a debt is reversed in its turn",
        (
            *PURCHASE,
            spend("d", 100),
            refund_purchase("p", 5_000),
            purchase("q", 80, 800),
            spend("e", 30),
        ),
        refund_purchase("q", 800),
        ("purchase_refunded q", "settlement_reversed d q[0:50]", "settlement_reversed e q[50:80]"),
    ),
    Row(
        "a refund that is told again changes nothing",
        (*PURCHASE, refund_purchase("p", 10_000, refund_id="re")),
        refund_purchase("p", 10_000, refund_id="re"),
        (),
    ),
    Row(
        "a doomed hold that is settled is reversed at once",
        (*PURCHASE, hold("d", 80), refund_purchase("p", 5_000)),
        settle("d"),
        ("hold_settled d p[0:80]", "settlement_reversed d p[50:80]"),
    ),
    Row(
        "a doomed hold that is released ends where it was doomed",
        (*PURCHASE, hold("d", 80), refund_purchase("p", 5_000)),
        release("d"),
        ("hold_released d p[0:80] voids p[50:80]",),
    ),
    Row(
        "each refund that doomed a hold reverses its part",
        (*PURCHASE, hold("d", 100), refund_purchase("p", 1_000), refund_purchase("p", 1_000)),
        settle("d"),
        (
            "hold_settled d p[0:100]",
            "settlement_reversed d p[90:100]",
            "settlement_reversed d p[80:90]",
        ),
    ),
    Row(
        "a hold that is not doomed is as any other, beside one that is",
        (*PURCHASE, hold("d", 80), hold("e", 20), refund_purchase("p", 1_000)),
        release("d"),
        ("hold_released d p[0:80]",),
    ),
    Row(
        "a purchase repays debt, the oldest first",
        (*PURCHASE, spend("d", 60), spend("e", 40), refund_purchase("p", 10_000)),
        purchase("q", 70, 700),
        (
            "credits_purchased q 70",
            "debt_repaid d p[0:60] by q[0:60]",
            "debt_repaid e p[60:70] by q[60:70]",
        ),
    ),
    Row(
        "what is left of a debt is repaid by the next purchase",
        (
            *PURCHASE,
            spend("d", 60),
            refund_purchase("p", 10_000),
            purchase("q", 25, 250),
        ),
        purchase("r", 100, 100),
        ("credits_purchased r 100", "debt_repaid d p[25:60] by r[0:35]"),
    ),
    Row(
        "the bonus of a purchase repays nothing",
        (*PURCHASE, spend("d", 60), refund_purchase("p", 10_000)),
        purchase("q", 10, 100, bonus=90),
        (
            "credits_purchased q 10",
            "credits_awarded bonus:q 90",
            "debt_repaid d p[0:10] by q[0:10]",
        ),
    ),
    Row(
        "an award repays nothing",
        (*PURCHASE, spend("d", 60), refund_purchase("p", 10_000)),
        award("a", 90),
        ("credits_awarded a 90",),
    ),
    Row(
        "debt lowers what awards can pay for",
        (*PURCHASE, spend("d", 60), refund_purchase("p", 10_000), award("a", 90)),
        hold("e", 31),
        ("hold_refused e INSUFFICIENT_TOTAL_CREDITS 31 of 30",),
    ),
    Row(
        "what is left beside the debt can be spent",
        (*PURCHASE, spend("d", 60), refund_purchase("p", 10_000), award("a", 90)),
        hold("e", 30),
        ("hold_placed e a[0:30]",),
    ),
    Row(
        "debt lowers what a premium module can be paid with",
        (
            *PURCHASE,
            purchase("q", 50, 500),
            hold("d", 100),
            refund_purchase("p", 4_000),
            settle("d"),
            award("a", 99),
        ),
        hold("e", 11, premium=True),
        ("hold_refused e INSUFFICIENT_PURCHASED_CREDITS 11 of 10",),
    ),
)

REFUSALS: tuple[tuple[str, tuple[Step, ...], Step, str], ...] = (
    (
        "nobody refunds themselves",
        PURCHASE,
        refund_purchase("p", 1, refunded_by=OWNER),
        "SELF_AWARD",
    ),
    ("that comes first", (), refund_purchase("x", 0, refunded_by=OWNER), "SELF_AWARD"),
    ("a lot that is not known", PURCHASE, refund_purchase("x", 1), "UNKNOWN_LOT"),
    ("an award has no price", (award("a", 5),), refund_purchase("a", 1), "UNKNOWN_LOT"),
    (
        "a bonus has none of its own",
        (purchase("p", 5, 5, bonus=5),),
        refund_purchase("bonus:p", 1),
        "UNKNOWN_LOT",
    ),
    ("that comes before its currency", (), refund_purchase("x", 0, currency="EUR"), "UNKNOWN_LOT"),
    ("another currency", PURCHASE, refund_purchase("p", 1, currency="EUR"), "CURRENCY_MISMATCH"),
    (
        "that comes before an odd amount",
        PURCHASE,
        refund_purchase("p", 0, currency="EUR"),
        "CURRENCY_MISMATCH",
    ),
    ("no money", PURCHASE, refund_purchase("p", 0), "INVALID_AMOUNT"),
    ("less than none", PURCHASE, refund_purchase("p", -1), "INVALID_AMOUNT"),
    ("2^63", PURCHASE, refund_purchase("p", 2**63), "INVALID_AMOUNT"),
    (
        "a purchase for nothing",
        (purchase("p", 5, 0),),
        refund_purchase("p", 1),
        "NOTHING_TO_REFUND",
    ),
    (
        "what was refunded wholly",
        (*PURCHASE, refund_purchase("p", 10_000)),
        refund_purchase("p", 10_001),
        "NOTHING_TO_REFUND",
    ),
    ("more than was paid", PURCHASE, refund_purchase("p", 10_001), "REFUND_EXCEEDS_PURCHASE"),
    (
        "more than is left",
        (*PURCHASE, refund_purchase("p", 1)),
        refund_purchase("p", 10_000),
        "REFUND_EXCEEDS_PURCHASE",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
def test_purchases_are_refunded(row: Row) -> None:
    row.check()


@pytest.mark.parametrize(
    ("steps", "step", "code"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_refunds_that_are_refused(steps: tuple[Step, ...], step: Step, code: str) -> None:
    assert when(given(*steps), step) == [f"refused {code}"]


def test_a_refund_of_what_was_spent_is_owed() -> None:
    book = given(*PURCHASE, award("a", 5), spend("d", 65), refund_purchase("p", 10_000))
    assert book.wallet.balance == Balance(purchased=-60, debt=60)
    purchase("q", 80, 800)(book)
    assert book.wallet.balance == Balance(purchased=20)
    assert book.wallet.debts == ()


def test_the_wallet_keeps_little_of_a_purchase_that_was_refunded_wholly() -> None:
    book = given(*PURCHASE, refund_purchase("p", 10_000, refund_id="re"))
    assert book.wallet.lots == {}
    assert book.wallet.cases == {
        "p": LotCase(refunded_minor=10_000, refunds=("re",), voided=((0, 100),))
    }


def test_a_settlement_that_was_reversed_and_then_refunded_leaves_the_wallet() -> None:
    book = given(*PURCHASE, spend("d", 60), refund_purchase("p", 10_000), refund("d"))
    assert book.wallet.amended == {}
    assert book.wallet.debts == ()
    assert book.wallet.balance == Balance()


STALE: dict[str, tuple[Step, Step]] = {
    "a hold that was settled": (hold("d", 10), settle("d")),
    "a settlement that was refunded": (spend("d", 10), refund("d")),
    "credits that were taken away": (spend("d", 10), adjust(5)),
}


@pytest.mark.parametrize("claim", STALE)
def test_a_refund_that_rests_on_what_was_before_is_refused(claim: str) -> None:
    before, meanwhile = STALE[claim]
    book = given(*PURCHASE, before)
    read = book.spending.spending("p")
    meanwhile(book)
    assert when(book, _refund_by(read)) == ["refused STALE_SPENDING"]
    assert when(book, refund_purchase("p", 10_000))[0].startswith("purchase_refunded")


def test_a_hold_that_was_placed_meanwhile_is_seen_under_the_lock() -> None:
    book = given(*PURCHASE)
    read = book.spending.spending("p")
    hold("d", 10)(book)
    assert when(book, _refund_by(read)) == ["purchase_refunded p p[10:100] held p[0:10]"]


def _refund_by(read: Spending | None) -> Step:
    """Refund all of a purchase, by a spending that was read before."""

    def step(book: Book) -> list[Fact]:
        command = RefundPurchase(
            user_id=OWNER,
            lot_id="p",
            refund_id="re",
            amount_minor=10_000,
            currency="USD",
            reason="asked for",
            refunded_by=STRIPE,
            spending=read,
            settled=settled_of(book, read),
        )
        return book.tell(command)

    return step
