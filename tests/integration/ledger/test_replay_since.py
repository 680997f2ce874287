"""What changed between two instants: the later figures without the earlier ones, row by row."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from runtime.clock import ManualClock
from runtime.segments.places import FolderPlace
from services.ledger.checking.totals import GroupBy
from services.ledger.checking.what_if import OtherShares
from services.ledger.replay import Engine, replay
from services.ledger.replay_formats import columns, render, rows, summary
from tests.integration.ledger.driver import START, Ledger
from tests.integration.ledger.sealed import Sealer
from tests.integration.ledger.test_replay_of_reversals import what_was_taken_back
from tests.support.environment import Database

LATER = START + timedelta(days=20)
"""Between what was settled and what of it was taken back."""


@pytest.mark.parametrize("engine", ["exact", "both"])
async def test_what_changed_since_an_instant_is_told_in_every_grouping(
    ledger: Ledger, clock: ManualClock, database: Database, tmp_path: Path, engine: Engine
) -> None:
    await what_was_taken_back(ledger, clock)
    await Sealer.of(database, clock, tmp_path, facts_max=9).seal()
    place = FolderPlace(tmp_path)
    for group_by in get_args(GroupBy):
        after = await replay(database.dsn, group_by=group_by, engine=engine, place=place)
        before = await replay(
            database.dsn, as_of=LATER, group_by=group_by, engine=engine, place=place
        )
        changed = replace(after, since=before)
        assert changed.ok, summary(changed)
        figures = {row[0]: row[1:] for row in rows(changed)}
        assert figures
        then = {row[0]: row[1:] for row in rows(before)}
        for row in rows(after):
            nothing = (0,) * len(row[1:])
            was = then.get(row[0], nothing)
            change = figures.get(row[0], nothing)
            assert row[1:] == tuple(a + b for a, b in zip(was, change, strict=True))
        told = json.loads(render(changed, "json"))
        assert told["since"] == f"{LATER:%Y-%m-%dT%H:%M:%S}Z"
        minor = columns(changed).index("true_revenue_minor")
        assert told["total"]["true_revenue_minor"] == sum(row[minor] for row in rows(changed)) < 0


async def test_a_month_that_is_over_does_not_change(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    """What is taken back later stands in the later month."""
    await what_was_taken_back(ledger, clock)
    before = await replay(database.dsn, as_of=LATER, group_by="month")
    after = replace(await replay(database.dsn, group_by="month"), since=before)
    assert [row[0] for row in rows(after)] == ["2026-04"]


async def test_gains_and_losses_of_other_shares_are_told_from_an_instant_on(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await what_was_taken_back(ledger, clock)
    shares = OtherShares.read("partner=35.00,agent=5.00")
    before = await replay(database.dsn, as_of=LATER, shares=shares)
    after = await replay(database.dsn, shares=shares)
    whole = {row[:2]: row[-1] for row in rows(after)}
    earlier = {row[:2]: row[-1] for row in rows(before)}
    since = {row[:2]: row[-1] for row in rows(replace(after, since=before))}
    assert since
    assert since == {key: whole[key] - earlier[key] for key in since}
