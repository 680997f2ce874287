"""Syncs that somebody may see: an admin all of them, a partner their own."""

import json
from datetime import datetime
from typing import Any

import asyncpg

from runtime.connection import Connection

_SYNC = """
    select sync_id as id, scope, status, commit_id as commit, error, modules, passed_over,
           requested_by, requested_at, started_at, finished_at
    from syncs where ($1::text is null or partner_id = $1)"""


async def list_syncs(
    connection: Connection,
    partner_id: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return syncs, the newest first: a partner's, or everybody's without one."""
    rows = await connection.fetch(
        f"""{_SYNC} and ($2::timestamptz is null or (requested_at, sync_id) < ($2, $3))
        order by requested_at desc, sync_id desc limit $4""",
        partner_id,
        *(after or (None, None)),
        limit,
    )
    return [_sync(row) for row in rows]


async def sync_by_id(
    connection: Connection, partner_id: str | None, sync_id: str
) -> dict[str, Any] | None:
    """Return a sync: a partner's, or anybody's without one; else nothing."""
    row = await connection.fetchrow(f"{_SYNC} and sync_id = $2", partner_id, sync_id)
    return None if row is None else _sync(row)


def _sync(row: asyncpg.Record) -> dict[str, Any]:
    return {**dict(row), "modules": json.loads(row["modules"])}
