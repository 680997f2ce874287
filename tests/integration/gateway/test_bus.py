"""Logs from a real bus: kept once and in their place, whatever comes twice, late or broken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest_asyncio
from nats.aio.client import Client
from pydantic import SecretStr

from contracts.deployer.logs import LogChunk, log_subject
from contracts.subjects import LOG_STREAM
from services.gateway.log_chunks import CHECK_SECONDS, keep_logs
from services.gateway.wakes import Wakes, log_topic
from tests.integration.gateway.api import Api, running_api, until
from tests.integration.gateway.test_live import chunk
from tests.integration.gateway.way import Way, way_to
from tests.support.environment import PASSWORD, Database, RunningNats


@pytest_asyncio.fixture
async def connected(
    bus: RunningNats, database_for: Callable[[str], Awaitable[Database]]
) -> AsyncIterator[tuple[Api, Way, Client]]:
    """Give a gateway with its bus connected, the way to its database, and a deployer's client."""
    database = await database_for("gateway")
    async with (
        way_to(database) as way,
        running_api(
            way.database,
            nats_url=bus.url,
            nats_user="gateway",
            nats_password=SecretStr(PASSWORD),
        ) as api,
        bus.connected("deployer") as deployer,
    ):
        await api.running.bus.connect()
        try:
            yield api, way, deployer
        finally:
            await api.running.bus.close()


async def send(deployer: Client, *chunks: LogChunk, body: bytes | None = None) -> None:
    for each in chunks:
        await deployer.jetstream().publish(
            log_subject(each.build_id),
            each.model_dump_json().encode() if body is None else body,
            stream=LOG_STREAM,
            headers={"content-type": "application/json"},
        )


async def kept(api: Api, count: int) -> list[bytes]:
    async def read() -> list[bytes] | None:
        rows = await api.running.pool.fetch("select body from log_chunks order by build_id, start")
        return [row["body"] for row in rows] if len(rows) >= count else None

    return await until(read)


async def unacknowledged(bus: RunningNats) -> int:
    async with bus.connected() as admin:
        info = await admin.jetstream().consumer_info(LOG_STREAM, "gateway")
    return int(info.num_ack_pending or 0) + int(info.num_pending or 0)


async def all_acknowledged(bus: RunningNats) -> None:
    async def read() -> bool | None:
        return True if await unacknowledged(bus) == 0 else None

    await until(read)


async def test_lines_are_kept_in_their_place_and_once(
    bus: RunningNats, connected: tuple[Api, Way, Client]
) -> None:
    api, _, deployer = connected
    await send(deployer, chunk("b-1", 4, "two\n"), chunk("b-1", 0, "one\n"), chunk("b-2", 0, "x"))
    await send(deployer, chunk("b-1", 0, "one\n"), chunk("b-1", 8, "", final=True))

    assert await kept(api, 4) == [b"one\n", b"two\n", b"", b"x"]
    await all_acknowledged(bus)


async def test_a_line_that_cannot_be_read_is_parked_and_costs_no_other(
    bus: RunningNats, connected: tuple[Api, Way, Client]
) -> None:
    api, _, deployer = connected
    good = chunk("b-1", 0, "one\n")
    for body in (b"{", b"1", b'{"build_id": 7}', b"\xff"):
        await send(deployer, good, body=body)
    await send(deployer, good)

    assert await kept(api, 1) == [b"one\n"]
    await all_acknowledged(bus)
    parked = await api.running.pool.fetch("select reason, parked_at from inbox_waiting")
    assert [(row["reason"], row["parked_at"] is not None) for row in parked] == [
        ("undecodable", True)
    ] * 4


async def test_lines_that_come_while_the_database_is_away_come_again(
    bus: RunningNats, connected: tuple[Api, Way, Client]
) -> None:
    api, way, deployer = connected
    await send(deployer, chunk("b-1", 0, "one\n"))
    await kept(api, 1)
    await way.close()
    await send(deployer, chunk("b-1", 4, "two\n"))
    await asyncio.sleep(0.5)
    await way.open()

    assert await kept(api, 2) == [b"one\n", b"two\n"]
    await all_acknowledged(bus)


async def test_a_commit_wakes_who_listens(connected: tuple[Api, Way, Client]) -> None:
    api, _, deployer = connected
    wakes = Wakes()
    task = asyncio.create_task(keep_logs(api.running, wakes))
    try:
        with wakes.waiting(log_topic("b-1")) as woken:

            async def wake() -> bool | None:
                await send(deployer, chunk("b-1", 0, "one\n"))
                await asyncio.sleep(0.05)
                return True if woken.is_set() else None

            await until(wake)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def requests_counted(admin: Client) -> AsyncIterator[list[str]]:
    """Give what is asked of the consumer for logs, as it is asked."""
    asked: list[str] = []

    async def count(message: object) -> None:
        asked.append(str(message))

    subscription = await admin.subscribe(f"$JS.API.CONSUMER.MSG.NEXT.{LOG_STREAM}.>", cb=count)
    try:
        yield asked
    finally:
        await subscription.unsubscribe()


async def test_a_consumer_that_is_gone_is_told_of_and_not_asked_for_without_end(
    bus: RunningNats, connected: tuple[Api, Way, Client]
) -> None:
    api, _, deployer = connected
    await send(deployer, chunk("b-1", 0, "one\n"))
    await kept(api, 1)
    async with bus.connected() as admin:
        await admin.jetstream().delete_consumer(LOG_STREAM, "gateway")
        async with asyncio.timeout(CHECK_SECONDS * 2):
            while "logs" not in await api.running.readiness.problems():
                await asyncio.sleep(0.1)
        async with requests_counted(admin) as asked:
            await asyncio.sleep(1)
        assert len(asked) < 20
        await bus.migrate()
    await send(deployer, chunk("b-1", 4, "two\n"))

    assert await kept(api, 2) == [b"one\n", b"two\n"]
    assert "logs" not in await api.running.readiness.problems()
