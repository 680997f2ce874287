"""Whatever is killed, whenever, in whatever it did: the build ends, once, and tells the truth.

Killed with SIGKILL are the deployer, Terraform, or both, as a build begins, initialises, plans,
applies, or hands over its state; builds that create, update and destroy.
"""

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.catalog.v1 import Variable
from tests.integration.deployer.changes import destroy, update
from tests.integration.deployer.modules import SIGNS, module
from tests.integration.deployer.processes import DeployerProcess, stop
from tests.integration.deployer.test_killed_runner import terraforms_below
from tests.support.tools import program

MODULE = """
resource "terraform_data" "kept" {{ input = var.word }}
resource "terraform_data" "gated" {{
  input            = "{signs}"
  triggers_replace = [var.word]
  depends_on       = [terraform_data.kept]
  provisioner "local-exec" {{
    command = "echo waits; until [ -e {signs}/go ]; do sleep 0.1; done; echo goes on"
  }}
  provisioner "local-exec" {{
    when    = destroy
    command = "echo waits; until [ -e ${{self.input}}/go ]; do sleep 0.1; done; echo goes on"
  }}
}}
variable "word" {{ type = string }}
"""
WORD = Variable(name="word", type="string", description="", required=True)
SAID = {"initialising": "terraform init", "planning": "terraform {}", "applying": "): waits"}
"""What a build's log says when it has come so far; to apply and to destroy is to plan first."""
ENDS = ("succeeded", "failed", "destroyed")

EACH_MOMENT = ("initialising", "planning", "applying", "handing over")
CASES = [
    *(("both", moment, action) for action in ("create", "update", "destroy")
      for moment in EACH_MOMENT),
    *(("terraform", moment, "create") for moment in EACH_MOMENT),
    *(("terraform", moment, "update") for moment in EACH_MOMENT[1:]),
    *(("terraform", moment, "destroy") for moment in EACH_MOMENT if moment != "planning"),
    ("both", "beginning", "create"),
    ("deployer", "beginning", "create"),
    ("deployer", "applying", "create"),
    ("deployer", "initialising", "update"),
    ("deployer", "planning", "destroy"),
]  # fmt: skip
"""All that dies at each moment of each kind of build; of one that dies alone, each pair."""


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


@dataclass
class Crash:
    """A deployment whose builds wait for a sign, and what is killed meanwhile."""

    deployer: DeployerProcess
    signs: Path
    module_id: str = ""
    deployment_id: str = ""

    async def begins(self, action: str) -> None:
        """Have a build of this kind begin, which waits; what comes before it does not."""
        await self.creates()
        if action == "create":
            return
        self.goes_on()
        await self.ends()
        (self.signs / "go").unlink()
        if action == "update":
            await update(self.deployer, self.deployment_id, self.module_id, {"word": "two"})
        else:
            await destroy(self.deployer, self.deployment_id)

    async def creates(self) -> None:
        folder = module(self.signs.parent / "gated", MODULE.format(signs=self.signs))
        self.module_id = await self.deployer.publish_module(folder, variables=(WORD,))
        self.deployment_id = await self.deployer.ask(self.module_id, {"word": "one"})
        await self.deployer.until_fact(self.deployment_id, "hold_requested")
        await self.deployer.grant_hold(self.deployment_id)

    def goes_on(self) -> None:
        (self.signs / "go").touch()

    async def until(self, moment: str, action: str) -> None:
        """Return when the build has come so far."""
        if moment == "beginning":
            await self.deployer.until_fact(self.deployment_id, "build_started")
            return
        said = SAID["applying" if moment == "handing over" else moment]
        said = said.format("destroy" if action == "destroy" else "apply")
        number = 1 if action == "create" else 2

        async def printed() -> bool:
            return said in await self.deployer.log(self.deployment_id, number)

        await self.deployer.until(f"{action} says {said!r}", printed)

    async def strikes(
        self, moment: str, victim: str, action: str, process: subprocess.Popen[bytes]
    ) -> list[psutil.Process]:
        """Kill the victim; return what of Terraform was killed.

        Nobody is there to take the state where Terraform is to be handing it over: then the
        deployer is killed first in any case.
        """
        if moment == "handing over":
            await stop(process, signal.SIGKILL)
            self.goes_on()
            [log] = self.deployer.settings.work_dir.glob("*/build.log")

            # What is replaced waits as it goes, and as it comes.
            gates = 2 if action == "update" else 1

            async def done() -> bool:
                return log.read_text().count("): goes on") == gates

            await self.deployer.until("it has only the state to hand over", done)
        killed = []
        if victim != "deployer":
            killed = terraforms_below(self.deployer.settings.work_dir)
            for each in killed:
                each.kill()
        if victim != "terraform" and process.poll() is None:
            await stop(process, signal.SIGKILL)
        return killed

    async def ends(self) -> dict[str, Any]:
        """Return the fact that the build ended with, once its runner has nothing left to report."""
        await self.deployer.until_ended(self.deployment_id)
        await self.deployer.until_no_runner()
        fact: dict[str, Any] = json.loads(await self.deployer.last_fact(self.deployment_id))
        return fact

    async def ended_builds(self) -> list[tuple[str, str | None]]:
        """Return (build, hold) of each end that was published."""
        rows = await self.deployer.pool.fetch("select body from outbox order by position")
        events = [json.loads(row["body"]) for row in rows]
        return [
            (event["data"]["build_id"], event["data"].get("hold_id"))
            for event in events
            if event["type"].split(".")[2].removeprefix("deployment_") in ENDS
        ]


@pytest.mark.parametrize(("victim", "moment", "action"), CASES)
async def test_the_build_ends_once_tells_what_is_there_and_the_next_one_works(
    deployer_process: DeployerProcess, tmp_path: Path, victim: str, moment: str, action: str
) -> None:
    deployer = deployer_process
    crash = Crash(deployer, tmp_path / SIGNS)
    async with deployer.process() as process:
        await crash.begins(action)
        build = f"build-{crash.deployment_id}-{1 if action == 'create' else 2}"
        await crash.until(moment, action)
        killed = await crash.strikes(moment, victim, action, process)
        crash.goes_on()
        survived = process.poll() is None
        told = await crash.ends() if survived else {}
    if not survived:
        async with deployer.process():
            told = await crash.ends()
    assert told["build_id"] == build
    if not killed:
        assert told["fact"] == "build_succeeded"
    await it_is_consistent(crash, told)

    async with deployer.process():
        if action != "destroy" or told["fact"] != "build_succeeded":
            await destroy(deployer, crash.deployment_id)
            await deployer.until("the destroy is asked for", lambda: asked(crash, build))
            told = await crash.ends()
        assert (told["action"], told["fact"]) == ("DESTROY", "build_succeeded"), told
    await it_is_consistent(crash, told)


async def asked(crash: Crash, build: str) -> bool:
    """Return whether another build than this one was asked for."""
    last = json.loads(await crash.deployer.last_fact(crash.deployment_id))
    return bool(last["build_id"] != build)


async def it_is_consistent(crash: Crash, told: dict[str, Any]) -> None:
    """No lock is left; what is told of resources is what the state says; each build ended once."""
    pool = crash.deployer.pool
    assert await pool.fetchval("select count(*) from state_locks") == 0
    resources = await pool.fetchval(
        "select resources from states where not evidence order by number desc limit 1"
    )
    assert told["owns_resources"] == bool(resources)
    ends = await crash.ended_builds()
    assert len({build for build, _ in ends}) == len(ends)
    holds = [hold for _, hold in ends if hold is not None]
    assert holds == [f"hold-{crash.deployment_id}-1"]
