"""Servers to measure on: an embedded Postgres and NATS of one's own, migrated; services singly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nats
import nats.aio.client

from contracts.envelope import Envelope
from contracts.events import Event
from devkit.data_directory import DataDirectory
from devkit.environment import Environment, choose_ports
from devkit.nats import ADMIN
from devkit.program import Child, Program, end, start, wait_until_ready
from devkit.readiness import service_problem
from devkit.secret_store import load_or_make
from runtime.bus import Bus
from runtime.bus_migrate import migrate_bus
from runtime.clock import system_clock
from runtime.databases import ensure_databases
from runtime.ids import new_id
from runtime.migrate import migrate
from runtime.store import OutboxRow
from services.wiring import TOPOLOGY

_BATCH: Final = 500


@dataclass(frozen=True)
class Servers:
    """Running servers, and the settings by which services find them."""

    environment: Environment

    @contextmanager
    def service(self, name: str) -> Iterator[Child]:
        """Run one service until the block ends; it is ready when the block begins."""
        port = self.environment.ports[name]
        with _running(
            self.environment.service_program(name),
            lambda _: asyncio.run(service_problem(port)) is None,
        ) as child:
            yield child

    @asynccontextmanager
    async def bus_as(self, service: str) -> AsyncIterator[Bus]:
        """Give the bus as a service has it, to speak in its name."""
        password = self.environment.secrets.bus[service]
        url = self.environment.nats().url
        bus = Bus(service=service, url=url, user=service, password=password)
        await bus.connect()
        try:
            yield bus
        finally:
            await bus.close()

    @asynccontextmanager
    async def administrator(self) -> AsyncIterator[nats.aio.client.Client]:
        """Give a connection that may read all that is on the bus."""
        password = self.environment.secrets.nats_admin
        url = self.environment.nats().url
        client = await nats.connect(url, user=ADMIN, password=password)
        try:
            yield client
        finally:
            await client.close()


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Run Postgres with `fsync` on and NATS with every write synced, until the block ends."""
    directory = DataDirectory(folder)
    folder.mkdir(mode=0o711)
    secrets = load_or_make(directory.secrets, TOPOLOGY.services)
    environment = Environment(directory, secrets, choose_ports(directory, 0))
    with ExitStack() as stack:
        postgres, bus = environment.postgres(), environment.nats()
        postgres.prepare()
        stack.enter_context(
            _running(postgres.program(), lambda child: postgres.is_ready(child.pid))
        )
        bus.prepare()
        stack.enter_context(_running(bus.program(), lambda _: bus.is_ready()))
        asyncio.run(_migrate(environment))
        yield Servers(environment)


async def publish(bus: Bus, rows: Sequence[OutboxRow]) -> None:
    """Publish messages of one JetStream stream in atomic batches."""
    for place in range(0, len(rows), _BATCH):
        await bus.publish_batch(rows[place : place + _BATCH])


class Telling:
    """Makes messages, each the next of its stream."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()

    def row(self, stream: str, event: Event) -> OutboxRow:
        """Return the message that tells this event, as the next of the stream."""
        self._told[stream] += 1
        envelope = Envelope[Any].model_construct(
            id=new_id(),
            source=f"/tollgate/{event.service}",
            type=event.type_name(),
            subject=stream,
            time=system_clock.now(),
            dataschema=event.schema_id(),
            partitionkey=stream,
            sequence=self._told[stream],
            correlationid=stream.partition("-")[2],
            data=event,
        )
        return OutboxRow(
            id=envelope.id,
            subject=event.bus_subject(),
            stream=stream,
            sequence=envelope.sequence,
            body=envelope.to_bytes().decode(),
        )


@contextmanager
def _running(program: Program, ready: Callable[[Child], bool]) -> Iterator[Child]:
    child = start(program)
    try:
        wait_until_ready(child, lambda: ready(child))
        yield child
    finally:
        end(child)


async def _migrate(environment: Environment) -> None:
    await ensure_databases(environment.admin_dsn(), environment.secrets.databases)
    for service in TOPOLOGY.services:
        await migrate(environment.admin_dsn(service), service)
    client = await nats.connect(
        environment.nats().url, user=ADMIN, password=environment.secrets.nats_admin
    )
    try:
        await migrate_bus(client, TOPOLOGY)
    finally:
        await client.close()
