"""A catalogue on a real database, handed its requests by the test, reading real repositories."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest_asyncio
from pydantic import SecretStr

from contracts.envelope import Envelope
from contracts.gateway.v1 import SyncRequested
from runtime.clock import system_clock
from runtime.ids import new_id
from runtime.inbox import Delivery
from runtime.process import Running, assemble
from runtime.sealing import generate_sealing_key, seal
from services.catalog.main import build
from services.catalog.settings import CatalogSettings
from services.wiring import WIRING
from tests.support.environment import Database
from tests.support.tools import program

WAIT_SECONDS_MAX: Final = 60
POLL_SECONDS: Final = 0.02
PRIVATE_KEY, PUBLIC_KEY = generate_sealing_key()


def sync_request(
    url: str,
    *,
    partner_id: str | None = None,
    branch: str | None = None,
    token: str | None = None,
    sync_id: str | None = None,
) -> Envelope[SyncRequested]:
    """Return the gateway's request for a sync."""
    now = system_clock.now()
    request_id = new_id()
    event = SyncRequested(
        request_id=request_id,
        requested_by="ada",
        requested_at=now,
        expires_at=now + timedelta(hours=24),
        sync_id=sync_id or new_id(),
        scope="platform" if partner_id is None else "partner",
        partner_id=partner_id,
        repository_url=url,
        branch=branch,
        sealed_token=None if token is None else seal(token.encode(), PUBLIC_KEY),
    )
    return Envelope(
        id=new_id(),
        source="/tollgate/gateway",
        type=event.type_name(),
        subject=f"request-{request_id}",
        time=now,
        dataschema=event.schema_id(),
        partitionkey=f"request-{request_id}",
        sequence=1,
        correlationid=request_id,
        data=event,
    )


@dataclass
class Catalog:
    """The running service."""

    running: Running
    archive: Path
    work: Path
    syncs: list[str] = field(default_factory=list)

    async def ask(self, url: str, **fields: Any) -> str:
        """Hand in a request for a sync; return the sync's id."""
        return await self.take(sync_request(url, **fields))

    async def take(self, envelope: Envelope[SyncRequested]) -> str:
        settled = asyncio.Event()

        async def settle() -> None:
            settled.set()

        await self.running.processor.submit(
            Delivery(
                envelope=envelope,
                subject=envelope.data.bus_subject(),
                body=envelope.to_bytes(),
                first_at=envelope.time,
                settle=settle,
            )
        )
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await settled.wait()
        return envelope.data.sync_id

    async def report(self, sync_id: str) -> dict[str, Any]:
        """Return what was published of a sync once it has ended."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not (found := await self.published("sync_finished", f"sync-{sync_id}")):
                await asyncio.sleep(POLL_SECONDS)
        [envelope] = found
        data: dict[str, Any] = envelope["data"]
        return data

    async def sync(self, url: str, **fields: Any) -> dict[str, Any]:
        """Return the report of a sync from beginning to end."""
        return await self.report(await self.ask(url, **fields))

    async def published(self, fact: str, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the messages of one type in the outbox, in the order of their writing."""
        rows = await self.running.pool.fetch("select body from outbox order by position")
        bodies = [msgspec.json.decode(row["body"]) for row in rows]
        return [
            body
            for body in bodies
            if body["type"] == f"tollgate.catalog.{fact}.v1"
            and (stream is None or body["subject"] == stream)
        ]


def outcomes(report: dict[str, Any]) -> dict[str, tuple[str, int | None]]:
    """Return path → (outcome, version)."""
    return {
        module["path"]: (module["outcome"], module["module_version"])
        for module in report["modules"]
    }


RunCatalog = Callable[..., AbstractAsyncContextManager[Catalog]]


@pytest_asyncio.fixture
async def run_catalog(
    database_for: Callable[[str], Awaitable[Database]], tmp_path: Path
) -> RunCatalog:
    """Return what runs the service for as long as a block lasts, always on the same database."""
    program("git")
    database = await database_for("catalog")
    archive, work = tmp_path / "archive", tmp_path / "catalog-work"

    @asynccontextmanager
    async def run(**settings_given: Any) -> AsyncIterator[Catalog]:
        settings = CatalogSettings(
            **{
                "postgres_dsn": SecretStr(database.dsn),
                "nats_user": "catalog",
                "nats_password": SecretStr("none"),
                "allow_local_repositories": True,
                "archive_url": archive.as_uri(),
                "work_dir": work,
                "sealing_key": SecretStr(PRIVATE_KEY),
                **settings_given,
            }
        )
        service = build(settings)
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(assemble(service, settings, WIRING))
            tasks = [asyncio.create_task(task(running)) for task in service.tasks]
            try:
                yield Catalog(running, archive, work)
            finally:
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(each, asyncio.CancelledError) for each in results), results

    return run


@pytest_asyncio.fixture
async def catalog(run_catalog: RunCatalog) -> AsyncIterator[Catalog]:
    """Run the service for the test."""
    async with run_catalog() as running:
        yield running
