"""A module that plants a link where Terraform leaves its state: no other file is taken for it."""

import json
from pathlib import Path

import pytest

from tests.integration.deployer.modules import SIGNS, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

MADE = {"mode": "managed", "type": "terraform_data", "name": "made", "instances": [{}]}
OF_ANOTHER = {"version": 4, "serial": 99, "lineage": "another's", "resources": [MADE] * 77}
PLANTED = {
    "a link as the state": 'ln -s "$1/errored.tfstate" errored.tfstate',
    "a link as its folder": 'mv "$PWD" "$PWD.away" && ln -s "$1" "${PWD}"',
}


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
async def test_when_its_runner_is_killed_nothing_of_another_folder_is_taken(
    plant: str, deployer: HandledDeployer, tmp_path: Path
) -> None:
    another = tmp_path / SIGNS
    (another / "errored.tfstate").write_text(json.dumps(OF_ANOTHER))
    folder = running(tmp_path / "planter", f"sh ./plant.sh {another}")
    (folder / "plant.sh").write_text(f"{plant} && echo it is planted\nsleep 73\n")
    deployment_id = await deployer.deploy(folder, {})
    await deployer.until_log(deployment_id, "(local-exec): it is planted")

    [runner] = deployer.runners()
    runner.kill()

    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = json.loads(await deployer.last_fact(deployment_id))
    assert (told["code"], told["platform_fault"]) == ("RUNNER_LOST", True)
    rows = await deployer.pool.fetch("select resources from states")
    assert [row["resources"] for row in rows if row["resources"] > 1] == []
    assert json.loads((another / "errored.tfstate").read_text()) == OF_ANOTHER
