"""Revenue on a real database: what it publishes, what its read models hold."""

import asyncpg
import msgspec

from contracts.ledger import v1 as ledger
from contracts.registry import decode
from runtime.store import Recorded
from services.revenue.projections.payee_lines import PayeeLines
from services.revenue.projections.revenue_lines import RevenueLines
from tests.integration.revenue.conftest import Revenue
from tests.integration.revenue.settlements import (
    EMPTY,
    JUNE,
    MAY,
    Wallet,
    hold,
    purchased,
    settled,
)


async def test_a_settlement_is_published_as_a_line_and_its_shares(revenue: Revenue) -> None:
    wallet = Wallet()
    record = hold(purchased(0, 20), deployment="d1", partner="pia", agent="arno")
    await revenue.take(wallet.says(settled(record)))

    messages = await revenue.published()

    assert [(m["subject"], m["sequence"]) for m in messages] == [
        ("revenue-d1", 1),
        ("payee-pia", 1),
        ("payee-arno", 1),
    ]
    assert messages[0]["data"]["true_revenue"] == {"amount_minor": 2_000, "currency": "USD"}
    assert messages[1]["data"]["share"] == {"amount_minor": 600, "currency": "USD"}
    assert messages[2]["data"]["running_total"] == {"amount_minor": 101, "currency": "USD"}


async def test_every_message_can_be_read_and_says_what_it_was_caused_by(revenue: Revenue) -> None:
    wallet = Wallet()
    record = hold(purchased(0, 20), deployment="d1", partner="pia")
    await revenue.take(wallet.says(settled(record)))

    rows = await revenue.running.pool.fetch("select body from outbox order by position")
    for row in rows:
        envelope = decode(_type(row["body"]), row["body"].encode())
        assert envelope.correlationid == "request-1"
        assert envelope.seen_streams() == {"wallet-ursula": 1}


async def test_what_else_happens_to_a_wallet_earns_nothing(revenue: Revenue) -> None:
    wallet = Wallet()
    record = hold(purchased(0, 20), deployment="d1", partner="pia")
    placed = ledger.HoldPlaced(user_id="ursula", balance=EMPTY, hold=record)
    released = ledger.HoldReleased(user_id="ursula", balance=EMPTY, hold=record, reason="FAILED")
    await revenue.take(wallet.says(placed), wallet.says(released))

    assert await revenue.published() == []


async def test_a_message_that_comes_again_changes_nothing(revenue: Revenue) -> None:
    wallet = Wallet()
    first = wallet.says(settled(hold(purchased(0, 20), deployment="d1", partner="pia")))
    await revenue.take(first)
    await revenue.take(first)

    assert len(await revenue.published()) == 2


async def test_payees_lines_are_gapless_however_many_wallets_earn_at_once(
    revenue: Revenue,
) -> None:
    wallets = [Wallet(f"user{number}") for number in range(10)]
    await revenue.take(
        *(
            wallet.says(
                settled(
                    hold(
                        purchased(number, number + 1),
                        deployment=f"d-{wallet.stream}-{number}",
                        user=wallet.stream.removeprefix("wallet-"),
                        partner="pia",
                        agent="arno",
                    )
                )
            )
            for wallet in wallets
            for number in range(5)
        )
    )

    for payee, total in (("pia", 1_500), ("arno", 252)):
        lines = [m for m in await revenue.published() if m["subject"] == f"payee-{payee}"]
        assert [line["sequence"] for line in lines] == list(range(1, 51))
        assert lines[-1]["data"]["running_total"]["amount_minor"] == total


async def test_the_read_models_hold_what_the_facts_say(revenue: Revenue) -> None:
    wallet = Wallet()
    await revenue.take(
        wallet.says(settled(hold(purchased(0, 20), deployment="d1", partner="pia"), at=MAY)),
        wallet.says(settled(hold(purchased(20, 21), deployment="d2", agent="arno"), at=JUNE)),
        wallet.says(settled(hold(deployment="d3", partner="ursula"), at=JUNE)),
    )

    async with revenue.connection() as connection:
        lines = await connection.fetch(
            """select deployment_id, true_revenue_minor, recognized_at
               from revenue_lines order by deployment_id"""
        )
        shares = await connection.fetch(
            """select payee_id, sequence, deployment_id, share_minor, running_total_minor
               from payee_lines order by payee_id"""
        )
        totals = await connection.fetch(
            "select payee_id, lines, total_minor, remainder from payee_totals order by payee_id"
        )
    assert [tuple(row) for row in lines] == [
        ("d1", 2_000, MAY),
        ("d2", 100, JUNE),
        ("d3", 0, JUNE),
    ]
    assert [tuple(row) for row in shares] == [("arno", 1, "d2", 5, 5), ("pia", 1, "d1", 600, 600)]
    assert [tuple(row) for row in totals] == [("arno", 1, 5, 500), ("pia", 1, 600, 0)]


async def test_read_models_made_again_from_the_facts_are_the_same(revenue: Revenue) -> None:
    wallet = Wallet()
    await revenue.take(
        *(
            wallet.says(settled(hold(purchased(n, n + 1), deployment=f"d{n}", partner="pia")))
            for n in range(3)
        )
    )

    async with revenue.connection() as connection:
        before = await _tables(connection)
        await connection.execute("delete from payee_totals where true")
        await connection.execute("delete from payee_lines where true")
        await connection.execute("delete from revenue_lines where true")
        records = await _records(revenue)
        for _ in range(2):
            await RevenueLines().apply(connection, records)
            await PayeeLines().apply(connection, records)
        assert await _tables(connection) == before


async def test_a_deployment_settled_twice_is_set_aside_and_earns_once(revenue: Revenue) -> None:
    wallet = Wallet()
    first = hold(purchased(0, 20), deployment="d1", partner="pia")
    second = first.model_copy(update={"hold_id": "another"})
    await revenue.take(wallet.says(settled(first)), wallet.says(settled(second)))

    assert len(await revenue.published()) == 2
    waiting = await revenue.running.pool.fetch("select reason, sequence from inbox_waiting")
    assert [tuple(row) for row in waiting] == [("failed", 2)]


async def _tables(connection: asyncpg.Connection) -> list[list[tuple[object, ...]]]:
    return [
        [tuple(row) for row in await connection.fetch(f"select * from {table} order by 1, 2")]
        for table in ("revenue_lines", "payee_lines", "payee_totals")
    ]


async def _records(revenue: Revenue) -> list[Recorded[object]]:
    running = revenue.running
    kinds = {kind.name: kind for kind in running.service.kinds}
    rows = await running.pool.fetch("select name as stream from streams order by name")
    records: list[Recorded[object]] = []
    for row in rows:
        kind = kinds[row["stream"].partition("-")[0]]
        records += [
            Recorded(
                stream=fact.stream,
                version=fact.version,
                at=fact.at,
                fact=msgspec.json.decode(fact.body, type=kind.facts),
                id=fact.id,
                correlation_id=fact.correlation_id,
                causation_id=fact.causation_id,
                actor=fact.actor,
            )
            for fact in await running.store.read(row["stream"])
        ]
    return records


def _type(body: str) -> str:
    return str(msgspec.json.decode(body)["type"])
