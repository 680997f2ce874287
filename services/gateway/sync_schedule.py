"""Syncs by schedule: of each repository so many minutes after its last, whoever asked for that.

Many replicas do this side by side. The id of a scheduled sync follows from the sync before it, and
what is asked for twice under one id is asked for once; so whoever is first, one sync comes of it.
"""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.sealing import DataKey
from services.gateway.account_rows import Repository, repositories_to_read
from services.gateway.queries.settings import current_settings
from services.gateway.settings import GatewaySettings
from services.gateway.syncs import platform_repository, sync_request
from services.gateway.vault import Vault

TURN_SECONDS: Final = 10.0
CONNECTION_SECONDS_MAX: Final = 5.0
SCHEDULE: Final = "schedule"
"""Who asks for these syncs."""


async def keep_in_sync(running: Running) -> None:
    """Ask for what is due, every ten seconds, until cancelled."""
    beat = running.liveness.beat("sync schedule")
    while True:
        beat()
        try:
            await ask_for_what_is_due(running)
        except (*OUTAGES, TimeoutError, UnavailableError) as error:
            structlog.get_logger().warning("syncs.postponed", error=repr(error))
        await asyncio.sleep(TURN_SECONDS)


async def ask_for_what_is_due(running: Running) -> int:
    """Ask for each sync that is due, if a schedule is set; return for how many."""
    settings = running.settings
    if not isinstance(settings, GatewaySettings) or settings.master_key is None:
        return 0
    now = running.clock.now()
    async with running.pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
        minutes = (await current_settings(connection)).settings.sync_interval_minutes
        if minutes is None:
            return 0
        last_before = now - timedelta(minutes=minutes)
        due = await repositories_to_read(connection, last_before)
        platform = await platform_repository(connection)
        last = await connection.fetchrow(
            """select sync_id, requested_at, status from syncs where scope = 'platform'
               order by requested_at desc, sync_id desc limit 1"""
        )
    if platform.url is not None and (
        last is None or (last["status"] != "RUNNING" and last["requested_at"] <= last_before)
    ):
        due.append((platform, None if last is None else last["sync_id"]))
    vault = Vault(DataKey.from_text(settings.master_key.get_secret_value()))
    for repository, last_sync_id in due:
        sync_id = _id(vault, repository, last_sync_id)
        command = sync_request(
            repository,
            sync_id=sync_id,
            actor=SCHEDULE,
            now=now,
            vault=vault,
            catalog_key=settings.catalog_sealing_public_key or "",
        )
        await running.processor.execute(command)
        structlog.get_logger().info(
            "sync.scheduled", sync_id=sync_id, partner_id=repository.partner_id
        )
    return len(due)


def _id(vault: Vault, repository: Repository, last_sync_id: str | None) -> str:
    whose = repository.partner_id or ""
    return vault.keyed_hash("scheduled sync", whose, last_sync_id or "").hex()[:32]
