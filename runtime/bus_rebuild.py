"""JetStream anew from the outboxes, when it was lost whole or in part.

The outbox keeps every message that was ever published, so what the bus lacks is what is in the
outbox, was sent before, and is not on the bus. That is marked as pending again; the relay does the
rest, in the order in which it was written, with the ids it had. Those who applied a message know
it by its stream and number. Requests are not sent again: they expire.

Services may run meanwhile. What they write and send is not looked at: the outbox is read as it was
before the bus is, so whatever was sent by then is on the bus or lost.
"""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import asyncpg
from nats.aio.client import Client

from contracts.subjects import REQUEST_KIND, facts_stream
from runtime.bus_messages import READ_MAX, messages_of
from runtime.connection import Connection

_REQUESTS: Final = f"tollgate.%.{REQUEST_KIND}.%"
_LOCK: Final = "tollgate.bus_rebuild"


async def send_again(
    client: Client, connection: Connection, service: str, *, check: bool = False
) -> int:
    """Mark as pending every fact of a service's outbox that the bus lacks; return how many.

    `connection` may be a service's own or its owner's. With `check` nothing is marked. A second run
    finds nothing more, as soon as the first one's have been sent. Needs 100 bytes of memory for
    each message of the stream.
    """
    if not await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", _LOCK):
        raise asyncpg.LockNotAvailableError("another rebuild of this service's messages runs")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=check):
            # The snapshot is taken by this read, before the bus is looked at.
            await connection.fetchval("select 1 from outbox_pending limit 1")
            on_bus = await _ids_on_bus(client, facts_stream(service))
            lost = [row async for row in _sent(connection) if UUID(row["id"]).bytes not in on_bus]
            if lost and not check:
                await connection.executemany(
                    "insert into outbox_pending (position, created_at) values ($1, $2)",
                    [(row["position"], row["created_at"]) for row in lost],
                )
            return len(lost)
    finally:
        await connection.execute("select pg_advisory_unlock(hashtext($1))", _LOCK)


async def _ids_on_bus(client: Client, stream: str) -> set[bytes]:
    """Return the ids of all messages that a JetStream stream holds, 16 bytes each."""
    return {
        UUID((message.headers or {})["Nats-Msg-Id"]).bytes
        async for message in messages_of(client, stream, headers_only=True)
    }


def _sent(connection: Connection) -> AsyncIterator[asyncpg.Record]:
    """Return a cursor over the facts that were sent, in the order of their writing."""
    return aiter(
        connection.cursor(
            """select o.id, o.position, o.created_at from outbox o
               left join outbox_pending p using (created_at, position)
               where p.position is null and o.subject not like $1
               order by o.position""",
            _REQUESTS,
            prefetch=READ_MAX,
        )
    )
