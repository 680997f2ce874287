from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.queue_rules import Turns, Waiting, choose, expected_start, order

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def waiting(user: str, number: int, second: int = 0) -> Waiting:
    build_id = f"build-{number:04}"
    return Waiting(build_id, f"d-{number}", user, NOON + timedelta(seconds=second))


def ids(builds: list[Waiting]) -> list[str]:
    return [build.build_id for build in builds]


USERS = st.integers(0, 49).map(lambda number: f"user-{number}")
QUEUES = st.lists(st.tuples(USERS, st.integers(0, 5)), max_size=60).map(
    lambda asked: [waiting(user, number, second) for number, (user, second) in enumerate(asked)]
)
RUNNING = st.lists(USERS, max_size=20)
Served = dict[str, datetime]
SERVED = st.dictionaries(USERS, st.integers(0, 9).map(lambda n: NOON - timedelta(seconds=n)))


def assert_fair(queue: list[Waiting], running: list[str], chosen: list[Waiting]) -> None:
    """Nobody is given another build while somebody waits who has none running."""
    busy, left = Counter(running), Counter(build.user_id for build in queue)
    for build in chosen:
        if busy[build.user_id]:
            assert all(busy[user] for user, count in left.items() if count)
        busy[build.user_id] += 1
        left[build.user_id] -= 1


@given(QUEUES, RUNNING, SERVED, st.integers(0, 30))
def test_nobody_gets_a_second_build_while_another_who_waits_has_none(
    queue: list[Waiting], running: list[str], served: Served, slots: int
) -> None:
    assert_fair(queue, running, choose(queue, running, served, slots))


@given(QUEUES, RUNNING, SERVED, st.integers(0, 30))
def test_all_slots_are_used_and_never_more(
    queue: list[Waiting], running: list[str], served: Served, slots: int
) -> None:
    chosen = choose(queue, running, served, slots)
    assert len(chosen) == min(slots, len(queue))
    assert len(set(ids(chosen))) == len(chosen)
    assert set(chosen) <= set(queue)


@given(QUEUES, RUNNING, SERVED, st.integers(0, 30), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_the_queue_was_read(
    queue: list[Waiting], running: list[str], served: Served, slots: int, random: Random
) -> None:
    shuffled, others = list(queue), list(running)
    random.shuffle(shuffled)
    random.shuffle(others)
    assert choose(shuffled, others, served, slots) == choose(queue, running, served, slots)


@given(QUEUES, RUNNING, SERVED)
def test_of_one_persons_builds_the_oldest_is_first(
    queue: list[Waiting], running: list[str], served: Served
) -> None:
    started = order(queue, running, served)
    for user in {build.user_id for build in queue}:
        of_user = [(build.queued_at, build.build_id) for build in started if build.user_id == user]
        assert of_user == sorted(of_user)


def test_five_hundred_builds_of_fifty_users_are_shared_out() -> None:
    random = Random(20260504)
    owners = [f"user-{random.randrange(50)}" for _ in range(500)]
    queue = [waiting(user, number, number) for number, user in enumerate(owners)]
    chosen = choose(queue, [], {}, 100)
    assert_fair(queue, [], chosen)
    first_round = [build.user_id for build in chosen[: len(set(owners))]]
    assert len(set(first_round)) == len(first_round)


def test_nobody_waits_behind_one_persons_hundred() -> None:
    queue = [waiting("ada", number, 0) for number in range(100)]
    queue.append(waiting("bob", 100, second=60))
    assert [build.user_id for build in choose(queue, ["ada"], {}, 1)] == ["bob"]


def test_who_has_waited_longest_is_first_among_equals() -> None:
    queue = [waiting("ada", 1, second=2), waiting("bob", 2, second=1)]
    assert ids(choose(queue, [], {}, 2)) == ["build-0002", "build-0001"]


def test_builds_of_the_same_instant_go_by_their_ids() -> None:
    queue = [waiting("bob", 2), waiting("ada", 1)]
    assert ids(choose(queue, [], {}, 2)) == ["build-0001", "build-0002"]


def started_one_by_one(queue: list[Waiting], slots: int) -> list[str]:
    """Return whose builds are started, where each takes as long as any other."""
    waiting_builds, running = list(queue), deque[str]()
    served: Served = {}
    started: list[str] = []
    while waiting_builds:
        chosen = choose(waiting_builds, running, served, slots - len(running))
        for build in chosen:
            waiting_builds.remove(build)
            served[build.user_id] = NOON + timedelta(seconds=len(started))
            started.append(build.user_id)
            running.append(build.user_id)
        running.popleft()
    return started


@pytest.mark.parametrize("slots", [1, 4, 7])
def test_whoever_asked_last_has_a_build_in_each_round_of_five_hundred(slots: int) -> None:
    queue = [waiting(f"user-{number // 10}", number, number) for number in range(500)]
    started = started_one_by_one(queue, slots)
    rounds = [started[begin : begin + 50] for begin in range(0, 500, 50)]
    assert [len(set(users)) for users in rounds] == [50] * 10


@given(QUEUES, st.integers(1, 6))
def test_users_take_turns_however_few_builds_may_run(queue: list[Waiting], slots: int) -> None:
    left = Counter(build.user_id for build in queue)
    given_turns: Counter[str] = Counter()
    for user in started_one_by_one(queue, slots):
        others = [other for other, count in left.items() if count]
        assert given_turns[user] <= min(given_turns[other] for other in others) + 1
        given_turns[user] += 1
        left[user] -= 1


def test_with_one_runner_the_second_user_is_next_whatever_the_first_has_queued() -> None:
    queue = [waiting("ada", number, 0) for number in range(100)]
    queue.append(waiting("bob", 100, second=60))
    assert started_one_by_one(queue, 1)[:3] == ["ada", "bob", "ada"]


def test_five_hundred_builds_of_fifty_users_end_in_rounds() -> None:
    queue = [waiting(f"user-{number // 10}", number, number) for number in range(500)]
    started = started_one_by_one(queue, 4)
    rounds = [started[place : place + 50] for place in range(0, 500, 50)]
    assert [len(set(each)) for each in rounds] == [50] * 10


@given(QUEUES, RUNNING, SERVED)
def test_a_kept_order_tells_every_place_and_whether_it_was_overtaken(
    queue: list[Waiting], running: list[str], served: Served
) -> None:
    turns, started = Turns(queue, running, served), order(queue, running, served)
    for place, build in enumerate(started, 1):
        overtaken = any(other.queued_at > build.queued_at for other in started[: place - 1])
        assert turns.place(build) == (place, overtaken)


@given(QUEUES, RUNNING, SERVED, USERS)
def test_one_that_comes_later_has_the_place_that_it_would_have_if_all_were_sorted_anew(
    queue: list[Waiting], running: list[str], served: Served, user: str
) -> None:
    late = waiting(user, 9_999, second=60)
    place, _ = Turns(queue, running, served).place(late)
    assert order([*queue, late], running, served)[place - 1] == late


def after(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_start_is_expected_from_what_runs_and_how_long_builds_take() -> None:
    ends = [after(10), after(20)]
    times = [
        expected_start(place, ends, now=NOON, build_time=timedelta(seconds=30))
        for place in (1, 2, 3, 4)
    ]
    assert times == [after(10), after(20), after(40), after(50)]


def test_what_should_have_ended_already_is_expected_to_end_now() -> None:
    late = [after(-50)]
    assert expected_start(1, late, now=NOON, build_time=timedelta(seconds=30)) == NOON
    assert expected_start(1, [], now=NOON, build_time=timedelta(seconds=30)) == NOON
