"""What the machinery counts; each service adds its own to the same registry.

docs/telemetry.md lists them all, with what each means. Labels have few values, all of our own
making: no id, no path, no text that somebody gave us. Those that an alert asks for are there with
0 from the start, since what appears with 1 has not increased.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter(
    "tollgate_messages_total", "Messages from the bus, by how they ended", ["outcome"]
)
for _outcome in ("handled", "failed", "parked"):
    MESSAGES.labels(outcome=_outcome)
BATCH_SIZE: Final = Histogram(
    "tollgate_batch_size", "Messages in one transaction", buckets=(1, 2, 5, 10, 50, 100, 250, 500)
)
BATCH_SECONDS: Final = Histogram(
    "tollgate_batch_seconds",
    "How long a transaction took, from the first lock to the commit",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
DECISIONS: Final = Counter(
    "tollgate_decisions_total",
    "Messages and commands that something was decided on: accepted, or the code of the refusal",
    ["message", "outcome"],
)
DECISION_SECONDS: Final = Histogram(
    "tollgate_decision_seconds",
    "From when a message was sent to the commit of what was decided on it, the oldest of a batch",
    ["message"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
PUBLISHED: Final = Counter("tollgate_outbox_published_total", "Messages published to the bus")
OUTBOX_PENDING: Final = Gauge("tollgate_outbox_pending", "Messages that wait for the relay")
OUTBOX_OLDEST_SECONDS: Final = Gauge(
    "tollgate_outbox_oldest_seconds", "For how long the oldest of them has waited; 0 without any"
)
SET_ASIDE: Final = Gauge(
    "tollgate_set_aside_messages",
    "Messages set aside: parked for a person, or waiting for a predecessor or the next try",
    ["state"],
)
RELAY_FAILURES: Final = Counter(
    "tollgate_relay_failures_total", "Attempts to publish that did not succeed"
)
CONSUMER_FAILURES: Final = Counter(
    "tollgate_consumer_failures_total", "Fetches that did not succeed", ["stream"]
)
CONSUMER_PENDING: Final = Gauge(
    "tollgate_consumer_pending",
    "Messages of a stream that this service has not been given, or not acknowledged, yet",
    ["stream"],
)
NOT_READY: Final = Gauge(
    "tollgate_not_ready", "Whether a check of readiness found something wrong", ["check"]
)
MEASURED_AT: Final = Gauge(
    "tollgate_measured_timestamp_seconds",
    "When what is read from the database was last read, or at first since when that is tried",
    ["measure"],
)
DATABASE_OUTAGES: Final = Counter(
    "tollgate_database_outages_total", "Times that the database did not take something", ["reason"]
)
CLOCK_AHEAD: Final = Gauge(
    "tollgate_clock_ahead_seconds", "How far this machine's clock is ahead of the database's"
)
