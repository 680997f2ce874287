"""`tollgate state`: what operations do with states and locks."""

import json
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.clock import system_clock
from runtime.refusal import Refusal
from services.deployer.state_admin import HeldLock, force_unlock, list_locks
from tests.integration.deployer.processes import HandledDeployer, environment_of
from tests.integration.deployer.runner_by_hand import ONE, TWO, Build, claimed_build

LOCK = {"ID": "lock-1", "Who": "terraform@builder", "Operation": "OperationTypeApply"}
LOST_AFTER = timedelta(seconds=120)


@pytest_asyncio.fixture
async def build_given(still_deployer: HandledDeployer) -> AsyncIterator[Build]:
    """Give a build that the test is the runner of."""
    async with claimed_build(still_deployer) as build:
        yield build


def state_command(deployer: HandledDeployer, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `tollgate state …` with the deployer's settings, as in its container."""
    return subprocess.run(
        [sys.executable, "-m", "tollgate", "state", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment_of(deployer.settings, {}),
    )


async def unlock(build: Build, lock_id: str = "lock-1", after: timedelta = LOST_AFTER) -> HeldLock:
    return await force_unlock(
        build.deployer.pool,
        deployment_id=build.deployment_id,
        lock_id=lock_id,
        now=system_clock.now() + after,
        lost_after=LOST_AFTER,
    )


async def test_versions_are_listed_and_downloaded_for_the_asker_only(
    build_given: Build, tmp_path: Path
) -> None:
    deployer, deployment_id = build_given.deployer, build_given.deployment_id
    for state in (ONE, TWO):
        assert (await build_given.terraform("POST", state))[0] == 200
    listed = json.loads(state_command(deployer, "list", "--json").stdout)
    assert [(row["deployment_id"], row["resources"]) for row in listed] == [
        (deployment_id, 2),
        (deployment_id, 1),
    ]
    file = tmp_path / "state.json"
    done = state_command(deployer, "download", deployment_id, "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == TWO
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    older = tmp_path / "older.json"
    number = str(listed[1]["number"])
    state_command(deployer, "download", deployment_id, "--number", number, "--output", str(older))
    assert older.read_bytes() == ONE


async def test_a_file_that_is_there_is_not_written_over(build_given: Build, tmp_path: Path) -> None:
    await build_given.terraform("POST", ONE)
    file = tmp_path / "state.json"
    file.write_text("mine")
    done = state_command(
        build_given.deployer, "download", build_given.deployment_id, "--output", str(file)
    )
    assert done.returncode == 1
    assert "File exists" in done.stderr
    assert file.read_text() == "mine"


async def test_what_is_not_there_is_said_to_be_not_there(
    build_given: Build, tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    done = state_command(build_given.deployer, "download", "nothing", "--output", str(file))
    assert (done.returncode, "there is no such state" in done.stderr) == (1, True)
    assert not file.exists()
    done = state_command(build_given.deployer, "force-unlock", "nothing", "lock-1")
    assert (done.returncode, "the state is not locked" in done.stderr) == (1, True)


async def test_a_lock_is_listed_with_who_holds_it_and_when_that_was_heard_of(
    build_given: Build,
) -> None:
    await build_given.says("POST", "heartbeat")
    assert (await build_given.terraform("LOCK", LOCK))[0] == 200
    [held] = await list_locks(build_given.deployer.pool)
    assert (held.lock_id, held.build_id, held.build_status) == (
        "lock-1",
        build_given.build_id,
        "RUNNING",
    )
    assert json.loads(held.info)["Who"] == "terraform@builder"
    assert held.heartbeat_at is not None
    shown = state_command(build_given.deployer, "locks").stdout
    assert "lock lock-1  since" in shown
    assert f"{build_given.build_id} RUNNING, last heard of" in shown


async def test_a_lock_of_a_build_that_lives_is_not_taken_away(build_given: Build) -> None:
    await build_given.says("POST", "heartbeat")
    await build_given.terraform("LOCK", LOCK)
    done = state_command(build_given.deployer, "force-unlock", build_given.deployment_id, "lock-1")
    assert (done.returncode, "cancel it instead" in done.stderr) == (1, True)
    assert len(await list_locks(build_given.deployer.pool)) == 1


async def test_a_lock_that_is_another_one_by_now_is_not_taken_away(build_given: Build) -> None:
    await build_given.terraform("LOCK", LOCK)
    with pytest.raises(Refusal) as refused:
        await unlock(build_given, "lock-0")
    assert refused.value.code == "ANOTHER_LOCK"
    assert len(await list_locks(build_given.deployer.pool)) == 1


async def test_a_lock_whose_build_fell_silent_is_taken_away_and_can_be_taken_anew(
    build_given: Build,
) -> None:
    await build_given.terraform("LOCK", LOCK)
    held = await unlock(build_given, after=LOST_AFTER + timedelta(seconds=1))
    assert held.lock_id == "lock-1"
    assert await list_locks(build_given.deployer.pool) == []
    assert (await build_given.terraform("LOCK", LOCK | {"ID": "lock-2"}))[0] == 200
