"""Users that builds run as are each one build's, though other deployers run builds here too."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.deployer.build_users import reserve, reserve_free
from services.deployer.isolation import Isolation, isolation
from services.deployer.local_executor import LocalExecutor
from tests.integration.deployer.conftest import SETTINGS_AND_KEY

FIRST_UID = 61_500
"""The users here are nobody else's, so that tests may run side by side."""


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can have users of builds' own")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that runs as the first user."""
    words = ("sleep", "300")
    with subprocess.Popen(words, user=FIRST_UID, group=FIRST_UID, extra_groups=[]) as running:
        yield running
        running.kill()


def test_a_user_is_reserved_once_and_free_again_when_that_is_closed() -> None:
    first, reservation = reserve_free(FIRST_UID)
    with reservation:
        assert reserve(first) is None
        second, other = reserve_free(FIRST_UID)
        other.close()
        assert second > first
    with closing(reserve_free(FIRST_UID)[1]):
        assert reserve(first) is None


@pytest.mark.usefixtures("process")
def test_a_user_that_anything_runs_as_is_not_free() -> None:
    uid, reservation = reserve_free(FIRST_UID, taken={FIRST_UID + 1})
    reservation.close()
    assert uid == FIRST_UID + 2


def test_isolation_is_tried_as_a_user_that_no_build_has(tmp_path: Path) -> None:
    script = tmp_path / "terraform"
    script.write_text(f'#!/bin/sh\ntest "$(id -u)" != {FIRST_UID}\n')
    script.chmod(0o755)
    assert not isolation(tmp_path, FIRST_UID, str(script)).in_room
    reservation = reserve(FIRST_UID)
    assert reservation is not None
    with reservation:
        found = isolation(tmp_path, FIRST_UID, str(script))
    assert found == Isolation(in_room=True, first_build_uid=FIRST_UID)


@pytest.fixture
def executor(parts: SETTINGS_AND_KEY) -> LocalExecutor:
    """Give an executor that has an attempt's folder, of the first user, and no runner in it."""
    settings = parts[0]
    home = settings.work_dir / "build-x-1-1" / "home"
    home.mkdir(parents=True)
    os.chown(home, FIRST_UID, FIRST_UID)
    found = Isolation(in_room=False, first_build_uid=FIRST_UID)
    return LocalExecutor(settings, "http://127.0.0.1:1", found)


async def test_to_end_an_attempt_ends_no_other_build_that_has_got_its_user(
    executor: LocalExecutor, process: subprocess.Popen[bytes]
) -> None:
    others = reserve(FIRST_UID)
    assert others is not None
    with others:
        await executor.end("build-x-1", 1)
        assert process.poll() is None
    await executor.end("build-x-1", 1)
    assert process.wait(timeout=30) == -9


async def test_a_build_that_reserves_its_user_itself_is_ended_like_any_other(
    executor: LocalExecutor,
) -> None:
    reservation = reserve(FIRST_UID)
    assert reservation is not None
    with reservation:
        left = subprocess.Popen(  # noqa: ASYNC220 - to start it takes no time
            ("sleep", "300"),
            user=FIRST_UID,
            group=FIRST_UID,
            extra_groups=[],
            pass_fds=[reservation.fileno()],
        )
    try:
        await executor.end("build-x-1", 1)
        assert left.wait(timeout=30) == -9
    finally:
        left.kill()
        left.wait()
