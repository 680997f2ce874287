from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.deployer.scheduling import Waiting, choose, order

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


def assert_fair(queue: list[Waiting], running: list[str], chosen: list[Waiting]) -> None:
    """Nobody is given another build while somebody waits who has none running."""
    busy, left = Counter(running), Counter(build.user_id for build in queue)
    for build in chosen:
        if busy[build.user_id]:
            assert all(busy[user] for user, count in left.items() if count)
        busy[build.user_id] += 1
        left[build.user_id] -= 1


@given(QUEUES, RUNNING, st.integers(0, 30))
def test_nobody_gets_a_second_build_while_another_who_waits_has_none(
    queue: list[Waiting], running: list[str], slots: int
) -> None:
    assert_fair(queue, running, choose(queue, running, slots))


@given(QUEUES, RUNNING, st.integers(0, 30))
def test_all_slots_are_used_and_never_more(
    queue: list[Waiting], running: list[str], slots: int
) -> None:
    chosen = choose(queue, running, slots)
    assert len(chosen) == min(slots, len(queue))
    assert len(set(ids(chosen))) == len(chosen)
    assert set(chosen) <= set(queue)


@given(QUEUES, RUNNING, st.integers(0, 30), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_the_queue_was_read(
    queue: list[Waiting], running: list[str], slots: int, random: Random
) -> None:
    shuffled, others = list(queue), list(running)
    random.shuffle(shuffled)
    random.shuffle(others)
    assert choose(shuffled, others, slots) == choose(queue, running, slots)


@given(QUEUES, RUNNING)
def test_of_one_persons_builds_the_oldest_is_first(
    queue: list[Waiting], running: list[str]
) -> None:
    started = order(queue, running)
    for user in {build.user_id for build in queue}:
        of_user = [(build.queued_at, build.build_id) for build in started if build.user_id == user]
        assert of_user == sorted(of_user)


def test_five_hundred_builds_of_fifty_users_are_shared_out() -> None:
    random = Random(20260504)
    owners = [f"user-{random.randrange(50)}" for _ in range(500)]
    queue = [waiting(user, number, number) for number, user in enumerate(owners)]
    chosen = choose(queue, [], 100)
    assert_fair(queue, [], chosen)
    first_round = [build.user_id for build in chosen[: len(set(owners))]]
    assert len(set(first_round)) == len(first_round)


def test_nobody_waits_behind_one_persons_hundred() -> None:
    queue = [waiting("ada", number, 0) for number in range(100)]
    queue.append(waiting("bob", 100, second=60))
    assert [build.user_id for build in choose(queue, ["ada"], 1)] == ["bob"]


def test_who_has_waited_longest_is_first_among_equals() -> None:
    queue = [waiting("ada", 1, second=2), waiting("bob", 2, second=1)]
    assert ids(choose(queue, [], 2)) == ["build-0002", "build-0001"]


def test_builds_of_the_same_instant_go_by_their_ids() -> None:
    queue = [waiting("bob", 2), waiting("ada", 1)]
    assert ids(choose(queue, [], 2)) == ["build-0001", "build-0002"]
