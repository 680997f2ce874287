"""What a hold records, what it is worth, and what is left in the state afterwards."""

from datetime import timedelta

import msgspec
import pytest

from contracts.money_rules import slice_revenue
from runtime.refusal import Refusal
from services.ledger.events import Balance, Hold, HoldPlaced, HoldRefused
from services.ledger.knowledge import Settings, Shares
from services.ledger.wallet import Wallet
from tests.unit.ledger.book import (
    FINANCE,
    OWNER,
    SETTINGS,
    START,
    Book,
    adjust,
    award,
    days,
    given,
    hold,
    purchase,
    release,
    settle,
    spend,
)


def placed(book: Book) -> Hold:
    """Return the hold that was placed last."""
    return next(f.hold for f in reversed(book.facts) if isinstance(f, HoldPlaced))


def revenue_minor(record: Hold) -> int:
    """Return what a hold earns when it is settled."""
    return sum(
        slice_revenue(
            lot_kind=s.lot_kind,
            price_minor=s.lot_price_minor,
            lot_credits=s.lot_credits,
            start=s.start,
            end=s.end,
        )
        for s in record.slices
    )


def test_a_balance_tells_awarded_from_purchased_and_held_from_available() -> None:
    book = given(award("a", 30), purchase("p", 100, 10_000), hold("d1", 50))
    assert book.wallet.balance == Balance(30, 100, 30, 20)
    assert book.wallet.balance.available_awarded == 0
    assert book.wallet.balance.available_purchased == 80
    settle("d1")(book)
    assert book.wallet.balance == Balance(0, 80, 0, 0)


def test_a_lot_records_where_it_comes_from_and_when_it_ends() -> None:
    [fact] = award("a", 30, days_to_live=5)(Book())
    lot = fact.lot  # type: ignore[union-attr]
    assert (lot.kind, lot.price_minor, lot.source, lot.position) == (
        "award.admin",
        0,
        "award:r1",
        0,
    )
    assert (lot.granted_at, lot.expires_at) == (START, START + timedelta(days=5))


def test_a_hold_records_all_that_a_later_figure_depends_on() -> None:
    book = given(purchase("p", 100, 10_000), hold("d1", 50, partner_id="partner", agent_id="agent"))
    record = placed(book)
    assert record == Hold(
        hold_id="d1",
        deployment_id="d1",
        build_id="build-d1",
        user_id=OWNER,
        module_id="module-1",
        module_name="gke-cluster",
        module_version=3,
        partner_id="partner",
        agent_id="agent",
        project="shop",
        list_price=50,
        premium=False,
        gate="STANDARD",
        cost=50,
        slices=record.slices,
        share_rule=SETTINGS.share_rule(START),
        currency="USD",
        algorithm_version=1,
        requested_at=START,
        request_expires_at=START + timedelta(days=1),
        placed_at=START,
    )
    [part] = record.slices
    assert (part.lot_kind, part.lot_credits, part.lot_price_minor) == ("purchase", 100, 10_000)


@pytest.mark.parametrize(
    ("step", "gate", "cost"),
    [
        (hold("d1", 5), "STANDARD", 5),
        (hold("d1", 5, premium=True), "PREMIUM", 5),
        (hold("d1", 5, partner_id=OWNER), "OWN_MODULE", 0),
    ],
)
def test_a_hold_records_the_rule_it_went_through(step: object, gate: str, cost: int) -> None:
    record = placed(given(purchase("p", 10, 1_000), step))  # type: ignore[arg-type]
    assert (record.gate, record.cost, record.list_price) == (gate, cost, 5)


def test_a_settlement_carries_the_hold_as_it_was_placed_whatever_was_set_since() -> None:
    book = given(purchase("p", 10, 1_000), hold("d1", 5))
    record = placed(book)
    book.settings = Settings(version=8, shares=(Shares(START, 1, 1),))
    days(1)(book)
    [fact] = settle("d1")(book)
    assert fact.hold == record  # type: ignore[union-attr]


def test_a_refusal_says_how_much_was_required_and_how_much_there_is() -> None:
    [fact] = hold("d1", 50, premium=True)(given(award("a", 60), purchase("p", 20, 1)))
    assert isinstance(fact, HoldRefused)
    assert (fact.required, fact.available, fact.premium) == (50, 20, True)
    with pytest.raises(Refusal) as refused:
        adjust(50)(given(award("a", 20)))
    assert refused.value.fields == {"required": 50, "available": 20}


def test_awarded_credits_earn_nothing_and_purchased_ones_their_price() -> None:
    book = given(award("a", 30), purchase("p", 100, 10_000), hold("d1", 50))
    assert revenue_minor(placed(book)) == 2_000


def test_true_revenue_in_credits_is_the_cost_less_the_awarded_credits_there_were() -> None:
    for awarded in (0, 1, 49, 50, 51):
        steps = (award("a", awarded),) if awarded else ()
        record = placed(given(*steps, purchase("p", 100, 10_000), hold("d1", 50)))
        purchased = sum(s.credits for s in record.slices if s.purchased)
        assert purchased == 50 - min(50, awarded)


def test_a_lots_slices_are_worth_exactly_its_price_however_it_is_spent() -> None:
    book = given(purchase("p", 7, 1_000), *(spend(f"d{n}", 1) for n in range(7)))
    records = [f.hold for f in book.facts if isinstance(f, HoldPlaced)]
    assert [revenue_minor(record) for record in records] == [142, 143, 143, 143, 143, 143, 143]
    assert sum(revenue_minor(record) for record in records) == 1_000


def test_a_slice_that_comes_back_and_is_spent_again_is_worth_the_same_again() -> None:
    book = given(purchase("p", 7, 1_000), hold("d1", 3), spend("d2", 4), release("d1"))
    before = placed(book)
    spend("d3", 3)(book)
    assert revenue_minor(placed(book)) + revenue_minor(before) == 1_000


def test_the_shares_in_force_are_those_that_had_begun_when_the_hold_was_placed() -> None:
    settings = Settings(
        version=3,
        shares=(
            Shares(START, 1000, 100),
            Shares(START + timedelta(days=1), 2000, 200),
            Shares(START + timedelta(days=2), 3000, 300),
        ),
    )
    moments = {-1: 0, 0: 1000, 0.5: 1000, 1: 2000, 1.999: 2000, 2: 3000, 99: 3000}
    for day, partner in moments.items():
        rule = settings.share_rule(START + timedelta(days=day))
        assert (rule.settings_version, rule.partner_basis_points) == (3, partner)


def test_what_has_ended_leaves_the_state_so_that_old_wallets_cost_no_more() -> None:
    book = given(award("a", 10), purchase("p", 1_000_000, 1_000_000), spend("d0", 20))
    size = len(book.state)
    for number in range(200):
        spend(f"e{number}", 3)(book)
        hold(f"f{number}", 3)(book)
        release(f"f{number}")(book)
    assert set(book.wallet.lots) == {"p"}
    assert book.wallet.holds == {}
    assert len(book.state) <= size + 8


def test_positions_go_on_counting_when_lots_are_gone() -> None:
    book = given(award("a", 5), spend("d1", 5), award("b", 5))
    assert book.wallet.lots["b"].position == 1


def test_the_state_is_the_same_once_it_was_kept_and_read_again() -> None:
    book = given(
        award("a", 30, days_to_live=3), purchase("p", 9, 100), hold("d1", 31), spend("d2", 2)
    )
    assert msgspec.msgpack.decode(book.state, type=Wallet) == book.wallet


def test_who_did_it_and_why_is_recorded() -> None:
    book = given(award("a", 30), adjust(5), purchase("p", 9, 100))
    first, second, third = book.facts
    assert (first.awarded_by, first.reason) == (FINANCE, "for the outage")  # type: ignore[union-attr]
    assert (second.adjusted_by, second.reason) == (FINANCE, "booked twice")  # type: ignore[union-attr]
    assert third.recorded_by == FINANCE  # type: ignore[union-attr]
