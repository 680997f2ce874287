"""A replay agrees with revenue's lines where settlements and purchases were taken back."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from runtime.clock import ManualClock
from runtime.process import assemble
from runtime.segments.places import FolderPlace
from services.ledger.checking.totals import GroupBy
from services.ledger.replay import replay
from services.ledger.replay_formats import summary
from services.revenue.main import build as build_revenue
from services.revenue.settings import RevenueSettings
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for
from tests.integration.ledger.sealed import Sealer
from tests.integration.ledger.test_refunds import buy, dispute, lost, money_back
from tests.support.environment import Database

GROUPS: tuple[GroupBy, ...] = ("user", "partner", "month")
MakeDatabase = Callable[[str], Awaitable[Database]]


async def what_was_taken_back(ledger: Ledger, clock: ManualClock) -> None:
    """One user, whose spends are refunded, reversed, repaid by a later purchase, and disputed."""
    await ledger.register("agent-1")
    await ledger.register("user-1", referred_by="agent-1")
    await ledger.award("user-1", 10)
    await buy(ledger, "lot-1", 100, 9_999, bonus=7)
    for name, cost in (("a", 40), ("b", 30), ("c", 20)):
        await ledger.hold(name, "user-1", cost, partner_id="partner-1")
        await ledger.succeed(name, "user-1")
        clock.advance(timedelta(hours=1))
    await ledger.refund("a", "user-1", credits=15)
    clock.advance(timedelta(days=31))
    await ledger.change(money_back("lot-1", 6_000))
    await buy(ledger, "lot-2", 25, 2_000)
    await ledger.hold("d", "user-1", 5)
    await ledger.change(dispute("lot-2", 2_000))
    await ledger.succeed("d", "user-1")
    await ledger.change(lost("lot-2"))


async def test_a_replay_agrees_with_revenue_on_what_was_taken_back(
    ledger: Ledger,
    clock: ManualClock,
    database: Database,
    database_for: MakeDatabase,
    tmp_path: Path,
) -> None:
    await what_was_taken_back(ledger, clock)
    await Sealer.of(database, clock, tmp_path, facts_max=9).seal()
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
        await revenue.hand_in(told)
        place = FolderPlace(tmp_path)
        for group_by in GROUPS:
            result = await replay(
                database.dsn,
                group_by=group_by,
                engine="both",
                place=place,
                revenue_dsn=revenue_database.dsn,
            )
            assert result.ok, summary(result)
        kinds = await revenue.fetch("select distinct kind from revenue_lines order by kind")
        assert [row["kind"] for row in kinds] == [
            "repaid",
            "settled",
            "settlement_refunded",
            "settlement_reversed",
        ]
        columns = await replay(
            database.dsn, engine="columnar", place=place, revenue_dsn=revenue_database.dsn
        )
        assert columns.ok, summary(columns)
        assert columns.compared == ("ledger", "revenue")
        await revenue.fetch(
            "update revenue_lines set true_revenue_minor = true_revenue_minor + 1"
            " where kind = 'settlement_reversed'"
        )
        result = await replay(database.dsn, revenue_dsn=revenue_database.dsn, patience_seconds=0.0)
        assert {d.where for d in result.differences.kept} == {"revenue.revenue_lines"}
