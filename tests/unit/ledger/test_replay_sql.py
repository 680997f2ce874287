"""The queries for other engines give what the columnar engine gives, and find what it finds."""

from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import services.ledger
from services.ledger.checking.totals import Group
from services.ledger.columns import BALANCE
from tests.unit.ledger.histories import Histories, histories, long_histories
from tests.unit.ledger.segments import rows_of, table_of
from tests.unit.ledger.test_columnar import GROUPS, by_columns, changed
from tests.unit.ledger.test_columns import BOOK

QUERIES: Final = Path(services.ledger.__path__[0]) / "sql"
_ALONE: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "autoload_known_extensions": False,
}
"""One thread, and nothing fetched from anywhere."""

CHECKS: Final = ("running_minimum", "holds", "slice_values")
"""The queries that name what is wrong, and so give no row where nothing is."""


def answer(facts: pa.Table, query: str) -> list[dict[str, Any]]:
    """Return the rows that DuckDB answers a query with."""
    connection = duckdb.connect(config=_ALONE)
    connection.register("facts", facts)
    result = connection.execute((QUERIES / f"{query}.sql").read_text())
    names = [column[0] for column in result.description or ()]
    found = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    connection.close()
    return found


def figures(row: dict[str, Any]) -> tuple[int, ...]:
    names = ("settlements", "awarded_spent", "purchased_spent", "true_revenue_minor")
    shares = ("partner_entitlement", "agent_entitlement")
    return tuple(int(row[name]) for name in (*names, *shares))


def counted(group: Group) -> tuple[int, ...]:
    return (
        *(group.settlements, group.awarded_spent, group.purchased_spent),
        *(group.true_revenue_minor, group.partner_entitlement, group.agent_entitlement),
    )


@settings(max_examples=15, deadline=None)
@given(past=histories())
def test_the_queries_give_what_the_columnar_engine_gives(past: Histories) -> None:
    assert_same_answers(table_of(rows_of(past)))


@pytest.mark.parametrize("seed", range(5))
def test_the_queries_give_the_same_over_long_histories_too(seed: int) -> None:
    assert_same_answers(table_of(rows_of(long_histories(seed))))


def assert_same_answers(table: pa.Table) -> None:
    """The queries and the columnar engine come to the same, and the checks find nothing."""
    revenue = answer(table, "revenue")
    for group_by in GROUPS:
        totals = by_columns(table, group_by=group_by).totals()
        found = {
            month(row["name"]) if group_by == "month" else row["name"]: figures(row)
            for row in revenue
            if row["grouped_by"] == group_by
        }
        expected = {key: counted(group) for key, group in totals.groups.items()}
        assert found == {key: value for key, value in expected.items() if key in found}
        assert not any(any(value) for key, value in expected.items() if key not in found)
    users = by_columns(table).totals().groups
    for row in answer(table, "balances"):
        group = users[row["user_id"]]
        assert row["difference"] == 0
        assert [int(row[name]) for name in BALANCE] == [getattr(group, name) for name in BALANCE]
    assert due(table, "partner") == shares_of(table, "partner")
    assert due(table, "agent") == shares_of(table, "agent")
    for check in CHECKS:
        assert answer(table, check) == []


def month(name: str) -> str:
    return f"{name[:4]}-{name[4:]}"


def due(table: pa.Table, role: str) -> dict[str, int]:
    return {
        row["payee_id"]: int(row["due_minor"])
        for row in answer(table, "payees")
        if row["payee_role"] == role and row["due_minor"]
    }


def shares_of(table: pa.Table, role: str) -> dict[str | None, int]:
    groups = by_columns(table, group_by=role).totals().groups  # type: ignore[arg-type]  # a role is a group
    found = {key: getattr(group, f"{role}_share_minor") for key, group in groups.items()}
    return {key: share for key, share in found.items() if share}


@pytest.mark.parametrize(
    ("column", "row", "query"),
    [
        ("purchased_held_moved", 2, "running_minimum"),
        ("awarded_moved", 0, "running_minimum"),
        ("awarded_held_moved", 3, "holds"),
        ("true_revenue_minor", 3, "slice_values"),
    ],
)
def test_a_changed_number_is_found(column: str, row: int, query: str) -> None:
    table = table_of(rows_of({"user": BOOK}))
    assert answer(table, query) == []
    assert answer(changed(table, column, row, 1), query)


@settings(max_examples=10, deadline=None)
@given(past=histories(), data=st.data())
def test_a_balance_that_is_not_what_was_moved_is_counted(
    past: Histories, data: st.DataObject
) -> None:
    table = table_of(rows_of(past))
    if table.num_rows == 0:
        return
    row = data.draw(st.integers(0, table.num_rows - 1))
    wrong = answer(changed(table, "purchased_moved", row, 1), "balances")
    assert sum(balance["difference"] for balance in wrong) == 1
