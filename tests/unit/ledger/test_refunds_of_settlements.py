"""L13: what a deployment cost comes back from its end, to the lots that it came from."""

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from services.ledger.events import Balance
from tests.unit.ledger.book import (
    OWNER,
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
from tests.unit.ledger.taking_back import dispute, refund, refund_purchase

MIXED = (award("a", 30), purchase("p", 100, 10_000), spend("d", 50))

ROWS = (
    Row(
        "purchased credits come back before awarded ones, the highest first",
        MIXED,
        refund("d", 5),
        ("settlement_refunded d p[15:20]",),
    ),
    Row(
        "a refund that reaches into the awarded part takes its end",
        MIXED,
        refund("d", 25),
        ("settlement_refunded d a[25:30] p[0:20]",),
    ),
    Row(
        "no number of credits means all of them",
        MIXED,
        refund("d"),
        ("settlement_refunded d a[0:30] p[0:20]",),
    ),
    Row(
        "no number of credits means all that are left",
        (*MIXED, refund("d", 30)),
        refund("d"),
        ("settlement_refunded d a[0:20]",),
    ),
    Row(
        "refunds go on where the one before them ended",
        (*MIXED, refund("d", 5)),
        refund("d", 20),
        ("settlement_refunded d a[25:30] p[0:15]",),
    ),
    Row(
        "what comes back is spent again, in burn order",
        (*MIXED, refund("d", 25)),
        hold("e", 10),
        ("hold_placed e a[25:30] p[0:5]",),
    ),
    Row(
        "what comes back to a lot that has expired expires at once",
        (award("a", 30, days_to_live=2), spend("d", 20), days(3)),
        refund("d", 5),
        ("credits_expired a[20:30]", "settlement_refunded d a[15:20]", "credits_expired a[15:20]"),
    ),
    Row(
        "a lot that nothing was left of expires by what comes back alone",
        (award("a", 20, days_to_live=2), spend("d", 20), days(3)),
        refund("d"),
        ("settlement_refunded d a[0:20]", "credits_expired a[0:20]"),
    ),
    Row(
        "parts that were reversed lose their debt, and nothing comes back for them",
        (purchase("p", 20, 2_000), spend("d", 20), refund_purchase("p", 500)),
        refund("d", 8),
        ("settlement_refunded d p[12:15] cancels p[15:20]",),
    ),
    Row(
        "what took the place of debt comes back to its own lot",
        (
            purchase("p", 20, 2_000),
            spend("d", 20),
            refund_purchase("p", 500),
            purchase("q", 10, 900),
            spend("e", 5),
        ),
        refund("d", 8),
        ("settlement_refunded d p[12:15] q[0:5]",),
    ),
    Row(
        "a refund that is told again changes nothing",
        (*MIXED, refund("d", 5, refund_id="r")),
        refund("d", 5, refund_id="r"),
        (),
    ),
    Row(
        "a refund that was all there was is known when it is told again",
        (*MIXED, refund("d", refund_id="r")),
        refund("d", refund_id="r"),
        (),
    ),
    Row(
        "a deployment whose first build failed is refunded of the build that was paid",
        (
            award("a", 30),
            hold("b1", 10, deployment_id="d"),
            release("b1", deployment_id="d"),
            hold("b2", 10, deployment_id="d"),
            settle("b2", deployment_id="d"),
        ),
        refund("d", 4),
        ("settlement_refunded b2 a[6:10]",),
    ),
)

REFUSALS = (
    Row("nobody refunds themselves", MIXED, refund("d", 5, refunded_by=OWNER), ("SELF_AWARD",)),
    Row(
        "that comes before an odd number of credits",
        MIXED,
        refund("d", 0, refunded_by=OWNER),
        ("SELF_AWARD",),
    ),
    Row("no credits are no refund", MIXED, refund("d", 0), ("INVALID_CREDITS",)),
    Row("a negative refund is none", MIXED, refund("d", -1), ("INVALID_CREDITS",)),
    Row("2^63 credits are too many", MIXED, refund("d", 2**63), ("INVALID_CREDITS",)),
    Row("that comes before a missing settlement", (), refund("x", 0), ("INVALID_CREDITS",)),
    Row("an unknown deployment has no settlement", MIXED, refund("x"), ("NOT_SETTLED",)),
    Row(
        "a hold that is open is no settlement",
        (award("a", 30), hold("d", 10)),
        refund("d"),
        ("NOT_SETTLED",),
    ),
    Row(
        "a hold that was released is no settlement",
        (award("a", 30), hold("d", 10), release("d")),
        refund("d"),
        ("NOT_SETTLED",),
    ),
    Row(
        "a hold that was refused is no settlement", (hold("d", 10),), refund("d"), ("NOT_SETTLED",)
    ),
    Row(
        "somebody else's deployment is not this wallet's",
        MIXED,
        refund("d", user_id="somebody"),
        ("NOT_SETTLED",),
    ),
    Row(
        "what cost nothing has nothing to refund",
        (spend("d", 0),),
        refund("d"),
        ("NOTHING_TO_REFUND",),
    ),
    Row(
        "what was refunded wholly has nothing left, however little is asked for",
        (*MIXED, refund("d")),
        refund("d", 1),
        ("NOTHING_TO_REFUND",),
    ),
    Row(
        "no more comes back than is left",
        (*MIXED, refund("d", 20)),
        refund("d", 31),
        ("REFUND_EXCEEDS_SETTLEMENT",),
    ),
    Row(
        "a wallet cannot grow beyond what JSON holds",
        (award("a", 5), spend("d", 5), award("b", 2**53 - 1)),
        refund("d"),
        ("BALANCE_TOO_LARGE",),
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.claim)
def test_settlements_are_refunded(row: Row) -> None:
    row.check()


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.claim)
def test_refunds_that_are_refused(row: Row) -> None:
    [code] = row.then
    assert when(given(*row.given), row.when) == [f"refused {code}"]


def test_what_comes_back_to_a_disputed_lot_is_frozen() -> None:
    book = given(purchase("p", 20, 2_000), spend("d", 20), dispute("p", 2_000), refund("d", 5))
    assert book.wallet.balance == Balance(purchased=5, purchased_frozen=5)
    assert when(book, hold("e", 1)) == ["hold_refused e INSUFFICIENT_TOTAL_CREDITS 1 of 0"]


def test_a_lot_that_returns_stands_where_it_stood() -> None:
    book = given(award("a", 10), award("b", 10), spend("d", 10), refund("d"))
    assert list(book.wallet.lots) == ["a", "b"]


@given_any(
    cost=st.integers(1, 60),
    back=st.integers(1, 60),
    lots=st.lists(
        st.one_of(
            st.builds(award, st.uuids().map(str), st.integers(1, 30)),
            st.builds(award, st.uuids().map(str), st.integers(1, 30), days_to_live=st.just(5)),
            st.builds(
                purchase,
                st.uuids().map(str),
                st.integers(1, 30),
                st.integers(0, 900),
                bonus=st.integers(0, 5),
            ),
        ),
        min_size=1,
        max_size=5,
    ),
    premium=st.booleans(),
    gone=st.integers(0, 5),
)
def test_to_refund_part_of_a_spend_is_to_have_spent_less(  # noqa: PLR0913 - all that it depends on
    cost: int, back: int, lots: list[Step], gone: int, *, premium: bool
) -> None:
    refunded, spent_less = given(*lots), given(*lots)
    for book in (refunded, spent_less):
        if gone and when(book, adjust(gone))[0].startswith("refused"):
            return
    spend_step = hold("d", cost, premium=premium)
    if back > cost or not when(refunded, spend_step)[0].startswith("hold_placed"):
        return
    settle("d")(refunded)
    when(refunded, refund("d", back))
    hold("d", cost - back, premium=premium)(spent_less)
    settle("d")(spent_less)
    assert refunded.state == spent_less.state
