"""A running system whose parts are lost, and the commands that bring them back."""

import asyncio
from collections import Counter
from typing import Final

import nats
import pytest

from tests.e2e.kept import carried_by_the_bus, when_quiet
from tests.e2e.system import System
from tests.support.story import Story, balance, deploy, module, succeeds
from tollgate.target import bus_admin

pytestmark = [pytest.mark.timeout(300)]

MODULE: Final = "uptime-alerts"
VALUES: Final = {"addresses": ["www.example.org"]}


async def lose_the_bus(system: System) -> None:
    """Take every JetStream stream away, with all consumers, under services that run."""
    admin = bus_admin(system.data_dir)
    client = await nats.connect(admin.url, user=admin.user, password=admin.password)
    try:
        jetstream = client.jetstream()
        for info in await jetstream.streams_info():
            await jetstream.delete_stream(str(info.config.name))
    finally:
        await client.close()


def money(system: System) -> str:
    """Return every balance, revenue and share, computed from the ledger."""
    answer = system.run("replay", "--format", "json", "--engine", "both")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


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
    assert balance(user)[2] == 0
