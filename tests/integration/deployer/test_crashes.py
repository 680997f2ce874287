"""The deployer as a process between a real bus and a real database, killed and stopped."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.deployer.modules import SIGNS, running
from tests.integration.deployer.processes import DeployerProcess, stop
from tests.support.tools import program


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


def until_file(folder: Path, name: str) -> str:
    """Return a command that says that it runs, and goes on once there is such a sign."""
    return f"echo run; until [ -e {folder}/{SIGNS}/{name} ]; do sleep 0.1; done; echo done"


async def test_a_build_outlives_a_deployer_that_is_killed_and_terraform_runs_once(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", until_file(tmp_path, "go"))
    async with deployer.process() as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Provisioning")
        await stop(process, signal.SIGKILL)
    assert len(deployer.runners()) == 1
    (tmp_path / SIGNS / "go").touch()
    async with deployer.process():
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        log = await deployer.log(deployment_id)
        assert log.count("(local-exec): done") == log.count("(local-exec): run") == 1
    assert await deployer.facts(deployment_id) == [
        "hold_requested", "build_queued", "build_started", "build_succeeded",
    ]  # fmt: skip


async def test_a_build_that_ends_while_the_deployer_is_away_is_told_when_it_is_back(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", until_file(tmp_path, "go"))
    async with deployer.process() as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Provisioning")
        await stop(process, signal.SIGKILL)
    (tmp_path / SIGNS / "go").touch()
    [log] = deployer.settings.work_dir.glob("*/build.log")

    async def done() -> bool:
        return "(local-exec): done" in log.read_text()

    await deployer.until("all resources are made", done)
    async with deployer.process():
        assert await deployer.until_ended(deployment_id) == "build_succeeded"


async def test_a_build_ends_with_the_deployer_that_stops_in_good_order(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", "sleep 60")
    async with deployer.process() as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Provisioning")
        assert await stop(process, signal.SIGTERM) == 0
    assert deployer.runners() == []
    assert (await deployer.facts(deployment_id))[-1] == "build_failed"
    assert '"code":"INTERRUPTED"' in await deployer.last_fact(deployment_id)


async def test_even_a_build_that_will_not_stop_is_gone_when_the_deployer_is(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "stubborn", "trap '' INT TERM; sleep 61")
    async with deployer.process(drain_seconds=4) as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Executing")
        assert await stop(process, signal.SIGTERM) == 0
    assert deployer.runners() == []
    assert _works_below(deployer.settings.work_dir) == []


async def test_a_runner_that_dies_ends_its_build_soon_and_the_next_one_works(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", "sleep 62")
    async with deployer.process():
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Provisioning")
        [runner] = deployer.runners()
        runner.kill()
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = await deployer.last_fact(deployment_id)
        assert '"code":"RUNNER_LOST"' in told
        assert '"platform_fault":true' in told
        assert _works_below(deployer.settings.work_dir) == []
        assert await deployer.pool.fetchval("select count(*) from state_locks") == 0
        again = await deployer.deploy(running(tmp_path / "quick", "echo hello"), {})
        assert await deployer.until_ended(again) == "build_succeeded"


async def test_a_claimed_build_that_no_runner_came_for_is_begun_anew(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    """As after a crash between the claim and the start of the runner."""
    deployer = deployer_process
    folder = running(tmp_path / "slow", until_file(tmp_path, "go"))
    async with deployer.process() as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_fact(deployment_id, "build_started")
        process.send_signal(signal.SIGSTOP)
        for runner in deployer.runners():
            runner.kill()
        await stop(process, signal.SIGKILL)
    await deployer.pool.execute("update leases set taken_at = null")
    (tmp_path / SIGNS / "go").touch()
    async with deployer.process():
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert await deployer.facts(deployment_id) == [
        "hold_requested", "build_queued", "build_started", "build_reassigned", "build_succeeded",
    ]  # fmt: skip


async def test_a_stop_in_the_middle_of_nothing_is_quick(deployer_process: DeployerProcess) -> None:
    async with deployer_process.process() as process:
        while "terraform.found" not in deployer_process.said:
            await asyncio.sleep(0.05)
        assert await stop(process, signal.SIGTERM) == 0


class TestSilence:
    """A runner that cannot report stops itself, and only then is its build declared lost."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {
            "heartbeat_seconds": 0.2,
            "silence_seconds_max": 1.5,
            "stop_grace_seconds": 2.0,
            "lost_after_seconds": 5.0,
        }

    async def test_it_stops_terraform_saves_the_state_and_tells_why_when_somebody_listens(
        self, deployer_process: DeployerProcess, tmp_path: Path
    ) -> None:
        deployer = deployer_process
        made = 'resource "terraform_data" "made" { input = 1 }'
        async with deployer.process() as process:
            deployment_id = await deployer.deploy(running(tmp_path / "slow", "sleep 63", made), {})
            await deployer.until_log(deployment_id, "Executing")
            await stop(process, signal.SIGKILL)
        await _until_nothing_but_runners(deployer)
        async with deployer.process():
            assert await deployer.until_ended(deployment_id) == "build_failed"
            told = await deployer.last_fact(deployment_id)
        assert '"code":"NOBODY_LISTENED"' in told
        assert '"platform_fault":true' in told
        assert '"owns_resources":true' in told
        await deployer.until_no_runner()

    async def test_a_frozen_runner_is_ended_before_its_build_is_declared_lost(
        self, deployer_process: DeployerProcess, tmp_path: Path
    ) -> None:
        deployer = deployer_process
        async with deployer.process():
            deployment_id = await deployer.deploy(running(tmp_path / "slow", "sleep 64"), {})
            await deployer.until_log(deployment_id, "Executing")
            [runner] = deployer.runners()
            runner.suspend()
            assert await deployer.until_ended(deployment_id) == "build_failed"
            assert '"code":"RUNNER_LOST"' in await deployer.last_fact(deployment_id)
            assert _works_below(deployer.settings.work_dir) == []
            await deployer.until_no_runner()


async def _until_nothing_but_runners(deployer: DeployerProcess) -> None:
    """Return once Terraform has ended, and the runner is left with its report."""

    async def only_runners() -> bool:
        return bool(deployer.runners()) and _works_below(deployer.settings.work_dir) == []

    await deployer.until("Terraform has ended", only_runners)


def _works_below(folder: Path) -> list[str]:
    """Return the commands of processes that work in builds' folders."""
    found = []
    for process in psutil.process_iter():
        try:
            place = process.cwd()
            if place.startswith(f"{folder}/") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found
