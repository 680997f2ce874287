"""A deployer on a real database, with runners and Terraform, but handed its messages directly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contracts.catalog import v1 as catalog
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from runtime.archive import ArchivedFile, open_archive_store, pack
from runtime.clock import system_clock
from runtime.ids import new_id
from runtime.inbox import Delivery
from runtime.process import Running, assemble
from runtime.sealing import DataKey, generate_sealing_key
from services.deployer.main import build
from services.deployer.settings import DeployerSettings
from services.wiring import WIRING
from tests.support.environment import Database

BOUND_SECONDS = 60
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Deployer:
    """One deployer, and the other services played by hand."""

    settings: DeployerSettings
    public_key: str
    database: Database
    running: Running = field(init=False)
    sequences: dict[str, int] = field(default_factory=dict)

    async def tell(self, service: str, stream: str, event: Event, request_id: str = "") -> None:
        """Hand a message over as the bus would, and return when it is handled."""
        self.sequences[stream] = self.sequences.get(stream, 0) + 1
        done = asyncio.Event()

        async def settle() -> None:
            done.set()

        envelope: Envelope[Any] = Envelope.model_construct(
            id=new_id(),
            source=f"/tollgate/{service}",
            type=event.type_name(),
            subject=stream,
            time=system_clock.now(),
            dataschema=event.schema_id(),
            partitionkey=stream,
            sequence=self.sequences[stream],
            correlationid=request_id or new_id(),
            causationid=None,
            seen="",
            traceparent=None,
            data=event,
        )
        delivery = Delivery(
            envelope=envelope,
            subject=event.bus_subject(),
            body=envelope.to_bytes(),
            first_at=system_clock.now(),
            settle=settle,
        )
        await self.running.processor.submit(delivery)
        async with asyncio.timeout(BOUND_SECONDS):
            await done.wait()

    async def publish_module(
        self, folder: Path, *, variables: tuple[catalog.Variable, ...] = (), **more: Any
    ) -> str:
        """Publish a module's folder as the catalogue would; return the module's id."""
        files = {
            str(path.relative_to(folder)): ArchivedFile(path.read_bytes())
            for path in folder.rglob("*")
            if path.is_file()
        }
        digest = open_archive_store(self.settings.archive_url).put(pack(files))
        module_id = new_id()
        definition = catalog.Definition(
            name=folder.name,
            title=folder.name,
            description="for tests",
            credit_cost=Credits(more.get("credit_cost", 10)),
            require_credit_purchases=False,
            public_access=more.get("public_access", True),
            documentation=None,
            tags=(),
            variables=variables,
            outputs=(),
            readme=None,
        )
        event = catalog.ModulePublished(
            module_id=module_id,
            source="partner" if more.get("partner_id") else "admin",
            partner_id=more.get("partner_id"),
            module_version=1,
            definition=definition,
            repository="file:///modules",
            path=folder.name,
            commit="c0ffee",
            archive_digest=digest,
            published_at=system_clock.now(),
        )
        await self.tell("catalog", f"module-{module_id}", event)
        return module_id

    async def ask(self, module_id: str, values: dict[str, Any], user_id: str = "user-1") -> str:
        """Ask for a deployment; return its id."""
        deployment_id, request_id, key = new_id(), new_id(), DataKey.generate()
        now = system_clock.now()
        event = gateway.DeploymentRequested(
            request_id=request_id,
            requested_by=user_id,
            requested_at=now,
            expires_at=now + timedelta(minutes=5),
            deployment_id=deployment_id,
            user_id=user_id,
            module_id=module_id,
            module_version=None,
            project=None,
            variables=key.encrypt_json(values),
            sealed_data_key=key.seal_for(self.public_key),
        )
        await self.tell("gateway", f"request-{request_id}", event, request_id)
        return deployment_id

    async def cancel(self, deployment_id: str) -> None:
        """Ask for a deployment to be cancelled."""
        request_id, now = new_id(), system_clock.now()
        event = gateway.DeploymentCancelRequested(
            request_id=request_id,
            requested_by="user-1",
            requested_at=now,
            expires_at=FOREVER,
            deployment_id=deployment_id,
        )
        await self.tell("gateway", f"request-{request_id}", event, request_id)

    async def grant_hold(self, deployment_id: str, user_id: str = "user-1") -> None:
        """Say, as the ledger would, that the credits are held."""
        now = system_clock.now()
        hold = ledger.Hold(
            hold_id=f"hold-{deployment_id}-1",
            deployment_id=deployment_id,
            build_id=f"build-{deployment_id}-1",
            user_id=user_id,
            module_id="m",
            module_name="m",
            module_version=1,
            partner_id=None,
            agent_id=None,
            project=None,
            list_price=Credits(0),
            cost=Credits(0),
            premium=False,
            slices=(),
            share_rule=ledger.ShareRule(
                settings_version=0, partner_basis_points=0, agent_basis_points=0
            ),
            currency="USD",
            algorithm_version=1,
            requested_at=now,
            placed_at=now,
        )
        balance = ledger.Balance(
            awarded=0, purchased=0, awarded_held=Credits(0), purchased_held=Credits(0)
        )
        event = ledger.HoldPlaced(user_id=user_id, balance=balance, hold=hold)
        await self.tell("ledger", f"wallet-{user_id}", event)

    async def facts(self, deployment_id: str) -> list[str]:
        """Return what was recorded of a deployment, by name."""
        rows = await self.running.store.read(f"deployment-{deployment_id}")
        return [row.body.partition('"fact":"')[2].partition('"')[0] for row in rows]

    async def last_fact(self, deployment_id: str) -> str:
        """Return the newest fact's body."""
        return (await self.running.store.read(f"deployment-{deployment_id}"))[-1].body

    async def until(self, what: str, true: Callable[[], Awaitable[Any]]) -> Any:
        """Return once something is true, within the bound."""
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                while not (value := await true()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {BOUND_SECONDS} s: {what}") from None
        return value

    async def until_ended(self, deployment_id: str) -> str:
        """Return the fact that a build ended with."""
        ends = {"build_succeeded", "build_failed", "build_cancelled", "build_timed_out"}

        async def ended() -> str | None:
            last = (await self.facts(deployment_id))[-1]
            return last if last in ends else None

        return str(await self.until("the build ends", ended))

    async def log(self, deployment_id: str) -> str:
        """Return what the build printed."""
        rows = await self.running.pool.fetch(
            "select text from log_chunks where deployment_id = $1 order by chunk_offset",
            deployment_id,
        )
        return "".join(row["text"] for row in rows)

    @asynccontextmanager
    async def process(self, *, crash: bool = False) -> AsyncIterator[None]:
        """Be one process of the deployer; a crash leaves its runners to themselves."""
        service = build(self.settings)
        async with assemble(service, self.settings, WIRING) as self.running:
            tasks = [asyncio.create_task(task(self.running)) for task in service.tasks]
            await asyncio.sleep(0)
            try:
                yield
            finally:
                if crash:
                    await self.running.pool.execute("update leases set process_id = null")
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Give the bounds of leases; a test may shorten them."""
    return {}


@pytest_asyncio.fixture
async def still_deployer(
    database_for: Callable[[str], Awaitable[Database]], tmp_path: Path, bounds: dict[str, Any]
) -> Deployer:
    """Give a deployer whose process the test starts itself."""
    from devkit.ports import free_port

    database = await database_for("deployer")
    private, public = generate_sealing_key()
    archive = tmp_path / "archive"
    archive.mkdir()
    settings = DeployerSettings(
        postgres_dsn=database.dsn,
        nats_user="deployer",
        nats_password="unused",
        nats_url="nats://127.0.0.1:1",
        master_key="A" * 43,
        sealing_key=private,
        archive_url=archive.as_uri(),
        work_dir=tmp_path / "work",
        builds_port=free_port(),
        allow_unisolated_builds=True,
        **bounds,
    )
    return Deployer(settings, public, database)


@pytest_asyncio.fixture
async def deployer(still_deployer: Deployer) -> AsyncIterator[Deployer]:
    """Give a running deployer."""
    async with still_deployer.process():
        yield still_deployer
