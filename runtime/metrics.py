"""What the machinery counts; each service adds its own to the same registry."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter(
    "tollgate_messages_total", "Messages from the bus, by how they ended", ["outcome"]
)
BATCH_SIZE: Final = Histogram(
    "tollgate_batch_size", "Messages in one transaction", buckets=(1, 2, 5, 10, 50, 100, 250, 500)
)
PUBLISHED: Final = Counter("tollgate_outbox_published_total", "Messages published to the bus")
OUTBOX_PENDING: Final = Gauge("tollgate_outbox_pending", "Messages seen waiting for the relay")
RELAY_FAILURES: Final = Counter(
    "tollgate_relay_failures_total", "Attempts to publish that did not succeed"
)
CONSUMER_FAILURES: Final = Counter(
    "tollgate_consumer_failures_total", "Fetches that did not succeed", ["stream"]
)
