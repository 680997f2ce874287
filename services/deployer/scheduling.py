"""Which build is next, fairly: nobody waits behind one person's hundred.

The next one is of whoever has the fewest builds running, and among those of whoever has waited
longest; within a person's builds the oldest goes first. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Waiting:
    """A build in the queue."""

    build_id: str
    deployment_id: str
    user_id: str
    queued_at: datetime


def choose(waiting: Iterable[Waiting], running: Iterable[str], slots: int) -> list[Waiting]:
    """Return up to `slots` builds to start now, in order.

    `running` names the user of each build that runs.
    """
    queue = sorted(waiting, key=lambda build: (build.queued_at, build.build_id))
    busy = Counter(running)
    chosen: list[Waiting] = []
    while queue and len(chosen) < slots:
        build = min(queue, key=lambda build: (busy[build.user_id], build.queued_at))
        queue.remove(build)
        busy[build.user_id] += 1
        chosen.append(build)
    return chosen


def order(waiting: Iterable[Waiting], running: Iterable[str]) -> Sequence[Waiting]:
    """Return the whole queue in the order in which its builds start, if none ends meanwhile."""
    everything = list(waiting)
    return choose(everything, running, len(everything))
