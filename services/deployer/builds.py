"""What running builds leave in the database: leases, states and their lock, logs.

Everything a runner sends is fenced by its attempt: a token belongs to one attempt of one build, and
when that has ended it can change nothing any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from services.deployer.handlers import token_hash

Connection = asyncpg.Connection | asyncpg.Pool | Any


@dataclass(frozen=True)
class Lease:
    """An attempt at a build, by whoever holds its token; `running` while it is the current one."""

    build_id: str
    deployment_id: str
    user_id: str
    attempt: int
    running: bool
    cancel_requested: bool
    archive_digest: str
    archive_folder: str
    variables: str
    sensitive: tuple[str, ...]


async def lease_of(connection: Connection, build_id: str, token: str) -> Lease | None:
    """Return the attempt that a token belongs to, or nothing where it belongs to none."""
    row = await connection.fetchrow(
        """select l.build_id, l.deployment_id, b.user_id, l.attempt,
                  b.status = 'RUNNING' and b.attempt = l.attempt as running, b.cancel_requested,
                  b.archive_digest, b.archive_folder, b.variables, b.sensitive
           from leases l join builds b using (build_id)
           where l.build_id = $1 and l.token_hash = $2""",
        build_id,
        token_hash(token),
    )
    if row is None:
        return None
    return Lease(**{**dict(row), "sensitive": tuple(row["sensitive"])})


async def renew(connection: Connection, lease: Lease, at: datetime) -> None:
    """Note that the runner was heard of."""
    await connection.execute(
        "update leases set heartbeat_at = greatest(heartbeat_at, $2) where build_id = $1",
        lease.build_id,
        at,
    )


async def owns_resources(connection: Connection, deployment_id: str) -> bool:
    """Return whether the current state manages anything."""
    resources = await connection.fetchval(
        """select resources from states where deployment_id = $1 and not evidence
           order by number desc limit 1""",
        deployment_id,
    )
    return bool(resources)


# State, by Terraform's HTTP backend protocol.


async def current_state(connection: Connection, deployment_id: str) -> str | None:
    """Return the newest state's ciphertext, or nothing where there is none yet."""
    body: str | None = await connection.fetchval(
        """select body from states where deployment_id = $1 and not evidence
           order by number desc limit 1""",
        deployment_id,
    )
    return body


async def keep_state(
    connection: Connection, lease: Lease, *, body: str, resources: int, at: datetime
) -> bool:
    """Keep a state; return whether it is current now, or only evidence of a stale attempt."""
    await connection.execute(
        """insert into states (deployment_id, build_id, attempt, body, resources, evidence,
                               stored_at)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        lease.deployment_id,
        lease.build_id,
        lease.attempt,
        body,
        resources,
        not lease.running,
        at,
    )
    return lease.running


async def lock_state(
    connection: Connection, lease: Lease, *, lock_id: str, info: str, at: datetime
) -> str | None:
    """Lock the state for a build; return the holder's information where somebody else has it."""
    await connection.execute(
        """insert into state_locks (deployment_id, build_id, lock_id, info, locked_at)
           values ($1, $2, $3, $4, $5) on conflict (deployment_id) do nothing""",
        lease.deployment_id,
        lease.build_id,
        lock_id,
        info,
        at,
    )
    row = await connection.fetchrow(
        "select lock_id, info from state_locks where deployment_id = $1", lease.deployment_id
    )
    return None if row is None or row["lock_id"] == lock_id else row["info"]


async def unlock_state(connection: Connection, lease: Lease, lock_id: str) -> None:
    """Release a build's own lock."""
    await connection.execute(
        "delete from state_locks where deployment_id = $1 and build_id = $2 and lock_id = $3",
        lease.deployment_id,
        lease.build_id,
        lock_id,
    )


# Logs.


async def log_end(connection: Connection, build_id: str) -> int:
    """Return the offset at which the log goes on, in bytes."""
    end: int | None = await connection.fetchval(
        """select chunk_offset + bytes from log_chunks where build_id = $1
           order by chunk_offset desc limit 1""",
        build_id,
    )
    return end or 0


async def keep_log(
    connection: Connection,
    lease: Lease,
    *,
    offset: int,
    size: int,
    text: str,
    at: datetime,
    final: bool,
) -> int:
    """Keep a piece of log where it belongs; return where the log goes on.

    `size` is how many bytes the runner sent, which is what it counts by. What is there already
    changes nothing; a piece that begins beyond the end is not kept.
    """
    end = await log_end(connection, lease.build_id)
    if offset != end:
        return end
    if size or final:
        await connection.execute(
            """insert into log_chunks (build_id, chunk_offset, deployment_id, user_id, text, bytes,
                                       at, final)
               values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing""",
            lease.build_id,
            offset,
            lease.deployment_id,
            lease.user_id,
            text,
            size,
            at,
            final,
        )
    return end + size
