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
from itertools import accumulate, count, islice
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


class Turns:
    """The order of a queue, kept: where each build stands, and where one that comes later would.

    To keep it takes as long as to sort it; to ask takes no longer than there are users.
    """

    def __init__(
        self, waiting: Iterable[Waiting], running: Iterable[str], served: Mapping[str, datetime]
    ) -> None:
        running = list(running)
        self._busy = Counter(running)
        self._served = served
        queue = order(waiting, running, served)
        self._places = {build.build_id: place for place, build in enumerate(queue, 1)}
        self._of_users: dict[str, list[Waiting]] = defaultdict(list)
        for build in queue:
            self._of_users[build.user_id].append(build)
        # The newest of those that stand up to each place.
        newest = accumulate((build.queued_at for build in queue), max)
        self._newest: list[datetime] = list(newest)

    def place(self, build: Waiting) -> tuple[int, bool]:
        """Return a build's place, from 1 on, and whether one that asked later is before it.

        A build that was not there yet stands as if it had come as the newest of its user's.
        """
        place = self._places.get(build.build_id)
        if place is None:
            place = 1 + sum(self._before(build, user) for user in self._of_users)
        return place, place > 1 and self._newest[place - 2] > build.queued_at

    def _before(self, build: Waiting, user: str) -> int:
        """Return how many builds of a user come before a new one of this or another."""
        mine, theirs = self._of_users.get(build.user_id, ()), self._of_users[user]
        # A build is its user's `turn`th at once; who has had fewer comes first.
        turn = self._busy[build.user_id] + len(mine)
        before = min(max(turn - self._busy[user], 0), len(theirs))
        if turn < self._busy[user] or before == len(theirs):
            return before
        if before and mine:
            earlier, my_last = theirs[before - 1], mine[-1]
            return before + (self._places[earlier.build_id] < self._places[my_last.build_id])
        if before or mine:
            return before + (before == 0)
        return self._first(theirs[0]) < self._first(build)

    def _first(self, build: Waiting) -> tuple[datetime, datetime, str]:
        """Return what the first turns of users are ordered by."""
        served = self._served.get(build.user_id, _NEVER)
        return served, build.queued_at, build.build_id


def expected_start(
    place: int, ends: Iterable[datetime], *, now: datetime, build_time: timedelta
) -> datetime:
    """Return when the build at this place, from 1 on, starts if all goes as it usually does.

    `ends` are when those that run are expected to end, each within `build_time` from now; where
    none runs, one may start now.
    """
    # Within one build's time of each other, each runner is free once in every round.
    free = sorted(min(max(end, now), now + build_time) for end in ends) or [now]
    rounds, runner = divmod(place - 1, len(free))
    return free[runner] + rounds * build_time


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
