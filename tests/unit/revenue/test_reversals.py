"""What takes back what was earned, and what earns it again."""

from datetime import timedelta

import pytest

from services.revenue.decider import ContradictionError, Recognize, Repay, Reverse
from services.revenue.events import (
    LedgerEntry,
    RevenueRecognized,
    RevenueReversed,
    ShareReversed,
    SpentSlice,
)
from tests.unit.revenue.books import Books
from tests.unit.revenue.examples import NOON, awarded, purchased, settlement

LATER = NOON + timedelta(days=40)


def entry(sequence: int) -> LedgerEntry:
    return LedgerEntry(message_id=f"message-{sequence}", stream="wallet-ursula", sequence=sequence)


def refund(
    settled: Recognize, *slices: SpentSlice, sequence: int = 10, debt_cancelled: int = 0
) -> Reverse:
    """Return the command that a refund of a settlement gives."""
    return Reverse(
        hold=settled.hold,
        entry=entry(sequence),
        at=LATER,
        reversing="settlement_refunded",
        cause="refund-1",
        slices=slices,
        credits=sum(s.credits for s in slices) + debt_cancelled,
    )


def reversal(settled: Recognize, *slices: SpentSlice, sequence: int = 10) -> Reverse:
    """Return the command that a refunded purchase gives."""
    return Reverse(
        hold=settled.hold,
        entry=entry(sequence),
        at=LATER,
        reversing="settlement_reversed",
        cause="refund-1",
        slices=slices,
        credits=sum(s.credits for s in slices),
    )


def repayment(settled: Recognize, *slices: SpentSlice, sequence: int = 11) -> Repay:
    """Return the command that a later purchase gives."""
    return Repay(hold=settled.hold, entry=entry(sequence), at=LATER, slices=slices)


def cheap(start: int, end: int) -> SpentSlice:
    """Return a slice of another purchase, of 100 credits for 50.00."""
    return SpentSlice(
        lot_id="lot-cheap",
        lot_kind="purchase",
        lot_credits=100,
        lot_price_minor=5_000,
        start=start,
        end=end,
    )


SETTLED = settlement(awarded(0, 30), purchased(0, 20), partner="pia", agent="arno")


def test_a_refund_is_a_negative_line_of_its_own_at_its_own_instant() -> None:
    books = Books().take(SETTLED, refund(SETTLED, purchased(10, 20)))

    line = books.lines[1]
    assert isinstance(line, RevenueReversed)
    assert (line.line, line.reverses, line.cause) == (2, 1, "refund-1")
    assert (line.credits, line.purchased_credits, line.true_revenue_minor) == (-10, -10, -1_000)
    assert (line.recognized_at, line.purchased_left) == (LATER, 10)
    assert sum(line.slice_revenue_minor) == line.true_revenue_minor


def test_payees_give_back_their_shares_and_name_the_line() -> None:
    books = Books().take(SETTLED, refund(SETTLED, purchased(10, 20)))

    share = books.shares_of("pia")[1]
    assert isinstance(share, ShareReversed)
    assert (share.line, share.reverses, share.share_minor) == (2, 1, -300)
    assert (books.total_of("pia"), books.total_of("arno")) == (300, 50)


def test_a_refund_of_awarded_credits_takes_no_revenue_back_and_is_a_line() -> None:
    books = Books().take(SETTLED, refund(SETTLED, awarded(20, 30)))

    line = books.lines[1]
    assert (line.credits, line.awarded_credits, line.purchased_credits) == (-10, -10, 0)
    assert line.true_revenue_minor == 0
    assert len(books.shares) == 2


def test_a_refunded_purchase_reverses_and_the_credits_stay_spent() -> None:
    books = Books().take(SETTLED, reversal(SETTLED, purchased(0, 20)))

    line = books.lines[1]
    assert isinstance(line, RevenueReversed)
    assert (line.credits, line.purchased_credits, line.true_revenue_minor) == (0, -20, -2_000)
    assert line.purchased_left == 0
    assert (books.total_of("pia"), books.total_of("arno")) == (0, 0)


def test_what_is_paid_again_is_earned_then_at_the_new_price() -> None:
    books = Books().take(
        SETTLED, reversal(SETTLED, purchased(0, 20)), repayment(SETTLED, cheap(0, 20))
    )

    line = books.lines[2]
    assert isinstance(line, RevenueRecognized)
    assert (line.line, line.earning, line.credits) == (3, "repaid", 0)
    assert (line.purchased_credits, line.true_revenue_minor) == (20, 1_000)
    assert line.recognized_at == LATER
    assert books.total_of("pia") == 300


def test_what_was_paid_again_is_reversed_by_its_own_line() -> None:
    books = Books().take(
        SETTLED,
        reversal(SETTLED, purchased(0, 10)),
        repayment(SETTLED, cheap(0, 10)),
        refund(SETTLED, cheap(5, 10), purchased(15, 20), sequence=12),
    )

    reversed_lines = [line for line in books.lines if isinstance(line, RevenueReversed)][1:]
    assert [(r.reverses, r.true_revenue_minor) for r in reversed_lines] == [(1, -500), (3, -250)]
    assert [r.purchased_left for r in reversed_lines] == [5, 5]
    assert [r.line for r in reversed_lines] == [4, 5]


def test_bonus_credits_that_became_debt_earn_when_they_are_paid_for() -> None:
    settled = settlement(awarded(0, 5, kind="award.bonus"), partner="pia")
    books = Books().take(
        settled,
        reversal(settled, awarded(0, 5, kind="award.bonus")),
        repayment(settled, cheap(0, 5)),
    )

    assert [line.true_revenue_minor for line in books.lines] == [0, 0, 250]
    assert books.total_of("pia") == 75


def test_a_cancelled_debt_lowers_what_the_deployment_cost() -> None:
    books = Books().take(
        SETTLED,
        reversal(SETTLED, purchased(10, 20)),
        refund(SETTLED, purchased(5, 10), sequence=11, debt_cancelled=10),
    )

    assert sum(line.credits for line in books.lines) == 35
    assert sum(line.purchased_credits for line in books.lines) == 5
    assert sum(line.true_revenue_minor for line in books.lines) == 500


def test_a_balance_may_go_below_zero_and_is_carried_on() -> None:
    other = settlement(purchased(20, 21), deployment="d2", partner="pia")
    paid_out = Books().take(SETTLED, reversal(SETTLED, purchased(0, 20)))
    state = paid_out.payees["pia"]
    paid_out.payees["pia"] = type(state)(
        lines=state.lines, total_minor=-600, remainder=0, currency="USD"
    )

    assert paid_out.take(other).total_of("pia") == -570


def test_a_message_that_comes_again_changes_nothing() -> None:
    commands = (
        SETTLED,
        reversal(SETTLED, purchased(0, 20)),
        repayment(SETTLED, cheap(0, 20)),
    )
    once, twice = Books().take(*commands), Books().take(*commands, *commands)

    assert (once.lines, once.shares, once.deployments) == (
        twice.lines,
        twice.shares,
        twice.deployments,
    )


CONTRADICTIONS = [
    ("what was never settled", [], refund(SETTLED, purchased(0, 20))),
    ("what another hold settled", [SETTLED], refund(settlement(hold="x"), purchased(0, 20))),
    ("slices that earned nothing here", [SETTLED], refund(SETTLED, purchased(20, 21))),
    ("more than a slice", [SETTLED], refund(SETTLED, purchased(15, 25))),
    (
        "what was reversed before",
        [SETTLED, reversal(SETTLED, purchased(10, 20))],
        reversal(SETTLED, purchased(15, 20), sequence=11),
    ),
]


@pytest.mark.parametrize(
    ("claim", "before", "command"), CONTRADICTIONS, ids=[c[0] for c in CONTRADICTIONS]
)
def test_it_is_a_contradiction_to_reverse(
    claim: str, before: list[Recognize | Reverse], command: Reverse
) -> None:
    books = Books().take(*before)
    lines = list(books.lines)

    with pytest.raises(ContradictionError):
        books.take(command)
    assert books.lines == lines, claim
