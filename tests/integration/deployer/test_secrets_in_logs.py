"""What a real module prints of secrets, and what is shown of that."""

from pathlib import Path

import pytest

from contracts.catalog.v1 import Variable
from services.deployer.runner.log_file import HIDDEN
from tests.integration.deployer.changes import update
from tests.integration.deployer.modules import module
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

SECRET = "correct-horse/battery staple"
KEY = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEAx\nq83vASNFZ4mrze8BI0\n-----END KEY-----"
PRINTS = """
printf 'plain %s\\n' "$S"
printf '%s' "$S" | base64
printf 'user:%s' "$S" | base64
printf '%s' "$S" | head -c 7; sleep 0.7; printf '%s\\n' "$S" | tail -c +8
printf '%s' "$S" | head -c 2; sleep 0.7; printf '%s\\n' "$S" | tail -c +3
printf '\\033[31m%s\\033[0m\\n' "$S"
cat tollgate.auto.tfvars.json
printf '%s\\n' "$K"
head -c 4000 /dev/zero | tr '\\0' x; printf '%s\\n' "$S"
echo the end
"""


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


async def test_no_secret_is_in_the_log_however_a_module_prints_it(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    """A module that is not sensitive about it: Terraform itself hides nothing here."""
    main = """
    variable "secret" { type = string }
    variable "key" { type = string }
    resource "terraform_data" "it" {
      provisioner "local-exec" {
        command     = "bash ./prints.sh"
        environment = { S = var.secret, K = var.key }
      }
    }
    """
    folder = module(tmp_path / "prints", main)
    (folder / "prints.sh").write_text(PRINTS)
    declared = tuple(
        Variable(name=name, type="string", description="", required=True, sensitive=True)
        for name in ("secret", "key")
    )
    deployment_id = await deployer.deploy(
        folder, {"secret": SECRET, "key": KEY}, variables=declared
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    log = await deployer.log(deployment_id)
    assert "(local-exec): the end" in log
    assert log.count(HIDDEN) >= 12
    leaks = ("correct", "battery", "horse", "staple", "Y29ycmVjd", "b3JyZWN0", "MIIE", "q83v")
    assert [leak for leak in leaks if leak in log] == []


MADE_SENSITIVE = """
variable "word" { type = string }
variable "plain" { type = string }
resource "terraform_data" "it" {
  input            = "${var.word} ${var.plain} ${upper(var.plain)}"
  triggers_replace = [var.word]
  provisioner "local-exec" {
    when    = destroy
    command = "echo it was ${self.input}."
  }
  provisioner "local-exec" { command = "echo it is ${var.word} ${var.plain}." }
}
output "loud" {
  value     = upper(var.plain)
  sensitive = %s
}
"""


async def test_what_an_update_makes_sensitive_is_hidden_as_it_was_and_as_it_is(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    """`word` was sensitive before; `plain` and the output were not, and are from now on."""
    word, plain = (
        Variable(name=name, type="string", description="", required=True, sensitive=name == "word")
        for name in ("word", "plain")
    )
    open_module = module(tmp_path / "open", MADE_SENSITIVE % "false")
    closed_module = module(tmp_path / "closed", MADE_SENSITIVE % "true")
    module_id = await deployer.publish_module(open_module, variables=(word, plain))
    deployment_id = await deployer.ask(module_id, {"word": "alpha-bravo", "plain": "charlie-delta"})
    await deployer.until_fact(deployment_id, "hold_requested")
    await deployer.grant_hold(deployment_id)
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert f"it is {HIDDEN} charlie-delta." in await deployer.log(deployment_id)

    variables = (word, plain.model_copy(update={"sensitive": True}))
    await deployer.publish_module(
        closed_module, variables=variables, module_id=module_id, module_version=2
    )
    values = {"word": "echo-foxtrot", "plain": "golf-hotel"}
    await update(deployer, deployment_id, module_id, values, module_version=2)
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    updated = await deployer.log(deployment_id, number=2)
    assert f"it was {HIDDEN} {HIDDEN} {HIDDEN}." in updated
    assert f"it is {HIDDEN} {HIDDEN}." in updated
    secrets = ("alpha", "charlie", "CHARLIE", "echo-f", "golf", "GOLF")
    assert [secret for secret in secrets if secret in updated] == []
