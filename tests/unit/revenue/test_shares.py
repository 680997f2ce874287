"""Who is due what of a settlement."""

import pytest

from services.revenue.decider import ContradictionError, Recognize
from tests.unit.revenue.books import Books
from tests.unit.revenue.examples import awarded, purchased, settlement


def test_the_partner_earns_their_share_of_true_revenue() -> None:
    books = Books().take(settlement(awarded(0, 30), purchased(0, 20), partner="pia"))

    [share] = books.shares_of("pia")
    assert (share.payee_role, share.true_revenue_minor, share.share_minor) == (
        "partner",
        2_000,
        600,
    )
    assert share.running_total_minor == 600


def test_the_agent_who_referred_the_user_earns_their_share() -> None:
    books = Books().take(settlement(purchased(0, 20), agent="arno"))

    [share] = books.shares_of("arno")
    assert (share.payee_role, share.share_minor) == ("agent", 100)


def test_both_shares_of_one_deployment_add_up() -> None:
    books = Books().take(settlement(purchased(0, 20), partner="pia", agent="arno"))

    assert (books.total_of("pia"), books.total_of("arno")) == (600, 100)


def test_a_partner_who_is_the_agent_too_earns_both_shares_in_one_stream() -> None:
    books = Books().take(settlement(purchased(0, 20), partner="pia", agent="pia"))

    assert [share.payee_role for share in books.shares_of("pia")] == ["partner", "agent"]
    assert [share.running_total_minor for share in books.shares_of("pia")] == [600, 700]


OWN = [
    settlement(purchased(0, 20), user="ursula", partner="ursula"),
    settlement(purchased(0, 20), user="ursula", agent="ursula"),
]


@pytest.mark.parametrize("own", OWN, ids=["as partner", "as agent"])
def test_a_deployment_of_ones_own_earns_the_payee_nothing(own: Recognize) -> None:
    books = Books().take(own)

    assert books.lines[0].true_revenue_minor == 2_000
    assert books.shares == []


def test_what_earned_nothing_stands_in_no_payees_stream() -> None:
    books = Books().take(settlement(awarded(0, 50), partner="pia", agent="arno"))

    assert books.lines[0].true_revenue_minor == 0
    assert books.shares == []


def test_a_share_of_nothing_makes_no_line() -> None:
    books = Books().take(settlement(purchased(0, 20), partner="pia", partner_basis_points=0))

    assert books.shares == []


def test_an_entitlement_too_little_for_a_minor_unit_makes_a_line_and_is_carried_on() -> None:
    one_cent = [
        settlement(
            purchased(0, 1, lot_credits=1, price_minor=1),
            deployment=f"d{n}",
            partner="pia",
            partner_basis_points=3_000,
        )
        for n in range(4)
    ]
    shares = Books().take(*one_cent).shares_of("pia")

    assert [share.share_minor for share in shares] == [0, 0, 0, 1]
    assert [share.remainder_after for share in shares] == [3_000, 6_000, 9_000, 2_000]
    assert [share.remainder_before for share in shares] == [0, 3_000, 6_000, 9_000]


def test_the_shares_recorded_in_each_hold_are_used_whatever_they_are_later() -> None:
    books = Books().take(
        settlement(purchased(0, 10), deployment="d1", partner="pia", partner_basis_points=3_000),
        settlement(purchased(10, 20), deployment="d2", partner="pia", partner_basis_points=4_050),
    )

    assert [share.share_minor for share in books.shares_of("pia")] == [300, 405]


def test_a_payee_earns_in_one_currency() -> None:
    books = Books().take(settlement(purchased(0, 10), partner="pia"))

    with pytest.raises(ContradictionError):
        books.take(settlement(purchased(0, 10), deployment="d2", partner="pia", currency="EUR"))
