"""Each sync and how it stands, so that those that have not ended are found after a restart."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.catalog.events import SyncFinished, SyncQueued, SyncStarted
from services.catalog.projections.modules import PLATFORM


@dataclass(frozen=True, slots=True)
class WaitingSync:
    """A sync that has not ended; `correlation_id` is that of the request for it."""

    sync_id: str
    scope: str
    partner_id: str | None
    repository_url: str
    branch: str | None
    requested_by: str
    correlation_id: str


class Syncs:
    """A row for each sync."""

    name = "syncs"
    tables = ("syncs",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Bring the rows up to date, in the order of the facts."""
        for change in changes:
            if isinstance(change, Recorded):
                await _apply(connection, change)


async def _apply(connection: asyncpg.Connection, record: Recorded[object]) -> None:
    sync_id = record.stream.partition("-")[2]
    match record.fact:
        case SyncQueued() as fact:
            await connection.execute(
                """insert into syncs (sync_id, scope, partner_id, repository_url, branch,
                                      requested_by, correlation_id, queued_at, status)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, 'WAITING')
                   on conflict (sync_id) do nothing""",
                sync_id,
                fact.partner_id or PLATFORM,
                fact.partner_id,
                fact.repository_url,
                fact.branch,
                fact.requested_by,
                record.correlation_id,
                record.at,
            )
        case SyncStarted():
            await connection.execute(
                "update syncs set status = 'RUNNING' where sync_id = $1", sync_id
            )
        case SyncFinished() as fact:
            await connection.execute(
                "update syncs set status = $2, finished_at = $3 where sync_id = $1",
                sync_id,
                fact.status,
                record.at,
            )
        case _:
            return


async def first_unfinished_syncs(pool: asyncpg.Pool, limit: int) -> list[WaitingSync]:
    """Return each scope's oldest sync that has not ended, the oldest first."""
    rows = await pool.fetch(
        """select * from (
               select distinct on (scope) sync_id, scope, partner_id, repository_url, branch,
                      requested_by, correlation_id, queued_at
               from syncs where status in ('WAITING', 'RUNNING')
               order by scope, queued_at, sync_id) as oldest
           order by queued_at, sync_id limit $1""",
        limit,
    )
    return [
        WaitingSync(
            sync_id=row["sync_id"],
            scope=row["scope"],
            partner_id=row["partner_id"],
            repository_url=row["repository_url"],
            branch=row["branch"],
            requested_by=row["requested_by"],
            correlation_id=row["correlation_id"],
        )
        for row in rows
    ]
