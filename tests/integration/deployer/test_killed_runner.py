"""A runner that is killed: its Terraform ends by itself, and what it made is known."""

import json
from pathlib import Path

import psutil
import pytest

from tests.integration.deployer.modules import running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

MADE = 'resource "terraform_data" "made" { input = 1 }'
ENDS = ("succeeded", "failed", "cancelled", "timed_out")


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


def terraforms_below(folder: Path) -> list[psutil.Process]:
    """Return the processes of Terraform that work in builds' folders."""
    found = []
    for process in psutil.process_iter(["cwd", "name"]):
        place, name = process.info["cwd"] or "", process.info["name"]
        if place.startswith(f"{folder}/") and name == "terraform":
            found.append(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs, or only waits for somebody to ask how it ended."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def test_terraform_saves_what_it_made_and_the_hold_is_ended_once(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    needs_made = 'depends_on = [terraform_data.made]\n          provisioner "local-exec"'
    folder = running(tmp_path / "slow", "echo begun; sleep 71", MADE)
    main = folder / "main.tf"
    main.write_text(main.read_text().replace('provisioner "local-exec"', needs_made))
    deployment_id = await deployer.deploy(folder, {})
    await deployer.until_log(deployment_id, "begun")
    assert await deployer.pool.fetchval("select count(*) from state_locks") == 1
    [runner], [terraform] = deployer.runners(), terraforms_below(deployer.settings.work_dir)

    runner.kill()

    assert await deployer.until_ended(deployment_id) == "build_failed"
    assert not is_alive(terraform)
    told = json.loads(await deployer.last_fact(deployment_id))
    assert (told["code"], told["platform_fault"]) == ("RUNNER_LOST", True)
    assert "no state has" not in told["message"]
    assert told["owns_resources"] is True
    state = await deployer.pool.fetchrow("select resources, evidence from states")
    assert state is not None
    assert (state["resources"] >= 1, state["evidence"]) == (True, False)
    assert await deployer.pool.fetchval("select count(*) from state_locks") == 0

    rows = await deployer.pool.fetch("select body from outbox order by position")
    events = [json.loads(row["body"]) for row in rows]
    ends = [event for event in events if event["type"].split("_", 1)[1].split(".")[0] in ENDS]
    [end] = ends
    assert end["type"] == "tollgate.deployer.deployment_failed.v1"
    assert end["data"]["hold_id"] == f"hold-{deployment_id}-1"


async def test_where_terraform_is_killed_too_its_owner_is_told_to_look(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    waits = 'provisioner "local-exec" { command = "echo begun; sleep 72" }'
    after = (
        f'resource "terraform_data" "after" {{\n input = terraform_data.running.id\n {waits}\n}}'
    )
    deployment_id = await deployer.deploy(running(tmp_path / "slow", "true", after), {})
    await deployer.until_log(deployment_id, "begun")
    [runner], [terraform] = deployer.runners(), terraforms_below(deployer.settings.work_dir)
    runner.suspend()
    terraform.kill()
    runner.kill()

    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = json.loads(await deployer.last_fact(deployment_id))
    assert (told["code"], told["owns_resources"]) == ("RUNNER_LOST", False)
    assert "may have made what no state has" in told["message"]
