"""Builds in Cloud Build: a stand-in for it on Google's own Pub/Sub emulator."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devkit.ports import free_port
from runtime.sealing import generate_sealing_key
from services.deployer.settings import DeployerSettings
from tests.integration.deployer.conftest import SETTINGS_AND_KEY
from tests.integration.deployer.modules import DOMAIN, EXAMPLES, TOKEN, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.cloud_build import CloudBuild
from tests.support.folders import reachable_folder
from tests.support.pubsub import emulator
from tests.support.tools import program

VALUES = {"domain": "www.example.com", "deploy_token": "swordfish"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that builds' users can reach."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture(scope="module", autouse=True)
def pubsub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run Google's emulator; each test has a project of its own there."""
    program("terraform")
    with emulator(tmp_path_factory.mktemp("pubsub") / "pubsub.log"):
        yield


@pytest_asyncio.fixture
async def cloud(folder: Path) -> AsyncIterator[CloudBuild]:
    """Give a stand-in for Cloud Build that runs."""
    (folder / "workspaces").mkdir(mode=0o711)
    private, _ = generate_sealing_key()
    async with CloudBuild(folder / "workspaces", private).running() as cloud:
        yield cloud


@pytest.fixture
def bounds(cloud: CloudBuild) -> dict[str, Any]:
    """Say that builds run in Cloud Build; its key is the stand-in's, its listener is here."""
    port = free_port()
    public = json.dumps({k: v for k, v in json.loads(cloud.secret).items() if k != "d"})
    return {
        "executor": "cloud_build",
        "google_project": cloud.project,
        "cloud_build_url": cloud.url,
        "builds_port": port,
        "builds_url": f"http://127.0.0.1:{port}",
        "runner_public_key": public,
        "cloud_build_silence_seconds_max": 1.0,
        "heartbeat_seconds": 0.2,
    }


async def test_a_deployment_succeeds_through_pub_sub(
    deployer: HandledDeployer, cloud: CloudBuild
) -> None:
    deployment_id = await deployer.deploy(
        EXAMPLES / "static-website", VALUES, variables=(DOMAIN, TOKEN)
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert await deployer.facts(deployment_id) == [
        "hold_requested", "build_queued", "build_started", "build_succeeded",
    ]  # fmt: skip
    [message] = cloud.messages
    assert message["buildId"] == f"build-{deployment_id}-1"
    assert message["sourceUrl"].endswith(f"/builds/build-{deployment_id}-1/source")
    assert message["sourceDigest"].startswith("sha256:")
    assert message["repoUrl"]
    assert message["commit"]
    assert "Apply complete" in await deployer.log(deployment_id)


async def test_the_message_tells_neither_variables_nor_tokens(
    deployer: HandledDeployer, cloud: CloudBuild
) -> None:
    deployment_id = await deployer.deploy(
        EXAMPLES / "static-website", VALUES, variables=(DOMAIN, TOKEN)
    )
    await deployer.until_ended(deployment_id)
    told = json.dumps(cloud.messages)
    assert "swordfish" not in told
    assert "www.example.com" not in told
    assert "terraform_token" not in told
    assert all(len(value.encode()) <= 4_000 for value in cloud.messages[0].values())


async def test_a_message_that_is_answered_twice_runs_terraform_once(
    deployer: HandledDeployer, cloud: CloudBuild, tmp_path: Path
) -> None:
    runs = cloud.folder.parent / "runs"
    runs.touch(mode=0o666)
    runs.chmod(0o666)
    cloud.twice = True
    deployment_id = await deployer.deploy(running(tmp_path / "once", f"echo run >> {runs}"), {})
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert runs.read_text() == "run\n"
    assert len(cloud.builds) == 2


async def test_what_is_notified_twice_late_and_in_any_order_changes_nothing(
    deployer: HandledDeployer, cloud: CloudBuild
) -> None:
    deployment_id = await deployer.deploy(
        EXAMPLES / "static-website", VALUES, variables=(DOMAIN, TOKEN)
    )
    await deployer.until_ended(deployment_id)
    facts = await deployer.facts(deployment_id)
    [build] = cloud.builds
    for status in ("QUEUED", "FAILURE", "WORKING", "SOMETHING_NEW"):
        await cloud.fail(build, status)
    again = await deployer.deploy(EXAMPLES / "static-website", VALUES, variables=(DOMAIN, TOKEN))
    assert await deployer.until_ended(again) == "build_succeeded"
    assert await deployer.facts(deployment_id) == facts


async def test_a_build_whose_runner_never_came_is_begun_anew_and_ends_after_three(
    deployer: HandledDeployer, cloud: CloudBuild, tmp_path: Path
) -> None:
    cloud.starts = False
    deployment_id = await deployer.deploy(running(tmp_path / "never", "echo never"), {})
    for attempt in (1, 2, 3):
        await _until(lambda attempt=attempt: len(cloud.builds) >= attempt)
        await cloud.fail(cloud.builds[attempt - 1], "INTERNAL_ERROR")
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = await deployer.last_fact(deployment_id)
    assert '"code":"RUNNER_LOST"' in told
    assert '"platform_fault":true' in told
    assert [m["attempt"] for m in cloud.messages] == ["1", "2", "3"]


async def test_what_is_not_notified_is_asked_for(
    deployer: HandledDeployer, cloud: CloudBuild, tmp_path: Path
) -> None:
    cloud.notifies = cloud.starts = False
    deployment_id = await deployer.deploy(running(tmp_path / "silent", "echo never"), {})
    for attempt in (1, 2, 3):
        await _until(lambda attempt=attempt: len(cloud.builds) >= attempt)
        await cloud.fail(cloud.builds[attempt - 1], "EXPIRED")
    assert await deployer.until_ended(deployment_id) == "build_failed"


async def test_a_cancelled_build_is_stopped_there(
    deployer: HandledDeployer, cloud: CloudBuild, tmp_path: Path
) -> None:
    deployment_id = await deployer.deploy(running(tmp_path / "slow", "echo begun; sleep 63"), {})
    await deployer.until_log(deployment_id, "begun")
    await deployer.cancel(deployment_id)
    assert await deployer.until_ended(deployment_id) == "build_cancelled"
    [build] = cloud.builds
    await _until(lambda: build.process is not None and build.process.returncode is not None)


async def test_a_runner_that_dies_there_ends_its_build(
    deployer: HandledDeployer, cloud: CloudBuild, tmp_path: Path
) -> None:
    deployment_id = await deployer.deploy(running(tmp_path / "slow", "echo begun; sleep 64"), {})
    await deployer.until_log(deployment_id, "begun")
    [build] = cloud.builds
    assert build.process is not None
    build.process.kill()
    assert await deployer.until_ended(deployment_id) == "build_failed"
    assert '"code":"RUNNER_LOST"' in await deployer.last_fact(deployment_id)


async def test_a_build_there_outlives_a_deployer_that_stops_in_good_order(
    still_deployer: HandledDeployer, cloud: CloudBuild, tmp_path: Path
) -> None:
    go = cloud.folder.parent / "go"
    command = f"echo begun; until [ -e {go} ]; do sleep 0.1; done"
    async with still_deployer.process():
        deployment_id = await still_deployer.deploy(running(tmp_path / "long", command), {})
        await still_deployer.until_log(deployment_id, "begun")
    go.touch()
    async with still_deployer.process():
        assert await still_deployer.until_ended(deployment_id) == "build_succeeded"


async def test_where_pub_sub_is_away_the_build_fails_by_no_fault_of_its_module(
    parts: SETTINGS_AND_KEY, tmp_path: Path
) -> None:
    settings, public, pool = parts
    nowhere = settings.model_copy(update={"cloud_build_topic": "no-such-topic"})
    deployer = HandledDeployer(nowhere, public, pool)
    async with deployer.process(nowhere):
        deployment_id = await deployer.deploy(running(tmp_path / "none", "echo never"), {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
    told = await deployer.last_fact(deployment_id)
    assert '"code":"CLOUD_BUILD_UNREACHABLE"' in told
    assert '"platform_fault":true' in told


def test_cloud_build_without_its_settings_is_refused(parts: SETTINGS_AND_KEY) -> None:
    values = {name: getattr(parts[0], name) for name in parts[0].model_fields_set}
    values["google_project"] = None
    with pytest.raises(ValueError, match="TOLLGATE_GOOGLE_PROJECT"):
        DeployerSettings(**values)


async def _until(true: Any) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.05)
