"""The columnar engine comes to the same as the exact one, wherever a history is cut."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from contracts.types import WHOLE_NUMBER_MAX
from runtime.store import FactRow
from services.ledger.checking.fold import WalletFold
from services.ledger.checking.totals import GroupBy, Totals
from services.ledger.checking.what_if import OtherShares, SharesError, WhatIf
from services.ledger.columnar.engine import ColumnarReplay, ColumnarResult
from services.ledger.events import Fact
from tests.unit.ledger.book import START, award, hold, purchase, settle
from tests.unit.ledger.book import given as given_book
from tests.unit.ledger.histories import Histories, histories, long_histories
from tests.unit.ledger.segments import rows_of, table_of
from tests.unit.ledger.test_columns import BOOK

GROUPS: tuple[GroupBy, ...] = ("user", "module", "partner", "agent", "month")


def exactly(
    rows: Sequence[FactRow], group_by: GroupBy, as_of: datetime | None, shares: OtherShares
) -> tuple[Totals, WhatIf]:
    """Return what the exact engine comes to."""
    totals, what_if = Totals(group_by), WhatIf(shares)
    folds: dict[str, WalletFold] = {}
    for row in rows:
        if as_of is None or row.at <= as_of:
            folds.setdefault(row.stream, WalletFold(row.stream)).take(row)
    for fold in folds.values():
        assert fold.objections == []
        for settlement in (*fold.settlements, *fold.corrections):
            totals.add(settlement)
            what_if.add(settlement)
        totals.add_wallet(fold.user_id, astuple(fold.wallet.balance))
    return totals, what_if


def by_columns(
    table: pa.Table,
    cuts: Sequence[int] = (),
    *,
    group_by: GroupBy = "user",
    as_of: datetime | None = None,
    shares: OtherShares | None = None,
) -> ColumnarResult:
    """Return what the columnar engine comes to when it is given a history in pieces."""
    replay = ColumnarReplay(group_by=group_by, as_of=as_of, shares=shares)
    places = sorted({0, *(cut % (table.num_rows + 1) for cut in cuts), table.num_rows})
    for begin, end in pairwise(places):
        replay.take_table(table.slice(begin, end - begin))
    return replay.finish()


def assert_both_agree(
    rows: list[FactRow], cuts: Sequence[int], group_by: GroupBy, as_of: datetime | None
) -> None:
    """Both engines come to the same, and neither finds fault."""
    shares = OtherShares(partner=1_234, agent=None)
    totals, what_if = exactly(rows, group_by, as_of, shares)
    found = by_columns(table_of(rows), cuts, group_by=group_by, as_of=as_of, shares=shares)
    assert found.problems == ()
    assert found.totals() == totals
    also = found.what_if()
    assert also is not None
    assert also.payees == what_if.payees


@pytest.mark.parametrize("seed", range(8))
def test_both_engines_come_to_the_same_over_long_histories(seed: int) -> None:
    rows = rows_of(long_histories(seed))
    for part, group_by in enumerate(GROUPS):
        assert_both_agree(rows, (77 * seed, 300), group_by, None)
        assert_both_agree(rows, (), group_by, rows[len(rows) * part // 5].at)


def test_long_histories_have_every_kind_of_fact() -> None:
    kinds = {kind for seed in range(8) for kind in kinds_in(rows_of(long_histories(seed)))}
    assert kinds == {kind.__struct_config__.tag for kind in get_args(Fact)}


def kinds_in(rows: list[FactRow]) -> set[str]:
    """Return the kinds of facts."""
    return {json.loads(row.body)["fact"] for row in rows}


@settings(max_examples=60, deadline=None)
@given(
    past=histories(),
    cuts=st.lists(st.integers(0, 400), max_size=4),
    group_by=st.sampled_from(GROUPS),
    part=st.none() | st.floats(0, 1),
)
def test_both_engines_come_to_the_same_as_of_any_instant(
    past: Histories, cuts: list[int], group_by: GroupBy, part: float | None
) -> None:
    as_of = None if part is None else START + timedelta(days=40) * part
    assert_both_agree(rows_of(past), cuts, group_by, as_of)


def changed(table: pa.Table, column: str, row: int, by: int) -> pa.Table:
    """Return a table with one number changed."""
    numbers = table[column].to_numpy().copy()
    numbers[row] += by
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(place), pa.array(numbers))


@settings(max_examples=30, deadline=None)
@given(past=histories(), data=st.data(), cuts=st.lists(st.integers(0, 400), max_size=3))
def test_the_running_minimum_finds_a_settlement_whose_split_was_changed(
    past: Histories, data: st.DataObject, cuts: list[int]
) -> None:
    """Awarded and purchased credits change places, in the hold, its end, and all that follows."""
    table = table_of(rows_of(past))
    facts, costs = table["fact"].to_pylist(), table["standard_cost"].to_pylist()
    keys = table["hold_key"].to_pylist()
    taken = [row for row in range(len(facts)) if costs[row] > 0]
    if not taken:
        return
    row = data.draw(st.sampled_from(taken))
    with_its_end = [other for other in range(len(facts)) if keys[other] == keys[row]]
    for other in with_its_end:
        sign = 1 if facts[other] == "hold_placed" else -1
        for kind, by in (("awarded", -1), ("purchased", 1)):
            table = changed(table, f"{kind}_held_moved", other, sign * by)
            if facts[other] == "hold_settled":
                table = changed(table, f"{kind}_moved", other, sign * by)
    problems = by_columns(table, cuts).problems
    assert any("running minimum" in problem.problem for problem in problems)


Change = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]


def in_row(number: int) -> Change:
    """Return what adds 1 in one row."""

    def change(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        changed_values = values.copy()
        changed_values[number] += 1
        return changed_values

    return change


def from_row(number: int) -> Change:
    """Return what adds 1 from a row on."""
    return lambda values: values + (np.arange(len(values)) >= number)


ENDED = "the holds that ended by here are not those that were placed"
CHANGES: list[tuple[str, Change, tuple[int, ...], str]] = [
    ("version", from_row(2), (), "its version does not follow the one before it"),
    ("purchased_after", in_row(-1), (), "its purchased_after is not what its slices make of it"),
    ("awarded_held_moved", in_row(3), (), ENDED),
    ("hold_key", in_row(3), (), ENDED),
    ("hold_key", in_row(3), (3,), "no hold is open that it could end"),
    ("hold_key", in_row(3), (4,), ENDED),
    ("awarded_held_moved", in_row(3), (3,), "its parts are not those of the hold that it ends"),
]


@pytest.mark.parametrize(("column", "change", "cuts", "told"), CHANGES)
def test_a_changed_column_is_told(
    column: str, change: Change, cuts: tuple[int, ...], told: str
) -> None:
    table = table_of(rows_of({"user": BOOK}))
    assert by_columns(table, cuts).problems == ()
    place = table.schema.get_field_index(column)
    wrong = pa.array(change(table[column].to_numpy()))
    table = table.set_column(place, table.schema.field(place), wrong)
    problems = {problem.problem for problem in by_columns(table, cuts).problems}
    assert told in problems


def test_time_that_runs_backwards_is_told() -> None:
    table = table_of(rows_of({"user": BOOK}))
    times = pa.array(list(reversed(table["at"].to_pylist())), table["at"].type)
    place = table.schema.get_field_index("at")
    table = table.set_column(place, table.schema.field(place), times)
    problems = {problem.problem for problem in by_columns(table).problems}
    assert "it is earlier than the fact before it" in problems


def test_the_largest_wallets_are_added_up_without_rounding() -> None:
    """No sum of them fits into 53 bits, and that of the entitlements not into 64."""
    most = WHOLE_NUMBER_MAX
    books = {
        f"u{number}": given_book(
            award("a", most - most // 2, days_to_live=3),
            purchase("p", most // 2, most),
            hold("d1", most - 3, partner_id="pa", agent_id="aa"),
            settle("d1"),
        )
        for number in range(12)
    }
    rows = rows_of(books)
    for group_by in GROUPS:
        totals, what_if = exactly(rows, group_by, None, OtherShares(agent=3_333))
        found = by_columns(table_of(rows), group_by=group_by, shares=OtherShares(agent=3_333))
        assert found.problems == ()
        assert found.totals() == totals
        assert found.what_if() == what_if
        assert totals.total.partner_entitlement > 2**63


def test_shares_that_are_none_are_refused() -> None:
    assert OtherShares.read("partner=35.00,agent=5") == OtherShares(partner=3_500, agent=500)
    assert OtherShares.read("agent=0.07") == OtherShares(agent=7)
    for text in ("", "partner", "partner=", "partner=-1", "owner=5", "partner=1,partner=2"):
        with pytest.raises(SharesError):
            OtherShares.read(text)
    for text in ("partner=100.01", "partner=60,agent=41", "agent=1.234", "agent=5.", "agent=٣"):
        with pytest.raises(SharesError):
            OtherShares.read(text)
