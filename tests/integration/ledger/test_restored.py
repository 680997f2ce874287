"""A ledger restored from an old backup is brought up to a bus that was rebuilt from its outbox."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import asyncpg

from contracts.types import Credits
from runtime.bus import Bus
from runtime.clock import ManualClock
from runtime.migrate import owner_role, service_role
from runtime.outbox import batches
from runtime.process import assemble
from runtime.restored import Imported
from runtime.store import OutboxRow
from services.ledger import events
from services.ledger.main import build
from services.ledger.replay import replay, verify
from services.ledger.replay_formats import summary
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for
from tests.integration.ledger.history import a_history
from tests.integration.ledger.test_refunds import buy, dispute, lost, money_back
from tests.support.environment import PASSWORD, Database, RunningNats
from tollgate.commands.db import importing_into

FACT_NAMES: Final = {each.__struct_config__.tag for each in events.Fact.__args__}


@asynccontextmanager
async def working(database: Database, clock: ManualClock) -> AsyncIterator[Ledger]:
    """Give a ledger on a database, for a while."""
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=clock) as running:
        yield Ledger(running)


async def what_is_taken_back(ledger: Ledger, clock: ManualClock) -> None:
    """Refunds of settlements and purchases, debt that is repaid, disputes lost and won."""
    await buy(ledger, "lot-1", 100, 9_999, bonus=7)
    for name in ("a", "b"):
        await ledger.hold(name, "user-1", 60, partner_id="partner-1")
        await ledger.succeed(name, "user-1")
        clock.advance(timedelta(hours=1))
    await ledger.refund("a", "user-1", credits=15)
    await ledger.change(money_back("lot-1", 8_000))
    await buy(ledger, "lot-2", 250, 20_000)
    await ledger.change(dispute("lot-2", 2_000))
    await ledger.change(replace(lost("lot-2"), outcome="WON"))
    await ledger.change(replace(dispute("lot-2", 2_000), dispute_id="du_again"))
    await ledger.change(replace(lost("lot-2"), dispute_id="du_again"))


async def copied(database: Database) -> Database:
    """Return a backup of a database that nobody is connected to."""
    name = f"test_ledger_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(database.admin_dsn.replace(database.name, "postgres"))
    try:
        await admin.execute(f"create database {name} template {database.name} strategy file_copy")
        await admin.execute(f"grant connect on database {name} to {service_role('ledger')}")
    finally:
        await admin.close()
    return Database(
        service="ledger",
        name=name,
        dsn=database.dsn.replace(database.name, name),
        admin_dsn=database.admin_dsn.replace(database.name, name),
    )


async def rebuild(bus: RunningNats, database: Database) -> None:
    """Put on an empty bus what `tollgate bus rebuild` does: the ledger's own messages, no other."""
    sender = Bus(service="ledger", url=bus.url, user="ledger", password=PASSWORD)
    await sender.connect()
    async with asyncpg.create_pool(database.dsn, min_size=1, max_size=1) as pool:
        rows = await pool.fetch(
            "select id, subject, stream, sequence, body, position from outbox order by position"
        )
    for batch in batches([OutboxRow(**dict(row)) for row in rows]):
        await sender.publish_batch(batch)
    await sender.close()


async def imported(bus: RunningNats, database: Database) -> Imported:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(f"set role {owner_role('ledger')}")
        importing = importing_into("ledger", accept_loss=False)
        async with bus.connected() as client:
            return await importing.run(connection, client)
    finally:
        await connection.close()


async def kept(database: Database) -> dict[str, list[Any]]:
    """Return all facts, where each stream of them stands, and what was told of them."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        tables = {
            "facts": "select stream, version, id, at, body, actor, correlation_id, causation_id,"
            " previous_hash, hash from facts order by stream, version",
            "streams": "select name, version, sequence, last_at, last_hash, state from streams"
            " where version > 0 order by name",
            "documents": "select collection, key, body from documents"
            " where collection in ('deployment', 'lot') order by 1, 2",
            "outbox": "select id, subject, stream, sequence, body from outbox order by id",
        }
        return {
            name: [tuple(row) for row in await connection.fetch(query)]
            for name, query in tables.items()
        }
    finally:
        await connection.close()


async def test_every_kind_of_fact_comes_back_from_a_rebuilt_bus(
    database: Database, clock: ManualClock, bus: RunningNats
) -> None:
    async with working(database, clock) as ledger:
        await ledger.set(signup_award=Credits(5), referral_award=Credits(3))
        await ledger.register("user-1")
        await ledger.award("user-1", 5)
    backup = await copied(database)
    async with working(database, clock) as ledger:
        await a_history(ledger, clock)
        await what_is_taken_back(ledger, clock)
        told = await ledger.fetch("select distinct body::json ->> 'fact' as name from facts")
    assert {row["name"] for row in told} == FACT_NAMES
    await rebuild(bus, database)

    found = await imported(bus, backup)

    assert found.lost == ()
    assert await kept(backup) == await kept(database)
    assert (await verify(backup.dsn)).ok
    before, after = await replay(database.dsn), await replay(backup.dsn)
    assert after.ok, summary(after)
    assert after.totals == before.totals
    again = await imported(bus, backup)
    assert (again.messages, again.facts) == (0, 0)


async def test_what_comes_again_afterwards_is_not_booked_again(
    database: Database, clock: ManualClock, bus: RunningNats
) -> None:
    """Of a settled hold and of a lot that was spent up a wallet itself knows nothing any more."""

    async def it_comes(ledger: Ledger) -> None:
        await ledger.register("agent-1")
        await ledger.register("user-1", referred_by="agent-1")
        await ledger.hold("a", "user-1", 5)
        await ledger.succeed("a", "user-1")
        await ledger.hold("b", "agent-1", 8)
        await ledger.fail("b", "agent-1")

    async with working(database, clock) as ledger:
        await ledger.set(signup_award=Credits(5), referral_award=Credits(3))
    backup = await copied(database)
    async with working(database, clock) as ledger:
        await it_comes(ledger)
    await rebuild(bus, database)
    assert (await imported(bus, backup)).lost == ()

    async with working(backup, clock) as ledger:
        await it_comes(ledger)
        assert await ledger.waiting() == []
    assert (await kept(backup))["facts"] == (await kept(database))["facts"]
