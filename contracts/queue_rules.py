"""Which build is next, fairly: nobody waits behind one person's hundred.

The next build is of whoever has the fewest running; among those, of whoever has waited longest
since a build of theirs was last started; then of whoever asked first. Within a person's builds the
oldest goes first. So users take turns, however many builds each has queued, and however few may run
at a time. The deployer starts builds in this order, and the gateway tells places in it. Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count, islice
from typing import Final

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Waiting:
    """A build in the queue."""

    build_id: str
    deployment_id: str
    user_id: str
    queued_at: datetime


def choose(
    waiting: Iterable[Waiting],
    running: Iterable[str],
    served: Mapping[str, datetime],
    slots: int,
) -> list[Waiting]:
    """Return up to `slots` builds to start now, in order.

    `running` names the user of each build that runs, `served` says when a build of a user's was
    last started.
    """
    return list(islice(_in_turn(waiting, running, served), max(slots, 0)))


def order(
    waiting: Iterable[Waiting], running: Iterable[str], served: Mapping[str, datetime]
) -> Sequence[Waiting]:
    """Return the whole queue in the order in which its builds start, if none ends meanwhile."""
    return list(_in_turn(waiting, running, served))


def expected_start(
    place: int, ends: Iterable[datetime], *, now: datetime, build_time: timedelta
) -> datetime:
    """Return when the build at this place, from 1 on, starts if all goes as it usually does.

    `ends` are when those that run are expected to end; where none runs, one may start now.
    """
    free = [max(end, now) for end in ends] or [now]
    heapify(free)
    for _ in range(place - 1):
        heappush(free, heappop(free) + build_time)
    return free[0]


def _in_turn(
    waiting: Iterable[Waiting], running: Iterable[str], served: Mapping[str, datetime]
) -> Iterator[Waiting]:
    queues: dict[str, list[tuple[datetime, str, Waiting]]] = defaultdict(list)
    for build in waiting:
        queues[build.user_id].append((build.queued_at, build.build_id, build))
    for queue in queues.values():
        heapify(queue)
    busy = Counter(running)
    # Each turn that is given here comes after all that were given before.
    turns = count(1)
    users = [
        (busy[user], 0, served.get(user, _NEVER), queue[0][:2], user)
        for user, queue in queues.items()
    ]
    heapify(users)
    while users:
        *_, user = heappop(users)
        queue = queues[user]
        yield heappop(queue)[2]
        busy[user] += 1
        if queue:
            heappush(users, (busy[user], next(turns), _NEVER, queue[0][:2], user))
