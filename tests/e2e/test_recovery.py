"""A running system whose parts are lost, and the commands that bring them back."""

import asyncio
import importlib
from collections import Counter
from typing import Any, Final

import asyncpg
import pytest

from contracts.registry import SERVICES
from runtime.migrate import migrate, owner_role, service_role
from runtime.projection_rebuild import Difference, ReadModels, rebuild
from runtime.restored import Imported
from services.wiring import WIRING
from tests.e2e.kept import carried_by_the_bus, when_quiet
from tests.e2e.system import System
from tests.support.story import Story, balance, deploy, module, succeeds, wait_for
from tollgate.commands.db import importing_into
from tollgate.target import admin_dsn, bus_connection, with_database

pytestmark = [pytest.mark.timeout(300)]

MODULE: Final = "uptime-alerts"
VALUES: Final = {"addresses": ["www.example.org"]}


async def lose_the_bus(system: System) -> None:
    """Take every JetStream stream away, with all consumers, under services that run."""
    async with bus_connection(system.data_dir) as client:
        jetstream = client.jetstream()
        for info in await jetstream.streams_info():
            await jetstream.delete_stream(str(info.config.name))


def money(system: System) -> str:
    """Return every balance, revenue and share, computed from the ledger."""
    answer = system.run("replay", "--format", "json", "--engine", "both")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


async def brought_back(system: System, service: str) -> tuple[Imported, list[Any], list[Any]]:
    """Import all that the bus carries into an empty database; return also both databases' facts."""
    dsn, _ = admin_dsn(system.data_dir)
    name = f"restored_{service}"
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name} owner {owner_role(service)}")
    try:
        await migrate(with_database(dsn, name), service)
        restored = await asyncpg.connect(with_database(dsn, name))
        original = await asyncpg.connect(with_database(dsn, service_role(service)))
        async with bus_connection(system.data_dir) as client:
            importing = importing_into(service, accept_loss=False)
            found = await importing.run(restored, client)
        sql = "select stream, version, encode(hash, 'hex') as h from facts order by 1, 2"
        both = [[tuple(row) for row in await each.fetch(sql)] for each in (original, restored)]
        await restored.close()
        await original.close()
        return found, both[0], both[1]
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


def test_the_ledger_is_brought_back_from_the_bus_alone(published: Story) -> None:
    user = published.user
    succeeds(user, deploy(user, module(user, MODULE), VALUES)["id"])
    asyncio.run(when_quiet(published.system))
    found, original, restored = asyncio.run(brought_back(published.system, "ledger"))
    assert found.lost == ()
    assert restored == original


def test_a_bus_that_was_lost_whole_is_rebuilt_under_services_that_run(published: Story) -> None:
    system, user = published.system, published.user
    card = module(user, MODULE)
    succeeds(user, deploy(user, card, VALUES)["id"])
    asyncio.run(when_quiet(system))
    before = money(system)
    asyncio.run(lose_the_bus(system))
    told = system.run("bus", "rebuild", "--check")
    assert told.returncode == 1

    rebuilt = system.run("bus", "rebuild")

    assert rebuilt.returncode == 0, rebuilt.stderr
    system.wait_until_ready()
    kept = asyncio.run(when_quiet(system))
    facts = {
        envelope.id
        for one in kept.values()
        for envelope in one.outbox
        if type(envelope.data).kind != "request"
    }
    assert Counter(asyncio.run(carried_by_the_bus(system))) == Counter(facts)
    assert money(system) == before
    assert system.run("bus", "rebuild", "--check").returncode == 0
    succeeds(user, deploy(user, card, VALUES)["id"])
    wait_for("the settlement", lambda: balance(user), lambda now: now[2] == 0)


async def differences(system: System) -> dict[str, Difference]:
    """Return how tables differ from what all facts say, of every read model that can be made."""
    dsn, _ = admin_dsn(system.data_dir)
    found: dict[str, Difference] = {}
    async with bus_connection(system.data_dir) as client:
        for service in SERVICES:
            main = importlib.import_module(f"services.{service}.main")
            models = ReadModels(service, main.KINDS, main.PROJECTIONS)
            connection = await asyncpg.connect(with_database(dsn, service_role(service)))
            await connection.execute(f"set role {owner_role(service)}")
            for each in models.projections:
                if not each.tables:
                    continue
                found |= {
                    f"{service}/{each.name}: {different.table}": different
                    for different in await rebuild(
                        connection, client, models, WIRING, each.name, check=True
                    )
                    if different.surplus or different.missing
                }
            await connection.close()
    return found


def test_every_read_model_is_what_all_facts_say(published: Story) -> None:
    asyncio.run(when_quiet(published.system))
    assert asyncio.run(differences(published.system)) == {}


async def spoil(system: System) -> None:
    """Break the gateway's wallets as a bug does: rows changed, rows gone, rows invented."""
    connection = await asyncpg.connect(system.endpoints["postgres"]["gateway"])
    try:
        await connection.execute("update wallets set awarded = awarded + 7")
        await connection.execute("delete from credit_history")
        await connection.execute("insert into lots select * from lots on conflict do nothing")
    finally:
        await connection.close()


def test_a_broken_read_model_is_rebuilt_while_it_is_read_and_written(published: Story) -> None:
    system, user = published.system, published.user
    before = balance(user)
    asyncio.run(spoil(system))
    assert balance(user) != before
    card = module(user, MODULE)
    accepted = deploy(user, card, VALUES)

    rebuilt = system.run("projection", "rebuild", "gateway/wallets")

    assert rebuilt.returncode == 0, rebuilt.stderr
    succeeds(user, accepted["id"])
    asyncio.run(when_quiet(system))
    assert balance(user) == (before[0] - accepted["credit_cost"], 0, 0)
    again = system.run("projection", "rebuild", "gateway/wallets", "--check")
    assert again.returncode == 0, again.stdout


def test_what_cannot_be_rebuilt_is_said(published: Story) -> None:
    for words, told in (
        ("gateway/client_events", "cannot be made of facts alone"),
        ("gateway/nothing", "wallets"),
        ("nobody/wallets", "is no SERVICE/NAME"),
    ):
        answer = published.system.run("projection", "rebuild", words)
        assert answer.returncode == 1
        assert told in answer.stderr


def test_a_rebuilt_bus_proves_what_the_first_one_did(published: Story) -> None:
    """Requests are not sent again; what followed from them says itself what it followed from."""
    system, user = published.system, published.user
    succeeds(user, deploy(user, module(user, MODULE), VALUES)["id"])
    asyncio.run(when_quiet(system))
    asyncio.run(lose_the_bus(system))
    assert system.run("bus", "rebuild").returncode == 0
    system.wait_until_ready()
    asyncio.run(when_quiet(system))
    found, original, restored = asyncio.run(brought_back(system, "ledger"))
    assert found.lost == ()
    assert restored == original
