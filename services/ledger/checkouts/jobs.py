"""What is to be done with Stripe, written down until it is done.

A job is a kind and a key, so that the same work is there once: `open` and `check` a checkout, or
`follow` a hint, whose key is `<object type> <object id>`. Putting a job again while it is being
done has it done again: `generation` counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from runtime.connection import Connection

JobKind = Literal["open", "check", "follow"]
RETRY_MIN: Final = timedelta(seconds=0.5)
RETRY_MAX: Final = timedelta(seconds=60)
STUCK_ATTEMPTS: Final = 8
"""A job that failed so often by a bug of ours is tried once an hour."""
STUCK_RETRY: Final = timedelta(hours=1)

_PUT: Final = """
    insert into stripe_jobs (kind, key, correlation_id, due_at, created_at, traceparent)
    values ($1, $2, $3, $4, $4, $5)
    on conflict (kind, key) do update
        set generation = stripe_jobs.generation + 1,
            due_at = least(stripe_jobs.due_at, excluded.due_at)
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One thing to do; what it causes is tied together by `correlation_id`, and of its trace."""

    kind: JobKind
    key: str
    correlation_id: str
    attempts: int
    generation: int
    traceparent: str | None

    @property
    def place(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.kind, self.key


async def put_job(
    connection: Connection,
    kind: JobKind,
    key: str,
    *,
    correlation_id: str,
    at: datetime,
    traceparent: str | None = None,
) -> None:
    """Have something done, at once."""
    await connection.execute(_PUT, kind, key, correlation_id, at, traceparent)


async def due_jobs(
    connection: Connection, now: datetime, busy: Sequence[tuple[str, str]], limit: int
) -> list[Job]:
    """Return what is due and is not being done already, the longest due first."""
    rows = await connection.fetch(
        """select kind, key, correlation_id, attempts, generation, traceparent
           from stripe_jobs
           where due_at <= $1
             and (kind, key) not in (select * from unnest($2::text[], $3::text[]))
           order by due_at limit $4""",
        now,
        [kind for kind, _ in busy],
        [key for _, key in busy],
        limit,
    )
    return [Job(**dict(row)) for row in rows]


async def job_done(connection: Connection, job: Job) -> None:
    """Forget a job, unless it was put again meanwhile: then it is due, as if it were new."""
    await connection.execute(
        "delete from stripe_jobs where kind = $1 and key = $2 and generation = $3",
        job.kind,
        job.key,
        job.generation,
    )
    await connection.execute(
        "update stripe_jobs set attempts = 0, error = null where kind = $1 and key = $2",
        job.kind,
        job.key,
    )


async def job_failed(
    connection: Connection,
    job: Job,
    *,
    now: datetime,
    error: str,
    stuck: bool = False,
    after: timedelta = timedelta(),
) -> None:
    """Try a job again later, `after` so long at least: the later, the more often it has failed."""
    pause = max(after, min(RETRY_MAX, RETRY_MIN * 2 ** min(job.attempts, 10)))
    if stuck and job.attempts >= STUCK_ATTEMPTS:
        pause = STUCK_RETRY
    await connection.execute(
        """update stripe_jobs set attempts = attempts + 1, due_at = $3, error = $4
           where kind = $1 and key = $2""",
        job.kind,
        job.key,
        now + pause,
        error[:500],
    )
