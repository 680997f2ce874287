"""Erases deployments that have rested longer than the settings say, and own nothing.

Erased are variables, outputs and states (by destroying the key that opens them, wherever their
ciphertext is) and logs. The facts stay, and so do the ledger and all counts. What owns resources,
the failed included, is kept until it is destroyed: without its state nobody could.
"""

from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg
import msgspec
import structlog

from runtime.chores import Beat, every
from runtime.process import Running
from runtime.refusal import Refusal
from services.deployer.handlers import ACTOR, EraseDeployment
from services.deployer.knowledge import RETENTION, Retention

ROUND_MAX: Final = 200


async def keep_retention(running: Running, every_seconds: float) -> None:
    """Erase what is too old, once every so often, until cancelled."""
    await every(every_seconds, running.liveness, "retention", partial(erase_old, running))


async def erase_old(running: Running, beat: Beat) -> int:
    """Erase all that is too old by now, 200 at a time; return how many deployments that were."""
    days = await retention_days(running.pool)
    if days is None:
        return 0
    erased, beyond = 0, ""
    before = running.clock.now() - timedelta(days=days)
    while not running.stopping.is_set():
        rows = await running.pool.fetch(
            """select deployment_id, build_id from resting
               where not owns_resources and since < $1 and deployment_id > $2
               order by deployment_id limit $3""",
            before,
            beyond,
            ROUND_MAX,
        )
        for row in rows:
            beat()
            erased += await _erase(running, row)
        if len(rows) < ROUND_MAX:
            break
        beyond = rows[-1]["deployment_id"]
    if erased:
        structlog.get_logger().info("deployments.erased", count=erased, retention_days=days)
    return erased


async def retention_days(pool: asyncpg.Pool) -> int | None:
    """Return how long what rests is kept; None is for ever, as also before any settings came."""
    body = await pool.fetchval(
        "select body from documents where collection = $1 and key = $2", *RETENTION
    )
    return None if body is None else msgspec.msgpack.decode(body, type=Retention).days


async def _erase(running: Running, row: asyncpg.Record) -> bool:
    """Erase a deployment; one that has begun to live again meanwhile is left alone."""
    command = EraseDeployment(
        actor=ACTOR, deployment_id=row["deployment_id"], build_id=row["build_id"]
    )
    try:
        await running.processor.execute(command)
    except Refusal as refusal:
        structlog.get_logger().info("deployment.not_erased", detail=refusal.detail)
        return False
    return True
