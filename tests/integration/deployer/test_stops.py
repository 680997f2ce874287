"""A deployer that is upgraded while builds run: it waits for them, or leaves them to the next."""

import signal
from pathlib import Path

import pytest

from tests.integration.deployer.modules import SIGNS, running
from tests.integration.deployer.processes import DeployerProcess, stop
from tests.integration.deployer.test_crashes import until_file
from tests.support.tools import program


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


async def test_builds_that_run_are_waited_for_and_none_is_begun_meanwhile(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", until_file(tmp_path, "go"))
    limits = {"drain_seconds": 50, "builds_finish_seconds": 40, "concurrent_builds_max": 1}
    async with deployer.process(**limits) as process:
        first = await deployer.deploy(folder, {})
        await deployer.until_log(first, "Executing")
        second = await deployer.deploy(folder, {})
        await deployer.until_fact(second, "build_queued")
        process.send_signal(signal.SIGTERM)

        async def finishing() -> bool:
            return "builds.finishing" in deployer.said

        await deployer.until("it waits", finishing)
        (tmp_path / SIGNS / "go").touch()
        assert await deployer.until_ended(first) == "build_succeeded"
        assert await stop(process, signal.SIGTERM) == 0
    assert deployer.runners() == []
    assert (await deployer.facts(second))[-1] == "build_queued"
    async with deployer.process():
        assert await deployer.until_ended(second) == "build_succeeded"


async def test_a_build_that_does_not_end_in_that_time_is_interrupted_and_says_so(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", "sleep 65")
    async with deployer.process(drain_seconds=12, builds_finish_seconds=2) as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Executing")
        assert await stop(process, signal.SIGTERM) == 0
    assert deployer.runners() == []
    assert '"code":"INTERRUPTED"' in await deployer.last_fact(deployment_id)


async def test_builds_that_outlive_a_stop_are_taken_over_by_the_next_process(
    deployer_process: DeployerProcess, tmp_path: Path
) -> None:
    deployer = deployer_process
    folder = running(tmp_path / "slow", until_file(tmp_path, "go"))
    async with deployer.process(builds_outlive_stop=True) as process:
        deployment_id = await deployer.deploy(folder, {})
        await deployer.until_log(deployment_id, "Executing")
        assert await stop(process, signal.SIGTERM) == 0
    assert len(deployer.runners()) == 1
    (tmp_path / SIGNS / "go").touch()
    async with deployer.process(builds_outlive_stop=True):
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        await deployer.until_no_runner()
    assert (await deployer.log(deployment_id)).count("(local-exec): run") == 1
    assert await deployer.facts(deployment_id) == [
        "hold_requested", "build_queued", "build_started", "build_succeeded",
    ]  # fmt: skip
