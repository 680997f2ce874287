"""Both engines on a running ledger: from segments, from what is not sealed, and from both."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.clock import ManualClock
from runtime.segments.places import FolderPlace
from services.ledger.checking.what_if import OtherShares
from services.ledger.replay import replay
from services.ledger.replay_formats import render, summary
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.history import a_history
from tests.integration.ledger.sealed import Sealer
from tests.support.environment import Database


async def sealed_in_the_middle(
    ledger: Ledger, clock: ManualClock, database: Database, folder: Path
) -> FolderPlace:
    """Let things happen, of which about half is sealed, some of them in segments of five facts."""
    await ledger.register("user-0")
    await ledger.award("user-0", 5)
    await ledger.purchase("user-0", 50, 1_001)
    await ledger.hold("user-0-a", "user-0", 20, partner_id="partner-1")
    await ledger.hold("user-0-b", "user-0", 10)
    await Sealer.of(database, clock, folder, facts_max=2).seal()
    clock.advance(timedelta(days=40))
    await ledger.succeed("user-0-a", "user-0")
    await a_history(ledger, clock)
    return FolderPlace(folder)


@pytest.mark.parametrize("group_by", ["user", "module", "partner", "agent", "month"])
async def test_both_engines_agree_with_each_other_and_with_what_is_live(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path, group_by: str
) -> None:
    place = await sealed_in_the_middle(ledger, clock, database, tmp_path)
    both = await replay(database.dsn, group_by=group_by, engine="both", place=place)  # type: ignore[arg-type]  # a parameter's values
    assert both.ok, summary(both)
    assert both.totals.total.settlements == 4
    columns = await replay(database.dsn, group_by=group_by, engine="columnar", place=place)  # type: ignore[arg-type]  # as above
    assert columns.ok, summary(columns)
    assert columns.totals == both.totals
    assert columns.events == both.events


async def test_before_any_seal_everything_is_read_from_the_database(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path
) -> None:
    await a_history(ledger, clock)
    for place in (None, FolderPlace(tmp_path)):
        result = await replay(database.dsn, engine="both", place=place)
        assert result.ok, summary(result)
        assert result.totals.wallets == 2


async def test_as_of_any_instant_both_engines_agree(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path
) -> None:
    place = await sealed_in_the_middle(ledger, clock, database, tmp_path)
    instants = [row["at"] for row in await ledger.fetch("select distinct at from facts order by 1")]
    for instant in [instants[0] - timedelta(microseconds=1), *instants]:
        both = await replay(database.dsn, engine="both", place=place, as_of=instant)
        assert both.ok, summary(both)
        columns = await replay(database.dsn, engine="columnar", place=place, as_of=instant)
        assert columns.ok, summary(columns)
        assert columns.totals == both.totals


async def test_a_segment_whose_columns_were_changed_does_not_agree(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path
) -> None:
    place = await sealed_in_the_middle(ledger, clock, database, tmp_path)
    path = max(tmp_path.glob("segment-*.parquet"))
    table = pq.read_table(path)
    column = table.schema.get_field_index("purchased_held_moved")
    one_more = [number + 1 for number in table["purchased_held_moved"].to_pylist()]
    changed = table.set_column(column, table.schema.field(column), pa.array(one_more, pa.int64()))
    pq.write_table(changed, path)
    result = await replay(database.dsn, engine="columnar", place=place)
    assert not result.ok
    assert "ledger.columns" in {difference.where for difference in result.differences.kept}


async def test_other_shares_show_who_would_gain_and_who_would_lose(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path
) -> None:
    place = await sealed_in_the_middle(ledger, clock, database, tmp_path)
    shares = OtherShares(partner=1_000, agent=2_000)
    result = await replay(database.dsn, engine="both", place=place, shares=shares)
    assert result.ok, summary(result)
    assert result.what_if is not None
    lines = render(result, "csv").decode().splitlines()
    assert lines == [
        "role,payee,true_revenue_minor,share_minor,share_if_minor,gain_minor",
        "agent,agent-1,1999,199,399,200",
        "partner,partner-1,4298,1289,429,-860",
    ]
    assert b'"what_if"' not in render(result, "table")
