"""The kernel itself ends what takes more memory than there is: a build ends, and says so."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.deployer.runner.usage import MIB
from tests.integration.deployer.modules import module
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import lacking, program

CGROUPS = Path("/sys/fs/cgroup")
MEMORY_MIB = 192
MORE_THAN_THERE_IS = "head -c 1000000000 /dev/zero | tail"


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """Give a control group whose processes have little memory together, and no swap."""
    parent, limit = CGROUPS, "memory.max"
    if (CGROUPS / "memory").is_dir():
        parent, limit = CGROUPS / "memory", "memory.limit_in_bytes"
    if os.geteuid() != 0 or not os.access(parent, os.W_OK):
        pytest.skip("only root of a machine can bound what the kernel gives")
    group = Path(tempfile.mkdtemp(prefix="tollgate-memory-", dir=parent))
    if not (group / limit).exists():
        group.rmdir()
        lacking("cgroups", "control groups do not bound memory here")
    (group / limit).write_text(str(MEMORY_MIB * MIB))
    yield group
    # A build that went on after a failed test may be left: it is nobody's any more.
    for process_id in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            (parent / "cgroup.procs").write_text(process_id)
    group.rmdir()


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Let builds have more than the kernel will give them, so that only the kernel ends them."""
    return {"build_memory_mib_max": 16_384}


@dataclass(frozen=True)
class Killed:
    """Who takes the memory, and what is told of the build then."""

    taken_by: str
    code: str
    platform_fault: bool
    owns_resources: bool
    words: str


A_COMMAND = Killed(
    "a command", "PROVISIONER_FAILED", False, True, "by the kernel, which ends what takes more"
)
TERRAFORM = Killed("terraform", "TERRAFORM_KILLED", True, False, "this machine's memory ran out")


@pytest.mark.parametrize("killed", [A_COMMAND, TERRAFORM], ids=lambda killed: killed.taken_by)
async def test_a_build_that_the_kernel_kills_ends_once_and_the_next_one_works(
    deployer: HandledDeployer, tmp_path: Path, small_memory: Path, killed: Killed
) -> None:
    program("terraform")
    sign = Path(deployer.settings.build_readable_paths[0]) / "goes-on"
    main = _takes(killed.taken_by, sign)
    deployment_id = await deployer.deploy(module(tmp_path / "much", main), {})
    await deployer.until_log(deployment_id, "begun")
    [runner] = deployer.runners()
    # The runner is not the largest of a build's processes, which the kernel would take first.
    for process in runner.children(recursive=True):
        with suppress(ProcessLookupError):  # what a command waits with is there for a moment
            (small_memory / "cgroup.procs").write_text(str(process.pid))
    sign.touch()

    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = json.loads(await deployer.last_fact(deployment_id))
    assert (told["code"], told["platform_fault"]) == (killed.code, killed.platform_fault)
    assert killed.words in told["message"]
    assert told["owns_resources"] is killed.owns_resources
    # What no state has is named instead, to its owner and in the log.
    unrecorded = re.compile(r"These may exist.*\nterraform_data\.made \(id=[-0-9a-f]{36}\)")
    for text in (told["message"], await deployer.log(deployment_id)):
        assert (unrecorded.search(text) is None) is killed.owns_resources
    assert await deployer.pool.fetchval("select count(*) from state_locks") == 0
    await deployer.until_no_runner()
    assert _killed_in(small_memory) >= 1

    quick = module(tmp_path / "quick", 'resource "terraform_data" "made" { input = 1 }')
    assert await deployer.until_ended(await deployer.deploy(quick, {})) == "build_succeeded"


def _killed_in(group: Path) -> int:
    """Return how many of a group's processes the kernel has killed for want of memory."""
    told = [group / name for name in ("memory.events", "memory.oom_control")]
    [text] = [path.read_text() for path in told if path.exists()]
    return int(dict(line.split() for line in text.splitlines())["oom_kill"])


def _takes(taken_by: str, sign: Path) -> str:
    """Return a module that waits for a sign, and then takes more memory than there is."""
    then = MORE_THAN_THERE_IS if taken_by == "a command" else "true"
    main = f"""
    resource "terraform_data" "made" {{
      provisioner "local-exec" {{
        command = "echo begun; until test -e {sign}; do sleep 0.05; done"
      }}
    }}
    resource "terraform_data" "command" {{
      depends_on = [terraform_data.made]
      provisioner "local-exec" {{ command = "{then}" }}
    }}
    """
    if taken_by == "terraform":
        # An id is known only once it is made, so that this is for the apply to work out.
        many = "range(28 * length(terraform_data.made.id))"
        main += f'resource "terraform_data" "much" {{ input = length(setproduct({many}, {many})) }}'
    return main
