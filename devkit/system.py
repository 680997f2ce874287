"""The whole system on this machine, from nothing to ready, and down again.

Servers first, then schemas and streams, then the services, as far as possible side by side.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import nats

from devkit.data_directory import DataDirectory, write_json
from devkit.environment import Environment, keep_ports
from devkit.guard import Guard
from devkit.nats import ADMIN as NATS_ADMIN
from devkit.program import Child, Program
from devkit.readiness import service_problem
from devkit.supervisor import Part, Supervisor
from runtime.bus_migrate import migrate_bus
from runtime.databases import ensure_databases
from runtime.migrate import migrate
from services.wiring import TOPOLOGY

SERVERS_SECONDS_MAX: Final = 60.0
SERVICES_SECONDS_MAX: Final = 60.0
SERVICES_STAGE: Final = 1
NATS_STAGE: Final = 2
POSTGRES_STAGE: Final = 3
STRIPE_STAGE: Final = 2


@dataclass
class System:
    """One run of the whole system. `tell` gets (part, text) for people.

    `port_is_fixed` says that the gateway keeps its port, whoever may have taken it meanwhile.
    """

    tell: Callable[[str, str], None]
    directory: DataDirectory
    environment: Environment
    guard: Guard
    port_is_fixed: bool
    supervisor: Supervisor = field(init=False)
    is_up: bool = False

    def __post_init__(self) -> None:
        """Make the supervisor; nothing is started yet."""
        self.supervisor = Supervisor(tell=self.tell, changed=self._changed)

    async def bring_up(self) -> None:
        """Start everything; when it returns all services are ready."""
        self.directory.endpoints.unlink(missing_ok=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bring_up_databases())
            group.create_task(self._bring_up_bus())
            if self.environment.fakes_stripe:
                group.create_task(self._bring_up_stripe())
        services = [self._service_part(name) for name in TOPOLOGY.services]
        await self.supervisor.start(*services, seconds_max=SERVICES_SECONDS_MAX)

    def write_endpoints(self) -> None:
        """Write where everything is; from now on changes are written too."""
        self.is_up = True
        keep_ports(self.directory, self.environment.ports)
        self._write_endpoints()

    async def bring_down(self) -> None:
        """End everything, in order."""
        self.is_up = False
        self.directory.endpoints.unlink(missing_ok=True)
        await self.supervisor.stop()

    async def _bring_up_databases(self) -> None:
        await self.supervisor.start(self._postgres_part(), seconds_max=SERVERS_SECONDS_MAX)
        environment = self.environment
        await ensure_databases(environment.admin_dsn(), environment.secrets.databases)
        done = await asyncio.gather(
            *(migrate(environment.admin_dsn(service), service) for service in TOPOLOGY.services)
        )
        for service, applied in zip(TOPOLOGY.services, done, strict=True):
            if applied:
                self.tell("db", f"{service} migrated: {', '.join(applied)}")

    async def _bring_up_bus(self) -> None:
        await self.supervisor.start(self._nats_part(), seconds_max=SERVERS_SECONDS_MAX)
        client = await nats.connect(
            self.environment.nats().url,
            user=NATS_ADMIN,
            password=self.environment.secrets.nats_admin,
            allow_reconnect=False,
        )
        try:
            done = await migrate_bus(client, TOPOLOGY)
        finally:
            await client.close()
        if done:
            self.tell("bus", f"{len(done)} streams and consumers made or changed")

    async def _bring_up_stripe(self) -> None:
        await self.supervisor.start(self._stripe_part(), seconds_max=SERVERS_SECONDS_MAX)

    def _stripe_part(self) -> Part:
        async def prepare(failures: int) -> Program:
            if failures:
                self.environment.ports.move("stripe")
            return self.environment.stripe_program()

        async def problem(_: Child) -> str | None:
            return await service_problem(self.environment.ports["stripe"])

        return Part("stripe", STRIPE_STAGE, prepare, problem)

    def _postgres_part(self) -> Part:
        async def prepare(failures: int) -> Program:
            if failures:
                self.environment.ports.move("postgres")
            server = self.environment.postgres()
            await asyncio.to_thread(server.prepare)
            return server.program()

        async def problem(child: Child) -> str | None:
            ready = self.environment.postgres().is_ready(child.pid)
            return None if ready else "takes no connections yet"

        return Part("postgres", POSTGRES_STAGE, prepare, problem)

    def _nats_part(self) -> Part:
        async def prepare(failures: int) -> Program:
            if failures:
                self.environment.ports.move("nats")
            server = self.environment.nats()
            server.prepare()
            return server.program()

        async def problem(_: Child) -> str | None:
            ready = await asyncio.to_thread(self.environment.nats().is_ready)
            return None if ready else "takes no connections yet"

        return Part("nats", NATS_STAGE, prepare, problem)

    def _service_part(self, service: str) -> Part:
        async def prepare(failures: int) -> Program:
            if failures and not (service == "gateway" and self.port_is_fixed):
                self.environment.ports.move(service)
            return self.environment.service_program(service)

        async def problem(_: Child) -> str | None:
            return await service_problem(self.environment.ports[service])

        return Part(service, SERVICES_STAGE, prepare, problem)

    def _changed(self) -> None:
        self.guard.update(self.supervisor.parts)
        if self.is_up:
            self._write_endpoints()

    def _write_endpoints(self) -> None:
        environment = self.environment
        services = {
            part.name: {"pid": part.child.pid, "health_url": environment.health_url(part.name)}
            for part in self.supervisor.parts
            if part.stage == SERVICES_STAGE and part.child is not None
        }
        servers = {
            part.name: part.child.pid
            for part in self.supervisor.parts
            if part.stage != SERVICES_STAGE and part.child is not None
        }
        value = {
            "gateway": environment.health_url("gateway"),
            "nats": environment.nats().url,
            "postgres": {name: environment.service_dsn(name) for name in TOPOLOGY.services},
            "stripe": environment.stripe_url,
            "services": services,
            "servers": servers,
            "pid": os.getpid(),
        }
        write_json(self.directory.endpoints, value)
