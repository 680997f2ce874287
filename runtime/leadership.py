"""One process of several does something: the one that holds a session lock of the database."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import asyncpg
import structlog

LEADER_RETRY_SECONDS: Final = 1.0


async def lead(
    dsn: str,
    *,
    lock: str,
    beat: Callable[[], None],
    run: Callable[[asyncpg.Connection], Awaitable[None]],
    settings: Mapping[str, str] | None = None,
) -> None:
    """Run this whenever this process holds the lock; for ever.

    `run` gets the connection that holds the lock and must end when that is closed. A process that
    is killed loses its connection, and with it the lock, at once. `settings` are the connection's.
    """
    while True:
        beat()
        try:
            connection = await asyncpg.connect(dsn, timeout=5, server_settings=dict(settings or {}))
        except (OSError, asyncpg.PostgresError) as error:
            structlog.get_logger().warning("leader.database_away", lock=lock, error=repr(error))
            await asyncio.sleep(LEADER_RETRY_SECONDS)
            continue
        try:
            if await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", lock):
                await run(connection)
            else:
                await asyncio.sleep(LEADER_RETRY_SECONDS)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            structlog.get_logger().warning("leader.lost", lock=lock, error=repr(error))
        finally:
            await _close(connection)


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
