"""What we take for valid, Terraform does, and what we refuse, it refuses."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.tools import program
from tests.unit.catalog import json_corpus
from tests.unit.catalog.hcl_corpus import INVALID, VALID
from tests.unit.catalog.modules import definition, files


def terraform(*arguments: str, folder: Path, text: str = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        (program("terraform"), *arguments),
        input=text.encode(),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": "/dev/null"},
        capture_output=True,
        timeout=30,
        check=False,
    )


def terraform_reads(text: str, folder: Path) -> bool:
    return terraform("fmt", "-", folder=folder, text=text).returncode == 0


def terraform_takes(module: Mapping[str, str], folder: Path) -> bool:
    for name, text in module.items():
        (folder / name).write_text(text)
    return terraform("init", "-input=false", folder=folder).returncode == 0


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_terraform_reads_what_we_read(text: str, tmp_path: Path) -> None:
    assert terraform_reads(text, tmp_path)


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_terraform_refuses_what_we_refuse(text: str, tmp_path: Path) -> None:
    assert not terraform_reads(text, tmp_path)


@pytest.mark.parametrize("text", json_corpus.VALID.values(), ids=json_corpus.VALID)
def test_terraform_takes_the_json_that_we_take(text: str, tmp_path: Path) -> None:
    assert terraform_takes({"a.tf.json": text}, tmp_path)


@pytest.mark.parametrize("case", json_corpus.INVALID.values(), ids=json_corpus.INVALID)
def test_terraform_refuses_the_json_that_we_refuse(
    case: tuple[str, int, str], tmp_path: Path
) -> None:
    assert not terraform_takes({"a.tf.json": case[0]}, tmp_path)


def test_terraform_overrides_what_we_override(tmp_path: Path) -> None:
    module = {
        "main.tf": 'variable "a" { type = number }\noutput "a" { value = var.a }\n',
        "b_override.tf": 'variable "a" {\n  default = "2"\n}\n',
        "c_override.tf.json": '{"variable": {"a": {"default": "3"}}}',
        "d.tf.json": json_corpus.VALID["words as keys"].replace('"a"', '"d"'),
        "e.tf.json": json_corpus.VALID["texts are literal"].replace('"a"', '"e"'),
        "outputs.tf": 'output "d" { value = var.d }\noutput "e" { value = var.e }\n',
    }
    assert terraform_takes(module, tmp_path)
    done = terraform("apply", "-auto-approve", "-input=false", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(terraform("output", "-json", folder=tmp_path).stdout)
    ours = definition(files() | {name: text.encode() for name, text in module.items()})
    assert {name: each["value"] for name, each in told.items()} == {
        variable.name: variable.default for variable in ours.variables
    }


@pytest.mark.parametrize(
    "module",
    [
        {"override.tf": 'variable "b" {}\n'},
        {"x_override.tf": 'variable "a" {\n  validation {\n    condition = true\n  }\n}\n'},
        {"b.tf": 'variable "count" {}\n'},
        {"b.tf": 'output "o" {\n  value = 1\n  vlaue = 1\n}\n'},
    ],
)
def test_terraform_refuses_the_directory_that_we_refuse(
    module: Mapping[str, str], tmp_path: Path
) -> None:
    assert not terraform_takes({"a.tf": 'variable "a" {}\n', **module}, tmp_path)
