"""What the deployer counts besides the machinery: builds, and how long they wait and take."""

from typing import Final

from prometheus_client import Gauge, Histogram

from runtime.measuring import Measure
from runtime.process import Running
from services.deployer.events import (
    BuildCancelled,
    BuildEnd,
    BuildFailed,
    BuildSucceeded,
)

_SECONDS: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600)

BUILD_WAIT_SECONDS: Final = Histogram(
    "tollgate_build_wait_seconds", "For how long builds waited for a runner", buckets=_SECONDS
)
BUILD_SECONDS: Final = Histogram(
    "tollgate_build_seconds",
    "How long builds took from when they were given to a runner, by how they ended",
    ["outcome"],
    buckets=_SECONDS,
)
for _outcome in ("succeeded", "failed", "platform_fault", "cancelled", "timed_out"):
    BUILD_SECONDS.labels(outcome=_outcome)
BUILDS: Final = Gauge("tollgate_builds", "Builds that wait or run", ["status"])
BUILD_OLDEST_WAIT_SECONDS: Final = Gauge(
    "tollgate_build_oldest_wait_seconds", "For how long the first of the queue has waited"
)

_OPEN: Final = """
    select count(*) filter (where status = 'QUEUED') as queued,
           count(*) filter (where status = 'RUNNING') as running,
           min(queued_at) filter (where status = 'QUEUED') as first
    from builds where status in ('QUEUED', 'RUNNING')"""


def outcome_of(end: BuildEnd) -> str:
    """Return the word by which an end is counted."""
    match end:
        case BuildSucceeded():
            return "succeeded"
        case BuildFailed():
            return "platform_fault" if end.platform_fault else "failed"
        case BuildCancelled():
            return "cancelled"
        case _:
            return "timed_out"


async def _read(running: Running) -> None:
    [row] = await running.pool.fetch(_OPEN)
    for status in ("queued", "running"):
        BUILDS.labels(status=status).set(row[status])
    waited = 0.0
    if row["first"] is not None:
        waited = (running.clock.now() - row["first"]).total_seconds()
    BUILD_OLDEST_WAIT_SECONDS.set(max(0.0, waited))


OPEN_BUILDS: Final = Measure("builds", 10.0, _read)
