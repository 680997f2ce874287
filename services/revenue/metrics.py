"""What revenue counts besides the machinery: webhooks, and what of them waits."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from runtime.measuring import Measure
from runtime.process import Running

DELIVERED: Final = "delivered"
REFUSED: Final = "refused"
UNREACHABLE: Final = "unreachable"

WEBHOOK_ATTEMPTS: Final = Counter(
    "tollgate_webhook_attempts_total",
    "Webhooks sent: delivered, refused by the endpoint's answer, or unreachable",
    ["outcome"],
)
for _outcome in (DELIVERED, REFUSED, UNREACHABLE):
    WEBHOOK_ATTEMPTS.labels(outcome=_outcome)
WEBHOOK_SECONDS: Final = Histogram(
    "tollgate_webhook_seconds",
    "How long endpoints took to answer, or to fail",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
WEBHOOKS_DUE: Final = Gauge(
    "tollgate_webhooks_due", "Deliveries that are due to endpoints that are enabled"
)
WEBHOOK_OLDEST_SECONDS: Final = Gauge(
    "tollgate_webhook_oldest_seconds", "For how long the oldest of them has been due; 0 without any"
)

_DUE_COUNTED_MAX: Final = 100_000
_DUE: Final = """
    select count(*) as due, min(due_at) as oldest from (
        select d.due_at from webhook_endpoints e join webhook_deliveries d using (webhook_id)
        where e.enabled and d.due_at <= $1 limit $2) as counted"""


def count_attempt(*, status: int | None, failed: bool, seconds: float) -> None:
    """Count one sending; `status` is the endpoint's answer, if it gave one."""
    outcome = DELIVERED if not failed else UNREACHABLE if status is None else REFUSED
    WEBHOOK_ATTEMPTS.labels(outcome=outcome).inc()
    WEBHOOK_SECONDS.observe(seconds)


async def _read(running: Running) -> None:
    now = running.clock.now()
    [row] = await running.pool.fetch(_DUE, now, _DUE_COUNTED_MAX)
    WEBHOOKS_DUE.set(row["due"])
    oldest = row["oldest"]
    WEBHOOK_OLDEST_SECONDS.set(0.0 if oldest is None else (now - oldest).total_seconds())


DUE_WEBHOOKS: Final = Measure("webhooks", 15.0, _read)
