"""The parts that the API works with, put together once for a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from runtime.clock import Clock
from runtime.connection import Connection
from runtime.process import Running, StartError
from runtime.sealing import DataKey
from runtime.work import Outcome
from services.gateway.answers import Answers
from services.gateway.feed import Feed
from services.gateway.openid_provider import Client, OpenIdProvider
from services.gateway.passwords import Passwords
from services.gateway.queries.modules import SensitiveNames
from services.gateway.queue_board import QueueBoard
from services.gateway.settings import GatewaySettings
from services.gateway.sign_in import Throttle
from services.gateway.vault import Vault
from services.gateway.wakes import Wakes

CONNECTION_SECONDS_MAX: Final = 5.0
EXECUTE_SECONDS_MAX: Final = 8.0


@dataclass
class Gateway:
    """The running service, and what the API adds to it."""

    running: Running
    settings: GatewaySettings
    wakes: Wakes
    vault: Vault
    passwords: Passwords
    throttle: Throttle
    answers: Answers
    feed: Feed
    openid: OpenIdProvider | None
    queue: QueueBoard = field(default_factory=QueueBoard)
    sensitive: SensitiveNames = field(default_factory=SensitiveNames)

    @property
    def now(self) -> datetime:
        """The present moment."""
        return self.running.clock.now()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Give a connection to the database; `TimeoutError` where none is free for too long."""
        pool = self.running.pool
        # The pool's own time-out would make a task of it.
        async with asyncio.timeout(CONNECTION_SECONDS_MAX):
            connection = await pool.acquire()
        try:
            yield connection
        finally:
            await pool.release(connection)

    async def execute(self, command: Any) -> Outcome:
        """Return what a command brought about; raises its `Refusal`."""
        return await self.running.processor.execute(command, timeout_seconds=EXECUTE_SECONDS_MAX)

    async def sequences(self, *streams: str) -> dict[str, int]:
        """Return how far streams were applied here: our own, or others' that we follow."""
        async with self.connection() as connection:
            return await sequences(connection, *streams)


async def sequences(connection: Connection, *streams: str) -> dict[str, int]:
    """Return how far streams were applied here: our own, or others' that we follow."""
    rows = await connection.fetch(
        """select stream as name, sequence from inbox_cursors
           where stream = any ($1::text[])
           union all
           select name, sequence from streams where name = any ($1::text[])""",
        list(streams),
    )
    return {row["name"]: row["sequence"] for row in rows if row["sequence"] > 0}


def put_together(running: Running, wakes: Wakes) -> Gateway:
    """Return the API's parts; `StartError` where a setting that it needs is missing."""
    settings = running.settings
    if not isinstance(settings, GatewaySettings):
        raise TypeError("the gateway runs with the gateway's settings")
    missing = [
        f"TOLLGATE_{name.upper()}"
        for name in ("master_key", "catalog_sealing_public_key", "deployer_sealing_public_key")
        if getattr(settings, name) is None
    ]
    if missing or settings.master_key is None:
        raise StartError(f"not set: {', '.join(missing)}")
    vault = Vault(DataKey.from_text(settings.master_key.get_secret_value()))
    return Gateway(
        running=running,
        settings=settings,
        wakes=wakes,
        vault=vault,
        passwords=Passwords(),
        throttle=Throttle(vault),
        answers=Answers(running.pool, wakes, running.stopping),
        feed=Feed(running.pool, wakes, running.stopping),
        openid=_openid(settings, running.clock),
    )


def _openid(settings: GatewaySettings, clock: Clock) -> OpenIdProvider | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        audience=settings.oidc_audience,
    )
    return OpenIdProvider(client, clock)
