"""Makes JetStream's streams and consumers what the topology says: the one owner of them.

Run by `tollgate bus migrate` with the bus administrator's rights; services have none to change
them. Idempotent; with `check` it only tells.
"""

from contextlib import suppress

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from runtime.bus_topology import Topology, consumers, drift, streams


async def migrate_bus(
    client: Client, topology: Topology, *, replicas: int = 1, check: bool = False
) -> list[str]:
    """Return what was changed, or with `check` what would be; nothing where all is well."""
    jetstream = client.jetstream()
    done: list[str] = []
    for stream in streams(topology, replicas=replicas):
        done += await _migrate_stream(jetstream, stream, check=check)
    for stream_name, consumer in consumers(topology):
        done += await _migrate_consumer(jetstream, stream_name, consumer, check=check)
    return done


async def _migrate_stream(
    jetstream: JetStreamContext, wanted: StreamConfig, *, check: bool
) -> list[str]:
    try:
        found = (await jetstream.stream_info(str(wanted.name))).config
    except NotFoundError:
        if not check:
            await jetstream.add_stream(wanted)
        return [f"stream {wanted.name}: create"]
    differences = drift(wanted, found)
    if differences and not check:
        await jetstream.update_stream(wanted)
    return [f"stream {wanted.name}: {difference}" for difference in differences]


async def _migrate_consumer(
    jetstream: JetStreamContext, stream: str, wanted: ConsumerConfig, *, check: bool
) -> list[str]:
    try:
        found = (await jetstream.consumer_info(stream, str(wanted.durable_name))).config
    except NotFoundError:
        if not check:
            await jetstream.add_consumer(stream, wanted)
        return [f"consumer {stream}/{wanted.durable_name}: create"]
    differences = drift(wanted, found)
    if differences and not check:
        await jetstream.add_consumer(stream, wanted)
    return [f"consumer {stream}/{wanted.durable_name}: {difference}" for difference in differences]


async def make_consumers_anew(client: Client, topology: Topology, service: str) -> None:
    """Have everything that is kept for a service delivered to it again, from the beginning.

    What it has applied it skips.
    """
    jetstream = client.jetstream()
    for stream, consumer in consumers(topology):
        if consumer.durable_name != service:
            continue
        with suppress(NotFoundError):
            await jetstream.delete_consumer(stream, service)
        await jetstream.add_consumer(stream, consumer)
