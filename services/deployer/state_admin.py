"""Terraform's states as operations see them: what is kept, what is in it, and who holds a lock.

A lock ends with its build. Where one stayed behind all the same it may be taken away, but not from
a build that runs and was heard of: Terraform may be writing at that moment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from runtime.refusal import Refusal
from runtime.sealing import DataKey
from services.deployer.builds import Database
from services.deployer.keys import data_key


@dataclass(frozen=True)
class KeptState:
    """One version of a deployment's state; `evidence`: a stale attempt's, never current."""

    deployment_id: str
    number: int
    build_id: str
    attempt: int
    resources: int
    evidence: bool
    stored_at: datetime


@dataclass(frozen=True)
class HeldLock:
    """A lock, and what speaks for or against its holder's being alive."""

    deployment_id: str
    lock_id: str
    info: str
    locked_at: datetime
    build_id: str
    build_status: str | None
    heartbeat_at: datetime | None


async def list_states(
    database: Database, *, deployment_id: str | None, limit: int
) -> list[KeptState]:
    """Return the newest versions first: of one deployment, or of all."""
    rows = await database.fetch(
        """select deployment_id, number, build_id, attempt, resources, evidence, stored_at
           from states where $1::text is null or deployment_id = $1
           order by number desc limit $2""",
        deployment_id,
        limit,
    )
    return [KeptState(**dict(row)) for row in rows]


async def list_locks(database: Database) -> list[HeldLock]:
    """Return every lock that is held, the oldest first."""
    rows = await database.fetch(f"{_LOCKS} order by k.locked_at")
    return [HeldLock(**dict(row)) for row in rows]


async def download(
    pool: asyncpg.Pool, master_key: DataKey, *, deployment_id: str, number: int | None
) -> bytes:
    """Return a version of a state, decrypted: the one that is named, or the current one.

    `Refusal`: `UNKNOWN_STATE`. `KeyErasedError` where the deployment's key was destroyed.
    """
    body = await pool.fetchval(
        """select body from states where deployment_id = $1
           and case when $2::bigint is null then not evidence else number = $2 end
           order by number desc limit 1""",
        deployment_id,
        number,
    )
    if body is None:
        raise Refusal("UNKNOWN_STATE", "there is no such state", deployment_id=deployment_id)
    return (await data_key(pool, master_key, deployment_id)).decrypt(body)


async def force_unlock(
    pool: asyncpg.Pool,
    *,
    deployment_id: str,
    lock_id: str,
    now: datetime,
    lost_after: timedelta,
) -> HeldLock:
    """Take a lock away; return what there was of it.

    `Refusal`: `NOT_LOCKED`, `ANOTHER_LOCK` where it has another id by now, `BUILD_LIVES` where its
    build runs and was heard of within `lost_after`.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            f"{_LOCKS} where k.deployment_id = $1 for update of k", deployment_id
        )
        if row is None:
            raise Refusal("NOT_LOCKED", "the state is not locked", deployment_id=deployment_id)
        held = HeldLock(**dict(row))
        if held.lock_id != lock_id:
            raise Refusal("ANOTHER_LOCK", f"the lock is {held.lock_id}", lock_id=held.lock_id)
        heard = held.heartbeat_at is not None and held.heartbeat_at > now - lost_after
        if held.build_status == "RUNNING" and heard:
            raise Refusal(
                "BUILD_LIVES",
                f"{held.build_id} runs, and was heard of at {held.heartbeat_at}: cancel it instead",
                build_id=held.build_id,
            )
        await connection.execute("delete from state_locks where deployment_id = $1", deployment_id)
        return held


_LOCKS = """select k.deployment_id, k.lock_id, k.info, k.locked_at, k.build_id,
                   b.status as build_status, l.heartbeat_at
            from state_locks k left join builds b using (build_id)
            left join leases l using (build_id)"""
