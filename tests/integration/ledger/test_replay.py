"""A replay from the first fact agrees with what is live, and says where anything was changed."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from runtime.clock import ManualClock
from runtime.process import assemble
from services.ledger.replay import replay
from services.ledger.replay_formats import Format, render, summary
from services.revenue.main import build as build_revenue
from services.revenue.settings import RevenueSettings
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for
from tests.integration.ledger.history import a_history
from tests.support.environment import Database


async def test_a_replay_agrees_with_the_ledgers_own_read_models(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await a_history(ledger, clock)
    result = await replay(database.dsn)
    assert result.ok, summary(result)
    assert result.totals.wallets == 2
    user = result.totals.groups["user-1"]
    assert (user.awarded, user.purchased, user.true_revenue_minor) == (0, 75, 1_999)
    assert (user.partner_share_minor, user.agent_share_minor) == (599, 0)
    assert result.totals.groups["user-2"].agent_share_minor == 199


async def test_a_replay_as_of_any_earlier_instant_agrees_with_the_history(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await a_history(ledger, clock)
    instants = [
        row["at"] for row in await ledger.fetch("select distinct at from facts order by at")
    ]
    for instant in instants:
        earlier = await replay(database.dsn, as_of=instant)
        assert earlier.ok, summary(earlier)
    result = await replay(database.dsn, as_of=instants[-1])
    assert result.totals.total.true_revenue_minor == 3_998
    nothing = await replay(database.dsn, as_of=instants[0] - timedelta(microseconds=1))
    assert nothing.ok
    assert nothing.totals.wallets == 0


@pytest.mark.parametrize(
    ("group_by", "revenue_by_group"),
    [
        ("user", {"user-1": 1_999, "user-2": 1_999}),
        ("module", {"module-1": 3_998}),
        ("partner", {"partner-1": 3_998, "user-1": 0}),
        ("agent", {"agent-1": 1_999, None: 1_999}),
        ("month", {"2026-03": 3_998}),
    ],
)
async def test_figures_are_grouped_as_asked(
    ledger: Ledger,
    clock: ManualClock,
    database: Database,
    group_by: str,
    revenue_by_group: dict[str | None, int],
) -> None:
    await a_history(ledger, clock)
    result = await replay(database.dsn, group_by=group_by)  # type: ignore[arg-type]
    groups = result.totals.groups.items()
    assert {key: group.true_revenue_minor for key, group in groups} == revenue_by_group


@pytest.mark.parametrize("form", ["table", "csv", "json", "parquet"])
async def test_figures_are_written_in_each_format(
    ledger: Ledger, clock: ManualClock, database: Database, form: Format
) -> None:
    await a_history(ledger, clock)
    written = render(await replay(database.dsn, group_by="agent"), form)
    match form:
        case "table":
            assert "true_revenue_minor" in written.decode().splitlines()[0]
        case "csv":
            assert written.decode().splitlines()[1] == "agent-1,1,50,30,20,1999,599,199"
        case "json":
            assert json.loads(written)["rows"][0]["agent_share_minor"] == 199
        case "parquet":
            assert written[:4] == b"PAR1"


CHANGES = [
    ("update balances set awarded = awarded + 1 where user_id = 'user-1'", "ledger.balances"),
    ("delete from balances where user_id = 'user-2'", "ledger.balances"),
    ("insert into balances values ('nobody', 1, 0, 0, 0, 0)", "ledger.balances"),
    (
        "update lots set free = free - 1, spent = spent + 1 where kind = 'purchase'",
        "ledger.lots",
    ),
    (
        "insert into lots values ('x', 'user-1', 9, 'purchase', 1, 0, 'USD', '', now(), null, 1)",
        "ledger.lots",
    ),
    ("update holds set status = 'RELEASED' where deployment_id = 'user-1-a'", "ledger.holds"),
    ("update holds set status = 'PLACED' where deployment_id = 'user-1-b'", "ledger.holds"),
    ("delete from history where type = 'HOLD' and user_id = 'user-2'", "ledger.history"),
    ("update streams set state = '\\x00' where name = 'wallet-user-1'", "ledger.streams"),
]


@pytest.mark.parametrize(("change", "where"), CHANGES)
async def test_a_read_model_that_was_changed_is_named(
    ledger: Ledger, clock: ManualClock, database: Database, change: str, where: str
) -> None:
    await a_history(ledger, clock)
    await ledger.fetch(change)
    result = await replay(database.dsn)
    assert not result.ok
    assert where in {difference.where for difference in result.differences.kept}
    assert "does not agree" in summary(result)


async def test_revenues_read_models_are_compared_too(
    ledger: Ledger,
    clock: ManualClock,
    database: Database,
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    await a_history(ledger, clock)
    revenue_database = await database_for("revenue")
    base = settings_for(revenue_database).model_dump()
    settings = RevenueSettings.model_validate(base | {"nats_user": "revenue"})
    async with assemble(build_revenue(settings), settings, WIRING, clock=clock) as running:
        revenue = Ledger(running)
        rows = await ledger.fetch("select subject, body from outbox order by position")
        told = [
            WIRING.decode(WIRING.type_of_subject(row["subject"]), row["body"].encode())
            for row in rows
            if row["subject"].split(".")[2] == "wallet"
        ]
        await revenue.hand_in(told[:-6])
        behind = await replay(database.dsn, revenue_dsn=revenue_database.dsn, patience_seconds=0.0)
        assert {d.where for d in behind.differences.kept} == {"revenue.revenue_lines"}
        await revenue.hand_in(told[-6:])
        result = await replay(database.dsn, revenue_dsn=revenue_database.dsn)
        assert result.ok, summary(result)
        assert result.compared == ("ledger", "revenue")
        await revenue.fetch("update payee_lines set running_total_minor = running_total_minor + 1")
        await revenue.fetch("update revenue_lines set deployment_id = deployment_id || '-x'")
        result = await replay(database.dsn, revenue_dsn=revenue_database.dsn, patience_seconds=0.0)
        places = {difference.where for difference in result.differences.kept}
        assert places == {"revenue.payee_lines", "revenue.revenue_lines", "revenue.payee_totals"}
