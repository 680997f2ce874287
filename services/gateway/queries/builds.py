"""Builds of everybody: what waits, what runs, and how long they take."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from contracts.queue_rules import Turns, Waiting
from runtime.connection import Connection

QUEUED_MAX: Final = 5_000
RUNNING_MAX: Final = 1_000
MEASURED_MAX: Final = 200


@dataclass(frozen=True)
class QueueStanding:
    """The order of the queue, how many wait in it, and how long a build usually takes."""

    turns: Turns
    waiting: int
    begun_at: list[datetime]
    build_time: timedelta | None


async def queue_standing(connection: Connection) -> QueueStanding:
    """Return what waits, the oldest 5,000, and what runs."""
    queued = await connection.fetch(
        """select build_id, deployment_id, user_id, created_at as queued_at from builds
           where status = 'QUEUED' and finished_at is null order by created_at limit $1""",
        QUEUED_MAX,
    )
    running = await connection.fetch(
        """select user_id, started_at from builds
           where status = 'PROVISIONING' and finished_at is null limit $1""",
        RUNNING_MAX,
    )
    served = await connection.fetch(
        """select asked.user_id, latest.started_at from unnest($1::text[]) as asked (user_id)
           cross join lateral (
               select started_at from builds b
               where b.user_id = asked.user_id and started_at is not null
               order by started_at desc limit 1) as latest""",
        list({row["user_id"] for row in queued}),
    )
    usual = await connection.fetchval(
        """select percentile_cont(0.5) within group (order by finished_at - started_at)
           from (select started_at, finished_at from builds
                 where finished_at is not null and started_at is not null
                 order by finished_at desc limit $1) as lately""",
        MEASURED_MAX,
    )
    turns = Turns(
        (Waiting(**dict(row)) for row in queued),
        (row["user_id"] for row in running),
        {row["user_id"]: row["started_at"] for row in served},
    )
    begun_at = [row["started_at"] for row in running]
    return QueueStanding(turns, len(queued), begun_at, usual)


async def build_seconds(connection: Connection, user_id: str) -> dict[str, Any]:
    """Return count, median and p90 of how long a user's newest 200 successful builds ran."""
    row = await connection.fetchrow(
        """select count(*) as count,
                  percentile_cont(0.5) within group (order by seconds) as median,
                  percentile_cont(0.9) within group (order by seconds) as p90
           from (select extract(epoch from finished_at - started_at)::float8 as seconds
                 from builds
                 where user_id = $1 and status = 'SUCCESS' and started_at is not null
                 order by started_at desc limit $2) as lately""",
        user_id,
        MEASURED_MAX,
    )
    return {"count": 0} if row is None else dict(row)
