"""A deployer under test, with the other services played by hand."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from contracts.catalog import v1 as catalog
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from runtime.archive import ArchivedFile, open_archive_store, pack
from runtime.clock import system_clock
from runtime.ids import new_id
from runtime.sealing import DataKey
from services.deployer.runner.processes import RUNNER_MODULE
from services.deployer.settings import DeployerSettings

BOUND_SECONDS = 60
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
ENDS = {"build_succeeded", "build_failed", "build_cancelled", "build_timed_out"}


@dataclass
class Deployer(ABC):
    """What a test says to a deployer, and what it sees of it."""

    settings: DeployerSettings
    public_key: str
    pool: asyncpg.Pool
    keys: dict[str, DataKey] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    @abstractmethod
    async def hand_over(self, envelope: Envelope[Any]) -> None:
        """Give the deployer a message from the bus."""

    # What others say.

    async def tell(self, service: str, stream: str, event: Event, request_id: str = "") -> None:
        """Say something as another service."""
        self.sequences[stream] = self.sequences.get(stream, 0) + 1
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
        await self.hand_over(envelope)

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
        module_id = more.get("module_id") or new_id()
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
            module_version=more.get("module_version", 1),
            definition=definition,
            repository="file:///modules",
            path=folder.name,
            commit="c0ffee",
            archive_digest=more.get("archive_digest", digest),
            published_at=system_clock.now(),
        )
        await self.tell("catalog", f"module-{module_id}", event)

        async def known() -> bool:
            return bool(
                await self.pool.fetchval(
                    "select true from documents where collection = 'module' and key = $1", module_id
                )
            )

        await self.until("the module is known", known)
        return str(module_id)

    async def ask(self, module_id: str, values: Any, user_id: str = "user-1", **more: Any) -> str:
        """Ask for a deployment; return its id."""
        deployment_id, request_id, key = new_id(), new_id(), DataKey.generate()
        self.keys[deployment_id] = key
        now = system_clock.now()
        fields: dict[str, Any] = {
            "request_id": request_id,
            "requested_by": user_id,
            "requested_at": now,
            "expires_at": now + timedelta(minutes=5),
            "deployment_id": deployment_id,
            "user_id": user_id,
            "module_id": module_id,
            "module_version": None,
            "project": None,
            "variables": key.encrypt_json(values),
            "sealed_data_key": key.seal_for(self.public_key),
        }
        event = gateway.DeploymentRequested(**(fields | more))
        await self.tell("gateway", f"request-{request_id}", event, request_id)
        return deployment_id

    async def cancel(self, deployment_id: str, expires_at: datetime = FOREVER) -> None:
        """Ask for a deployment to be cancelled."""
        request_id, now = new_id(), system_clock.now()
        event = gateway.DeploymentCancelRequested(
            request_id=request_id,
            requested_by="user-1",
            requested_at=now,
            expires_at=expires_at,
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
            gate="STANDARD",
            slices=(),
            share_rule=ledger.ShareRule(
                settings_version=0, partner_basis_points=0, agent_basis_points=0
            ),
            currency="USD",
            algorithm_version=1,
            requested_at=now,
            request_expires_at=now,
            placed_at=now,
        )
        event = ledger.HoldPlaced(user_id=user_id, balance=_nothing(), hold=hold)
        await self.tell("ledger", f"wallet-{user_id}", event)

    async def deploy(self, folder: Path, values: Any, **more: Any) -> str:
        """Publish a module, ask for a deployment of it, and hold the credits."""
        module_id = await self.publish_module(folder, **more)
        deployment_id = await self.ask(module_id, values)
        await self.until_fact(deployment_id, "hold_requested")
        await self.grant_hold(deployment_id)
        return deployment_id

    # What the deployer did.

    async def facts(self, deployment_id: str) -> list[str]:
        """Return what was recorded of a deployment, by name."""
        return [
            body.partition('"fact":"')[2].partition('"')[0]
            for body in await self.bodies(deployment_id)
        ]

    async def bodies(self, deployment_id: str) -> list[str]:
        """Return what was recorded of a deployment."""
        rows = await self.pool.fetch(
            "select body from facts where stream = $1 order by version",
            f"deployment-{deployment_id}",
        )
        return [row["body"] for row in rows]

    async def last_fact(self, deployment_id: str) -> str:
        """Return the newest fact's body."""
        return (await self.bodies(deployment_id))[-1]

    async def until(self, what: str, true: Callable[[], Awaitable[Any]]) -> Any:
        """Return once something is true, within the bound."""
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                while not (value := await true()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {BOUND_SECONDS} s: {what}\n{self.said}") from None
        return value

    @property
    def said(self) -> str:
        """Everything that its processes have logged, where it is a process of its own."""
        return ""

    async def until_fact(self, deployment_id: str, fact: str) -> None:
        """Return once such a fact is recorded."""

        async def recorded() -> bool:
            return fact in await self.facts(deployment_id)

        await self.until(fact, recorded)

    async def until_ended(self, deployment_id: str) -> str:
        """Return the fact that a build ended with."""

        async def ended() -> str | None:
            facts = await self.facts(deployment_id)
            return facts[-1] if facts and facts[-1] in ENDS else None

        return str(await self.until("the build ends", ended))

    async def until_log(self, deployment_id: str, fragment: str) -> None:
        """Return once the build has printed this."""

        async def printed() -> bool:
            return fragment in await self.log(deployment_id)

        await self.until(f"{fragment!r} is printed", printed)

    async def log(self, deployment_id: str, number: int = 1) -> str:
        """Return what a build of the deployment printed, the first one where none is named."""
        rows = await self.pool.fetch(
            "select text from log_chunks where build_id = $1 order by chunk_offset",
            f"build-{deployment_id}-{number}",
        )
        return "".join(row["text"] for row in rows)

    def runners(self) -> list[psutil.Process]:
        """Return the runners of this deployer that are alive."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if RUNNER_MODULE in (words := process.info["cmdline"] or [])
            and str(self.settings.work_dir) in words[-1]
        ]

    async def until_no_runner(self) -> None:
        """Return once no runner is left."""

        async def none() -> bool:
            return self.runners() == []

        await self.until("no runner is left", none)


def _nothing() -> ledger.Balance:
    return ledger.Balance(
        awarded=0, purchased=0, awarded_held=Credits(0), purchased_held=Credits(0)
    )
