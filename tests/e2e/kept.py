"""What the parts of a system keep: the outboxes and inboxes of its databases, and the bus.

Everything is read where it is, each database as its own service.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import nats

from contracts.deployer import v1 as deployer
from contracts.envelope import Envelope
from contracts.registry import FOLLOWS, REQUESTS, SERVICES, decode
from tests.e2e.system import System
from tollgate.target import bus_admin

QUIET_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.1
NEXT_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True)
class Kept:
    """What one service's database holds."""

    outbox: list[Envelope[Any]]
    pending: int
    cursors: dict[str, int]
    waiting: list[tuple[str, int, str]]


class NotQuietError(AssertionError):
    """Something is still on its way, or was set aside, after all the time there was."""


async def when_quiet(system: System) -> dict[str, Kept]:
    """Return service → what it keeps, once nothing is on its way any more.

    `NotQuietError` where something was set aside, or is under way after all the time there is.
    """
    deadline = asyncio.get_running_loop().time() + QUIET_SECONDS_MAX
    while True:
        kept = {name: await _read(system, name) for name in SERVICES}
        unfinished = _unfinished(kept)
        if not unfinished:
            return kept
        if asyncio.get_running_loop().time() > deadline:
            raise NotQuietError("\n".join(unfinished))
        await asyncio.sleep(POLL_SECONDS)


async def _read(system: System, service: str) -> Kept:
    connection = await asyncpg.connect(system.endpoints["postgres"][service])
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = await connection.fetch(
                'select body from outbox order by stream collate "C", sequence'
            )
            return Kept(
                outbox=[_decoded(row["body"]) for row in rows],
                pending=await connection.fetchval("select count(*) from outbox_pending"),
                cursors=dict(
                    map(tuple, await connection.fetch("select stream, sequence from inbox_cursors"))
                ),
                waiting=[
                    tuple(row)
                    for row in await connection.fetch(
                        "select stream, sequence, detail from inbox_waiting order by 1, 2"
                    )
                ],
            )
    finally:
        await connection.close()


def _decoded(body: str) -> Envelope[Any]:
    return decode(json.loads(body)["type"], body.encode())


def _unfinished(kept: dict[str, Kept]) -> list[str]:
    """Return what is not sent, not applied, or set aside."""
    found = []
    for name, one in kept.items():
        if one.pending:
            found.append(f"{name} has {one.pending} messages to send")
        found += [f"{name} set aside {stream} {n}: {why}" for stream, n, why in one.waiting]
        for stream, sequence in _to_apply(name, kept).items():
            applied = one.cursors.get(stream, 0)
            if applied != sequence:
                found.append(f"{name} applied {stream} to {applied} of {sequence}")
    found += _deployments_under_way(kept)
    return found


def _to_apply(service: str, kept: dict[str, Kept]) -> dict[str, int]:
    """Return stream → last sequence, for every stream that a service follows."""
    last: dict[str, int] = {}
    for producer, one in kept.items():
        for envelope in one.outbox:
            kind = type(envelope.data).kind
            if (producer, kind) not in FOLLOWS[service]:
                continue
            if kind == "request" and not isinstance(envelope.data, REQUESTS[service]):
                continue
            last[envelope.subject] = max(last.get(envelope.subject, 0), envelope.sequence)
    return last


def _deployments_under_way(kept: dict[str, Kept]) -> list[str]:
    last = {e.subject: e for e in kept["deployer"].outbox}
    under_way = (
        deployer.HoldRequested,
        deployer.DeploymentQueued,
        deployer.DeploymentProvisioning,
    )
    return [
        f"{stream} stands at {type(envelope.data).__name__}"
        for stream, envelope in last.items()
        if isinstance(envelope.data, under_way)
    ]


async def carried_by_the_bus(system: System) -> list[str]:
    """Return the ids of all messages on the bus but the logs' chunks."""
    admin = bus_admin(system.data_dir)
    client = await nats.connect(
        admin.url, user=admin.user, password=admin.password, allow_reconnect=False
    )
    try:
        jetstream = client.jetstream()
        found: list[str] = []
        for info in await jetstream.streams_info():
            name = str(info.config.name)
            if name == "TOLLGATE_LOGS" or info.state.messages == 0:
                continue
            subscription = await jetstream.subscribe(
                ">", stream=name, ordered_consumer=True, manual_ack=False
            )
            for _ in range(info.state.messages):
                message = await subscription.next_msg(NEXT_SECONDS_MAX)
                found.append(json.loads(message.data)["id"])
            await subscription.unsubscribe()
        return found
    finally:
        await client.close()
