"""Terraform's states in the database: every version, encrypted, and who has the lock.

A state is current only if the attempt that delivers it runs at that very moment, which is decided
under a lock on the build's row. What a stale one still delivers is kept aside as evidence.
"""

from datetime import datetime
from typing import TypedDict

import asyncpg

from services.deployer.builds import Database, Lease

_NEWEST = """select body, resources from states where deployment_id = $1 and not evidence
             order by number desc limit 1"""


class Standing(TypedDict):
    """Whether the current state manages anything, and whether a build has written it."""

    owns_resources: bool
    state_changed: bool


async def standing(database: Database, deployment_id: str, build_id: str) -> Standing:
    """Return what the state says of a deployment, and of this build's part in it."""
    row = await database.fetchrow(_NEWEST, deployment_id)
    changed = await database.fetchval(
        "select exists (select from states where build_id = $1 and not evidence)", build_id
    )
    return Standing(owns_resources=row is not None and row["resources"] > 0, state_changed=changed)


async def may_lack_resources(database: Database, deployment_id: str, build_id: str) -> bool:
    """Return whether a build made something and never gave the state's lock back.

    Terraform writes the state before it does that, so what it has made may be in none.
    """
    return bool(
        await database.fetchval(
            """select exists (select from state_locks where deployment_id = $1 and build_id = $2)
                  and exists (select from log_chunks where build_id = $2 and done > 0)""",
            deployment_id,
            build_id,
        )
    )


async def current_state(database: Database, deployment_id: str) -> str | None:
    """Return the newest state's ciphertext, or nothing where there is none yet."""
    row = await database.fetchrow(_NEWEST, deployment_id)
    return None if row is None else row["body"]


async def keep_state(
    pool: asyncpg.Pool,
    *,
    deployment_id: str,
    build_id: str,
    attempt: int,
    body: str,
    resources: int,
    at: datetime,
) -> bool:
    """Keep a state; return whether it is current now, or only evidence of a stale attempt."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "select status, attempt from builds where build_id = $1 for share", build_id
        )
        running = row is not None and (row["status"], row["attempt"]) == ("RUNNING", attempt)
        await connection.execute(
            """insert into states (deployment_id, build_id, attempt, body, resources, evidence,
                                   stored_at)
               values ($1, $2, $3, $4, $5, $6, $7)""",
            deployment_id,
            build_id,
            attempt,
            body,
            resources,
            not running,
            at,
        )
        return running


async def lock_holder(database: Database, deployment_id: str) -> tuple[str, str] | None:
    """Return the id of the lock on a state, and what its holder says of it."""
    row = await database.fetchrow(
        "select lock_id, info from state_locks where deployment_id = $1", deployment_id
    )
    return None if row is None else (row["lock_id"], row["info"])


async def lock_state(
    database: Database, lease: Lease, *, lock_id: str, info: str, at: datetime
) -> str | None:
    """Lock the state for a running build; return the holder's words where another has it.

    To ask again for a lock that is one's own changes nothing.
    """
    await database.execute(
        """insert into state_locks (deployment_id, build_id, lock_id, info, locked_at)
           select b.deployment_id, b.build_id, $2, $3, $4 from builds b
           where b.build_id = $1 and b.status = 'RUNNING' and b.attempt = $5
           for share on conflict (deployment_id) do nothing""",
        lease.build_id,
        lock_id,
        info,
        at,
        lease.attempt,
    )
    holder = await lock_holder(database, lease.deployment_id)
    if holder is None:
        return "{}"
    return None if holder[0] == lock_id else holder[1]


async def unlock_state(database: Database, lease: Lease, lock_id: str) -> None:
    """Release a build's own lock; another's stays."""
    await database.execute(
        "delete from state_locks where deployment_id = $1 and build_id = $2 and lock_id = $3",
        lease.deployment_id,
        lease.build_id,
        lock_id,
    )
