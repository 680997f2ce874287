"""Running builds' leases and logs in the database.

Everything a runner sends is fenced by its attempt: a token belongs to one attempt of one build, and
when that has ended it can change nothing any more.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

import asyncpg

from runtime.connection import Connection

BUILDS_RECALLED_MAX: Final = 50

Database = Connection | asyncpg.Pool
Holder = Literal["runner", "terraform"]


@dataclass(frozen=True)
class Lease:
    """An attempt at a build, by whoever holds one of its tokens; `running` while it is current."""

    build_id: str
    deployment_id: str
    user_id: str
    attempt: int
    holder: Holder
    running: bool
    action: Literal["CREATE", "UPDATE", "DESTROY"]
    cancel_requested: bool
    archive_digest: str
    archive_folder: str
    variables: str
    sensitive: tuple[str, ...]


@dataclass(frozen=True)
class LeaseTokens:
    """What a runner proves itself by, and what its Terraform does, which may only touch state."""

    runner: str
    terraform: str


def token_hash(token: str) -> bytes:
    """Return what is kept of a token."""
    return sha256(token.encode()).digest()


async def lease_of(database: Database, build_id: str, token: str) -> Lease | None:
    """Return the attempt that a token belongs to, or nothing where it belongs to none."""
    row = await database.fetchrow(
        """select l.build_id, l.deployment_id, b.user_id, l.attempt,
                  case when l.token_hash = $2 then 'runner' else 'terraform' end as holder,
                  b.status = 'RUNNING' and b.attempt = l.attempt as running, b.action,
                  b.cancel_requested,
                  b.archive_digest, b.archive_folder, b.variables, b.sensitive
           from leases l join builds b using (build_id)
           where l.build_id = $1 and (l.token_hash = $2 or l.state_token_hash = $2)""",
        build_id,
        token_hash(token),
    )
    if row is None:
        return None
    return Lease(**{**dict(row), "sensitive": tuple(row["sensitive"])})


async def sensitive_inputs(database: Database, lease: Lease) -> list[tuple[str, tuple[str, ...]]]:
    """Return the ciphertext of a deployment's values, newest build first, and what is sensitive.

    Earlier values may stand in the state, and be printed from there. Beyond `BUILDS_RECALLED_MAX`
    builds they are not looked for.
    """
    rows = await database.fetch(
        """select variables, sensitive from builds where deployment_id = $1
           order by queued_at desc limit $2""",
        lease.deployment_id,
        BUILDS_RECALLED_MAX,
    )
    return [(row["variables"], (*row["sensitive"], *lease.sensitive)) for row in rows]


async def give_lease(
    connection: Connection,
    *,
    build_id: str,
    deployment_id: str,
    attempt: int,
    tokens: LeaseTokens,
    at: datetime,
) -> bool:
    """Write an attempt's lease; false where the attempt before it has been taken after all.

    It takes the place of the one before, whose tokens are void from then on.
    """
    given = await connection.fetchval(
        """insert into leases (build_id, deployment_id, attempt, token_hash, state_token_hash,
                               given_at, heartbeat_at)
           values ($1, $2, $3, $4, $5, $6, $6)
           on conflict (build_id) do update
           set attempt = excluded.attempt, token_hash = excluded.token_hash,
               state_token_hash = excluded.state_token_hash, given_at = excluded.given_at,
               heartbeat_at = excluded.heartbeat_at, taken_by = null
           where leases.taken_at is null and leases.attempt = excluded.attempt - 1
           returning true""",
        build_id,
        deployment_id,
        attempt,
        token_hash(tokens.runner),
        token_hash(tokens.terraform),
        at,
    )
    return bool(given)


async def take(database: Database, lease: Lease, *, runner: str, at: datetime) -> bool:
    """Note that this runner came for the job; false where the lease, or the job, is another's.

    It may come again, since it may not have got the answer. Another with the same tokens, as where
    a message that asks for one was delivered twice, may not.
    """
    taken = await database.fetchval(
        """update leases
           set taken_at = coalesce(taken_at, $3), heartbeat_at = greatest(heartbeat_at, $3),
               taken_by = $4
           where build_id = $1 and attempt = $2 and coalesce(taken_by, $4) = $4 returning true""",
        lease.build_id,
        lease.attempt,
        at,
        runner,
    )
    return bool(taken)


async def renew(database: Database, lease: Lease, at: datetime) -> None:
    """Note that the runner was heard of."""
    await database.execute(
        """update leases set heartbeat_at = greatest(heartbeat_at, $3)
           where build_id = $1 and attempt = $2""",
        lease.build_id,
        lease.attempt,
        at,
    )


async def erase_builds(connection: Connection, deployment_id: str) -> None:
    """Drop all that is kept of a deployment's builds: inputs, leases, states, logs."""
    await connection.execute(
        """delete from cloud_attempts where build_id in
           (select build_id from builds where deployment_id = $1)""",
        deployment_id,
    )
    for table in ("log_chunks", "leases", "state_locks", "states", "resting", "builds"):
        await connection.execute(
            f"delete from {table} where deployment_id = $1",  # noqa: S608 - our own tables
            deployment_id,
        )


# Logs.


async def log_end(database: Database, build_id: str) -> int:
    """Return the offset at which the log goes on, in bytes."""
    end: int | None = await database.fetchval(
        """select chunk_offset + bytes from log_chunks where build_id = $1
           order by chunk_offset desc limit 1""",
        build_id,
    )
    return end or 0


async def keep_log(
    database: Database,
    lease: Lease,
    *,
    offset: int,
    text: str,
    progress: tuple[int, int] | None,
    bytes_max: int,
    at: datetime,
) -> int:
    """Keep a piece of a running build's log where it belongs; return where the log goes on.

    What is there already changes nothing. A piece that begins beyond the end, or would make the
    log longer than it may be, is not kept. `progress` is how many resources are done, of how many;
    a piece without text tells only that, which goes on when the log is full.
    """
    size = len(text.encode())
    fits = offset == await log_end(database, lease.build_id) and offset + size <= bytes_max
    if fits and (size or progress):
        await database.execute(
            """insert into log_chunks (build_id, chunk_offset, deployment_id, user_id, text, bytes,
                                       at, final, done, planned)
               select b.build_id, $2, b.deployment_id, b.user_id, $3, $4, $5, false, $7, $8
               from builds b
               where b.build_id = $1 and b.status = 'RUNNING' and b.attempt = $6
               for share
               on conflict (build_id, chunk_offset) do update
               set text = excluded.text, bytes = excluded.bytes, at = excluded.at,
                   done = coalesce(excluded.done, log_chunks.done),
                   planned = coalesce(excluded.planned, log_chunks.planned), relayed = false
               where log_chunks.bytes = 0 and not log_chunks.final""",
            lease.build_id,
            offset,
            text,
            size,
            at,
            lease.attempt,
            *(progress or (None, None)),
        )
    return await log_end(database, lease.build_id)


async def close_log(connection: Connection, build_id: str, at: datetime) -> None:
    """Write the piece that nothing follows; the second time changes nothing.

    The build's row is locked first, so that no piece comes in between; call it in a transaction.
    """
    await connection.execute("select from builds where build_id = $1 for update", build_id)
    await connection.execute(
        """insert into log_chunks (build_id, chunk_offset, deployment_id, user_id, text, bytes, at,
                                   final)
           select build_id, $2, deployment_id, user_id, '', 0, $3, true from builds
           where build_id = $1
           and not exists (select from log_chunks where build_id = $1 and final)
           on conflict (build_id, chunk_offset) do update
           set final = true, at = excluded.at, relayed = false""",
        build_id,
        await log_end(connection, build_id),
        at,
    )
