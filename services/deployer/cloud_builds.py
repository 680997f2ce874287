"""How far Cloud Build is with an attempt: what its notifications come to, in any order.

They come at least once, and late ones after later ones. Each status has a rank, only a higher one
is believed, and what has ended stays ended.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.deployer.builds import Database

RANKS: Final = {
    "PENDING": 1,
    "QUEUED": 2,
    "WORKING": 3,
    "SUCCESS": 4,
    "FAILURE": 4,
    "INTERNAL_ERROR": 4,
    "TIMEOUT": 4,
    "CANCELLED": 4,
    "EXPIRED": 4,
}
"""Cloud Build's statuses; one that is not here is not believed."""

ENDED_RANK: Final = 4


@dataclass(frozen=True)
class Attempt:
    """An attempt at a build, which a runner in Cloud Build is to come for."""

    build_id: str
    attempt: int


async def ask(database: Database, attempt: Attempt, at: datetime) -> None:
    """Note that Cloud Build is asked: for an attempt, or about it.

    What it notifies finds so what it is about.
    """
    await database.execute(
        """insert into cloud_attempts (build_id, attempt, heard_at) values ($1, $2, $3)
           on conflict (build_id, attempt) do update set heard_at = excluded.heard_at""",
        attempt.build_id,
        attempt.attempt,
        at,
    )


async def note(
    database: Database, attempt: Attempt, *, cloud_build_id: str, status: str, at: datetime
) -> bool:
    """Believe what goes on from what is known; return whether the attempt is one of ours."""
    known = await database.fetchval(
        """update cloud_attempts set heard_at = greatest(heard_at, $3)
           where build_id = $1 and attempt = $2 returning true""",
        attempt.build_id,
        attempt.attempt,
        at,
    )
    if known and status in RANKS:
        await database.execute(
            """insert into cloud_builds (cloud_build_id, build_id, attempt, status, rank)
               values ($1, $2, $3, $4, $5) on conflict (cloud_build_id) do update
               set status = excluded.status, rank = excluded.rank
               where cloud_builds.rank < excluded.rank""",
            cloud_build_id,
            attempt.build_id,
            attempt.attempt,
            status,
            RANKS[status],
        )
    return bool(known)


async def has_ended(
    database: Database, attempt: Attempt, *, now: datetime, silence: timedelta
) -> bool:
    """Return whether every build that was made of the attempt has ended, and its runner is silent.

    One that ended may be the second of two, whose runner was sent away: who is heard of lives.
    """
    ended = await database.fetchval(
        """select coalesce(bool_and(c.rank = $3), false) and coalesce(bool_and(
                      l.taken_at is null or l.heartbeat_at < $4), true)
           from cloud_builds c
           left join leases l on l.build_id = c.build_id and l.attempt = c.attempt
           where c.build_id = $1 and c.attempt = $2""",
        attempt.build_id,
        attempt.attempt,
        ENDED_RANK,
        now - silence,
    )
    return bool(ended)


async def going_on(database: Database, attempt: Attempt) -> list[str]:
    """Return Cloud Build's ids of the attempt's builds that have not ended, as far as is known."""
    rows = await database.fetch(
        """select cloud_build_id from cloud_builds
           where build_id = $1 and attempt = $2 and rank < $3""",
        attempt.build_id,
        attempt.attempt,
        ENDED_RANK,
    )
    return [row["cloud_build_id"] for row in rows]


async def silent(database: Database, *, before: datetime, limit: int) -> list[Attempt]:
    """Return attempts that go on, and of which nothing was heard since, the oldest first."""
    rows = await database.fetch(
        """select a.build_id, a.attempt from cloud_attempts a
           where a.heard_at < $1 and not exists (
               select from cloud_builds c
               where c.build_id = a.build_id and c.attempt = a.attempt
               having bool_and(c.rank = $2))
           order by a.heard_at limit $3""",
        before,
        ENDED_RANK,
        limit,
    )
    return [Attempt(row["build_id"], row["attempt"]) for row in rows]


async def all_asked_for(database: Database) -> list[Attempt]:
    """Return every attempt that Cloud Build was asked for and that is not forgotten."""
    rows = await database.fetch("select build_id, attempt from cloud_attempts")
    return [Attempt(row["build_id"], row["attempt"]) for row in rows]


async def forget(database: Database, attempt: Attempt) -> None:
    """Forget an attempt, and what was made of it."""
    await database.execute(
        "delete from cloud_attempts where build_id = $1 and attempt = $2",
        attempt.build_id,
        attempt.attempt,
    )
