"""Deployments' data keys: wrapped in a document, so that to delete it erases what they encrypt."""

import asyncpg
import msgspec

from runtime.sealing import DataKey
from services.deployer.knowledge import DATA_KEY
from services.deployer.knowledge import DataKey as KeptDataKey


class KeyErasedError(LookupError):
    """The deployment's data key is gone, and with it all that it encrypted."""


async def data_key(pool: asyncpg.Pool, master_key: DataKey, deployment_id: str) -> DataKey:
    """Return a deployment's data key; `KeyErasedError` where it was destroyed."""
    body = await pool.fetchval(
        "select body from documents where collection = $1 and key = $2", DATA_KEY, deployment_id
    )
    if body is None:
        raise KeyErasedError(f"deployment {deployment_id} has no key any more")
    kept = msgspec.msgpack.decode(body, type=KeptDataKey)
    return DataKey.unwrap(kept.wrapped, master_key)
