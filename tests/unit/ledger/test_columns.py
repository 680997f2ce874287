"""What the typed columns of a segment say of each fact."""

from typing import Any

from contracts.money_rules import slice_revenue
from runtime.store import FactRow
from services.ledger.columns import MOVED, SCHEMA, typed_columns
from tests.unit.ledger.book import (
    OWNER,
    adjust,
    award,
    days,
    expire,
    given,
    hold,
    purchase,
    release,
    settle,
)
from tests.unit.ledger.segments import rows_of, table_of

BOOK = given(
    award("a", 30, days_to_live=2),
    purchase("p", 100, 9_999),
    hold("d1", 50, partner_id="partner-1", agent_id="agent-1"),
    settle("d1"),
    hold("d2", 20, premium=True, agent_id=OWNER),
    release("d2"),
    hold("d3", 500),
    hold("d4", 5, partner_id=OWNER),
    award("b", 7, days_to_live=1),
    days(3),
    expire(),
    adjust(3),
)


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table_of(rows_of({OWNER: BOOK})).to_pylist()
    return found


def test_a_row_names_its_wallet_its_fact_and_what_it_moves() -> None:
    told = [(row["fact"], *(row[f"{name}_moved"] for name in MOVED)) for row in rows()]
    assert {row["user_id"] for row in rows()} == {OWNER}
    assert told == [
        ("credits_awarded", 30, 0, 0, 0, 0),
        ("credits_purchased", 0, 100, 0, 0, 0),
        ("hold_placed", 0, 0, 30, 20, 0),
        ("hold_settled", -30, -20, -30, -20, 0),
        ("hold_placed", 0, 0, 0, 20, 0),
        ("hold_released", 0, 0, 0, -20, 0),
        ("hold_refused", 0, 0, 0, 0, 0),
        ("hold_placed", 0, 0, 0, 0, 0),
        ("credits_awarded", 7, 0, 0, 0, 0),
        ("credits_expired", -7, 0, 0, 0, 0),
        ("credits_adjusted", 0, -3, 0, 0, 0),
    ]


def test_only_a_hold_that_may_take_awarded_credits_has_a_standard_cost() -> None:
    assert [row["standard_cost"] for row in rows() if row["fact"] == "hold_placed"] == [50, 0, 0]


def test_a_settlement_earns_its_slices_and_shares_only_with_others() -> None:
    settled = rows()[3]
    assert settled["true_revenue_minor"] == 1_999
    assert (settled["partner_basis_points"], settled["agent_basis_points"]) == (3000, 1000)
    placed_by_the_agent = rows()[4]
    assert placed_by_the_agent["agent_id"] == OWNER
    assert placed_by_the_agent["agent_basis_points"] == 0


def test_what_was_earned_can_be_computed_again_from_the_slices() -> None:
    for row in rows():
        earned = sum(
            slice_revenue(
                lot_kind=each["lot_kind"],
                price_minor=each["lot_price_minor"],
                lot_credits=each["lot_credits"],
                start=each["first_credit"],
                end=each["end_credit"],
            )
            for each in row["slices"]
            if each["fate"] == "spent"
        )
        assert row["true_revenue_minor"] == earned


def test_facts_of_other_streams_have_nulls_and_zeros() -> None:
    [stored, *_] = rows_of({OWNER: BOOK})
    other = FactRow(
        stream="period-2026-03",
        **{name: getattr(stored, name) for name in FactRow.__slots__ if name != "stream"},
    )
    columns = typed_columns([other])
    assert list(columns) == SCHEMA.names
    for field in SCHEMA:
        [value] = columns[field.name].to_pylist()
        assert value in (None, 0, []), field.name


def test_no_facts_make_empty_columns() -> None:
    assert {len(column) for column in typed_columns([]).values()} == {0}
