"""The example modules do what they say, in Terraform itself."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from services.catalog.definition import Definition
from tests.support.tools import program
from tests.unit.catalog.modules import EXAMPLES as MODULES
from tests.unit.catalog.modules import definition, files_in

NAMES: Final = sorted(path.name for path in MODULES.iterdir() if path.is_dir())
SECONDS_MAX: Final = 60
NEEDED: Final[dict[str, dict[str, Any]]] = {
    "kubernetes-cluster": {
        "seconds_per_node": 0,
        "pools": [{"name": "gpu", "labels": {"use": "training"}}, {"name": "web"}],
    },
    "message-queue": {"applications": ["shop"]},
    "postgres-database": {"administrator_password": "correct horse battery"},
    "static-website": {"domain": "www.example.com", "redirects": {"/old": "/new"}},
    "uptime-alerts": {"addresses": ["https://example.com/"]},
    "vpn-gateway": {"peer_answers": True},
}


class Workspace:
    """A module in a folder of its own, with Terraform in it."""

    def __init__(self, name: str, folder: Path, **variables: object) -> None:
        self._program = program("terraform")
        self.folder = folder / name
        shutil.copytree(MODULES / name, self.folder)
        values = NEEDED.get(name, {}) | variables
        (self.folder / "values.auto.tfvars.json").write_text(json.dumps(values))

    def tries(self, *words: str) -> subprocess.CompletedProcess[str]:
        clean = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
        }
        return subprocess.run(
            (self._program, *words, "-no-color"),
            cwd=self.folder,
            env=clean,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def does(self, *words: str) -> str:
        done = self.tries(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def outputs(self) -> dict[str, dict[str, Any]]:
        told: dict[str, dict[str, Any]] = json.loads(self.does("output", "-json"))
        return told


def test_there_are_at_least_eight() -> None:
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_applied_and_destroyed_without_any_provider(name: str, tmp_path: Path) -> None:
    work = Workspace(name, tmp_path)
    work.does("init", "-input=false")
    assert not (work.folder / ".terraform" / "providers").exists()
    work.does("validate")
    work.does("apply", "-input=false", "-auto-approve")
    assert set(work.outputs()) == {output.name for output in read(name).outputs}
    work.does("destroy", "-input=false", "-auto-approve")
    assert json.loads((work.folder / "terraform.tfstate").read_text())["resources"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_written_as_terraform_formats_it(name: str) -> None:
    told = subprocess.run(
        (program("terraform"), "fmt", "-check", "-diff", MODULES / name),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert told.stdout == ""
    assert told.returncode == 0


def test_a_gateway_whose_peer_is_silent_fails_and_leaves_what_was_made(tmp_path: Path) -> None:
    work = Workspace("vpn-gateway", tmp_path, peer_answers=False)
    work.does("init", "-input=false")
    failed = work.tries("apply", "-input=false", "-auto-approve")
    assert failed.returncode == 1
    assert "no answer from 203.0.113.7" in failed.stdout + failed.stderr
    assert "terraform_data.gateway" in work.does("state", "list")


def test_what_a_user_enters_is_never_run(tmp_path: Path) -> None:
    work = Workspace("vpn-gateway", tmp_path, peer_address="$(touch entered)")
    work.does("init", "-input=false")
    failed = work.tries("apply", "-input=false", "-auto-approve")
    assert "The other end is an IPv4 or IPv6 address" in failed.stderr
    assert not (work.folder / "entered").exists()


def test_no_command_of_an_example_is_put_together_from_values() -> None:
    command = re.compile(r"\bcommand\s*=.*\$\{")
    assert [n for n in NAMES if command.search((MODULES / n / "main.tf").read_text())] == []


def test_a_cluster_tells_of_each_node_in_its_log(tmp_path: Path) -> None:
    work = Workspace("kubernetes-cluster", tmp_path, nodes=3)
    work.does("init", "-input=false")
    log = work.does("apply", "-input=false", "-auto-approve")
    assert sorted(re.findall(r"node (\d) is ready$", log, re.MULTILINE)) == ["0", "1", "2"]


def test_together_they_show_every_kind_of_variable() -> None:
    definitions = [read(name) for name in NAMES]
    variables = [variable for each in definitions for variable in each.variables]
    kinds = {re.split(r"[(]", variable.type)[0] for variable in variables}
    assert kinds >= {"string", "number", "bool", "list", "set", "map", "object", "tuple"}
    assert any("optional(" in variable.type for variable in variables)
    assert any(variable.options for variable in variables)
    assert any(variable.validations for variable in variables)
    assert any(variable.sensitive for variable in variables)
    assert any(output.sensitive for each in definitions for output in each.outputs)
    assert {each.credit_cost for each in definitions} >= {0, 50}
    assert any(each.require_credit_purchases for each in definitions)


def test_the_table_of_examples_is_what_the_modules_say() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (free|\d+)(, premium)? \|", readme(), re.MULTILINE)
    told = {name: (0 if cost == "free" else int(cost), bool(mark)) for name, cost, mark in rows}
    assert told == {
        name: (read(name).credit_cost, read(name).require_credit_purchases) for name in NAMES
    }


def readme() -> str:
    return (MODULES / "README.md").read_text()


def read(name: str) -> Definition:
    return definition(files_in(MODULES / name), name)
