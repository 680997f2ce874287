"""All messages that a JetStream stream holds at this moment, in order, for an administrator."""

from collections.abc import AsyncIterator
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

READ_MAX: Final = 500
"""Messages of one fetch."""
READ_SECONDS_MAX: Final = 10.0
READER_INACTIVE_SECONDS: Final = 60.0


async def messages_of(
    client: Client, stream: str, *, headers_only: bool = False
) -> AsyncIterator[Msg]:
    """Yield them; the reader on the server goes by itself."""
    jetstream = client.jetstream()
    last = (await jetstream.stream_info(stream)).state.last_seq
    if last == 0:
        return
    subscription = await jetstream.pull_subscribe(
        ">",
        stream=stream,
        config=ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            headers_only=headers_only,
            mem_storage=True,
            inactive_threshold=READER_INACTIVE_SECONDS,
        ),
    )
    try:
        pending = (await subscription.consumer_info()).num_pending or 0
        while pending > 0:
            for message in await subscription.fetch(READ_MAX, timeout=READ_SECONDS_MAX):
                pending = message.metadata.num_pending
                yield message
    finally:
        await subscription.unsubscribe()
