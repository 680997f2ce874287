"""Values and names that look like commands, or know no measure: refused by name, or only values."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.catalog.v1 import Variable
from contracts.variables.values import ITEMS_MAX, STRING_LENGTH_MAX
from tests.integration.deployer.modules import module
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

NASTY = (
    "-rf /", "$(touch broken)", "`touch broken`", "; touch broken #", "'\"\\", "a\nb\r\n\tc",
    "${path.module}", "%{ if true }", "$PATH", "-var=x=y", "TF_VAR_text=x", "\x1b[31m", "ünï🎈",
)  # fmt: skip


def variable(name: str, type_: str) -> Variable:
    """Return a variable that a module needs."""
    return Variable(name=name, type=type_, description="", required=True)


async def refusal(
    deployer: HandledDeployer, folder: Path, values: Any, *variables: Variable
) -> dict[str, Any]:
    """Return the fact that a deployment with such values is refused by."""
    module_id = await deployer.publish_module(folder, variables=variables)
    deployment_id = await deployer.ask(module_id, values)
    await deployer.until_fact(deployment_id, "deployment_refused")
    assert await deployer.facts(deployment_id) == ["deployment_refused"]
    return dict(msgspec.json.decode(await deployer.last_fact(deployment_id)))


@pytest.mark.parametrize(
    ("type_", "value", "code"),
    [
        ("string", "x" * 1_048_576, "UNFIT_VALUE"),
        ("string", "x" * (STRING_LENGTH_MAX + 1), "UNFIT_VALUE"),
        ("list(string)", ["x"] * (ITEMS_MAX + 1), "UNFIT_VALUE"),
        ("map(string)", {"k" * 1_048_576: "v"}, "UNFIT_VALUE"),
        ("any", [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]], "UNFIT_VALUE"),
        ("string", 5, "WRONG_TYPE"),
        ("string", True, "WRONG_TYPE"),
        ("string", ["x"], "WRONG_TYPE"),
        ("number", "five", "WRONG_TYPE"),
        ("number", True, "WRONG_TYPE"),
        ("bool", "yes", "WRONG_TYPE"),
        ("bool", 1, "WRONG_TYPE"),
        ("list(string)", "x", "WRONG_TYPE"),
        ("list(string)", {"0": "x"}, "WRONG_TYPE"),
        ("set(number)", ["x"], "WRONG_TYPE"),
        ("map(string)", ["x"], "WRONG_TYPE"),
        ("map(number)", {"k": []}, "WRONG_TYPE"),
        ("tuple([string, number])", ["x"], "WRONG_TYPE"),
        ("object({size = number})", {}, "WRONG_TYPE"),
        ("object({size = number})", {"size": "big"}, "WRONG_TYPE"),
    ],
)
async def test_the_gate_refuses_what_no_variable_takes_and_says_which(
    deployer: HandledDeployer, tmp_path: Path, type_: str, value: Any, code: str
) -> None:
    folder = module(tmp_path / "module", 'variable "it" {}')
    told = await refusal(deployer, folder, {"it": value}, variable("it", type_))
    assert told["code"] == "INVALID_VARIABLES"
    [error] = told["errors"]
    assert error["code"] == code
    assert error["pointer"].startswith("/variables/it")
    assert len(error["pointer"]) + len(error["message"]) <= 1_000


@pytest.mark.parametrize(
    "name",
    [
        *NASTY,
        "",
        "-out=plan",
        "TF_VAR_it",
        "TF_CLI_ARGS",
        "a/b~c",
        "../it",
        "it ",
        "It",
        "x" * 9_999,
    ],
)
async def test_a_name_that_is_not_the_modules_is_refused(
    deployer: HandledDeployer, tmp_path: Path, name: str
) -> None:
    folder = module(tmp_path / "module", 'variable "it" {}')
    told = await refusal(deployer, folder, {"it": "x", name: "y"}, variable("it", "string"))
    assert [error["code"] for error in told["errors"]] == ["UNKNOWN_VARIABLE"]


async def test_what_looks_like_a_command_a_template_or_an_option_stays_a_value(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    program("terraform")
    main = """
        variable "texts" { type = list(string) }
        variable "long" { type = string }
        variable "LD_PRELOAD" { type = string }
        variable "TF_CLI_ARGS" { type = string }
        resource "terraform_data" "looking" {
          provisioner "local-exec" {
            command = "ls; echo preloaded: $LD_PRELOAD; echo arguments: $TF_CLI_ARGS"
          }
        }
        output "given" {
          value = [var.texts, length(var.long), var.LD_PRELOAD, var.TF_CLI_ARGS]
        }
        """
    deployment_id = await deployer.deploy(
        module(tmp_path / "module", main),
        {
            "texts": NASTY,
            "long": "x" * STRING_LENGTH_MAX,
            "LD_PRELOAD": "/tmp/evil.so",  # noqa: S108 - never opened
            "TF_CLI_ARGS": "-destroy",
        },
        variables=(
            variable("texts", "list(string)"),
            variable("long", "string"),
            variable("LD_PRELOAD", "string"),
            variable("TF_CLI_ARGS", "string"),
        ),
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    told = msgspec.json.decode(await deployer.last_fact(deployment_id))
    outputs = deployer.keys[deployment_id].decrypt_json(told["outputs"])
    given = [list(NASTY), STRING_LENGTH_MAX, "/tmp/evil.so", "-destroy"]  # noqa: S108 - as above
    assert outputs["given"]["value"] == given
    log = await deployer.log(deployment_id)
    assert "(local-exec): preloaded:\n" in log.replace(": \n", ":\n")
    assert "(local-exec): arguments:\n" in log.replace(": \n", ":\n")
    assert "(local-exec): broken" not in log
