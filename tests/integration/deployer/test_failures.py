"""What a user is told of a build that failed: real failures of real Terraform."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.catalog.v1 import Variable
from tests.integration.deployer.modules import module
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


@dataclass(frozen=True)
class Case:
    """A module, the values that it is given, and what is to be told."""

    main: str
    code: str
    begins: str
    tells: tuple[str, ...] = ()
    values: tuple[tuple[str, Any], ...] = ()
    platform_fault: bool = False


def command(text: str) -> str:
    """Return a module that runs a command."""
    return (
        'resource "terraform_data" "it" {\n'
        f'  provisioner "local-exec" {{\n    command = {json.dumps(text)}\n  }}\n}}\n'
    )


CASES = {
    "a value of the wrong kind": Case(
        'variable "size" {\n  type = number\n}\n',
        "VARIABLE_INVALID",
        "The variable 'size' has a value that the module does not take: a number is required.",
        values=(("size", "huge"),),
    ),
    "a value that a validation refuses": Case(
        'variable "size" {\n  type = number\n  validation {\n    condition = var.size < 4\n'
        '    error_message = "At most three are allowed."\n  }\n}\n',
        "VARIABLE_INVALID",
        "The variable 'size' has a value that the module does not take: At most three are allowed.",
        values=(("size", 9),),
    ),
    "a value that is missing": Case(
        'variable "size" {\n  type = number\n}\n',
        "VARIABLE_INVALID",
        "The variable 'size' needs a value, and has none.",
    ),
    "a condition that a value breaks": Case(
        'variable "size" {\n  type = number\n}\nresource "terraform_data" "it" {\n  lifecycle {\n'
        '    precondition {\n      condition = var.size < 4\n      error_message = "Too many."\n'
        "    }\n  }\n}\n",
        "APPLY_FAILED",
        "This concerns the variable 'size'.\n",
        ("Resource precondition failed", "main.tf, line", "Too many."),
        values=(("size", 9),),
    ),
    "a file that is no Terraform": Case(
        'variable "size" {\n  type = \n',
        "INIT_FAILED",
        "Invalid expression\nin main.tf, line 2",
    ),
    "a command that fails": Case(
        command("echo it went wrong >&2; exit 7"),
        "PROVISIONER_FAILED",
        "A command of the module's own failed in terraform_data.it.",
        ("exit status 7", "it went wrong"),
    ),
    "a command that is killed": Case(
        command("kill -9 $$"),
        "PROVISIONER_FAILED",
        "A command of the module's own failed in terraform_data.it.\nIt was killed: by the module",
        ("signal: killed",),
    ),
    "a command that writes too large a file": Case(
        command("truncate -s 3G big"),
        "LIMIT_EXCEEDED",
        "A command of the module's own failed in terraform_data.it.\nIt wrote a file that is",
        ("A file may have 2048 MiB",),
    ),
    "a command that prints what an error looks like": Case(
        command("echo Error: not one of ours; exit 3"),
        "PROVISIONER_FAILED",
        "A command of the module's own failed",
        ("exit status 3",),
    ),
    "a condition that says what the platform would": Case(
        'variable "size" {\n  type = number\n}\noutput "it" {\n  value = 1\n  precondition {\n'
        "    condition = var.size < 4\n"
        '    error_message = "Error acquiring the state lock: no space left on device."\n  }\n}\n',
        "APPLY_FAILED",
        "This concerns the variable 'size'.\nModule output value precondition failed\nin main.tf",
        values=(("size", 9),),
    ),
    "a registry that is not there": Case(
        'terraform {\n  required_providers {\n    it = { source = "registry.invalid/acme/it" }\n'
        "  }\n}\n",
        "REGISTRY_UNREACHABLE",
        "A registry of providers or modules could not be reached.",
        ("registry.invalid/acme/it",),
    ),
    "a registry of ours or a neighbour's": Case(
        'terraform {\n  required_providers {\n    it = { source = "localhost:1/acme/it" }\n'
        "  }\n}\n",
        "REGISTRY_UNREACHABLE",
        "A registry of providers or modules could not be reached.",
        ("localhost:1/acme/it",),
    ),
    "a module's own state that cannot be locked": Case(
        'data "terraform_remote_state" "it" {\n  backend = "local"\n'
        '  config = { path = "none.tfstate" }\n}\n',
        "APPLY_FAILED",
        "Unable to find remote state\nin main.tf, line 1",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_cause_is_told_first_with_what_it_concerns(
    case: Case, deployer: HandledDeployer, tmp_path: Path
) -> None:
    declared = tuple(
        Variable(name=name, type="any", description="", required=True) for name, _ in case.values
    )
    folder = module(tmp_path / "module", case.main)
    told = await failure(deployer, folder, dict(case.values), variables=declared)
    assert (told["code"], told["platform_fault"]) == (case.code, case.platform_fault)
    assert told["message"].startswith(case.begins)
    assert [part for part in case.tells if part not in told["message"]] == []


async def test_of_many_errors_one_is_told_and_the_others_are_counted(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    main = command("exit 1") + command("exit 1").replace('"it"', '"other"')
    told = await failure(deployer, module(tmp_path / "module", main))
    assert told["message"].endswith("1 more error is in the log.")


class TestBounds:
    """A build that uses too much ends, says of what, and keeps what it had made."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"build_memory_mib_max": 256, "build_disk_mib_max": 64}

    @pytest.mark.parametrize(
        ("greedy", "code", "begins"),
        [
            (
                "python3 -c 'import time; x = bytearray(400 << 20); time.sleep(60)'",
                "MEMORY_EXCEEDED",
                "the build used more memory than 256 MiB",
            ),
            (
                "for i in 1 2 3 4; do head -c 30000000 /dev/zero > big$i; done; sleep 60",
                "DISK_EXCEEDED",
                "the build wrote more to disk than 64 MiB",
            ),
            (
                "exec 7> gone; rm gone; head -c 90000000 /dev/zero >&7; sleep 60",
                "DISK_EXCEEDED",
                "the build wrote more to disk than 64 MiB",
            ),
        ],
        ids=["memory", "disk", "a file without a name"],
    )
    async def test_it_ends_in_good_order(
        self, greedy: str, code: str, begins: str, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        main = 'resource "terraform_data" "made" {\n  input = 1\n}\n' + command(greedy).replace(
            "  provisioner", "  depends_on = [terraform_data.made]\n  provisioner"
        )
        told = await failure(deployer, module(tmp_path / "module", main))
        assert (told["code"], told["platform_fault"]) == (code, False)
        assert told["message"].startswith(begins)
        assert told["owns_resources"] is True
        await deployer.until_no_runner()


async def failure(
    deployer: HandledDeployer, folder: Path, values: Any = None, **more: Any
) -> dict[str, Any]:
    """Deploy a module that fails, and return what was recorded of it."""
    deployment_id = await deployer.deploy(folder, values or {}, **more)
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told: dict[str, Any] = json.loads(await deployer.last_fact(deployment_id))
    return told
