"""What we decide without Terraform, Terraform itself decides the same."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.variables.conditions import holds
from contracts.variables.types import format_value
from contracts.variables.values import from_json
from tests.support.tools import program

# A condition on `var.x`, and values of it.
CONDITIONS: list[tuple[str, list[Any]]] = [
    ('contains(["eu", "us"], var.x)', ["eu", "asia", ""]),
    ("length(var.x) > 2 && length(var.x) <= 5", ["", "abc", "abcdef", [1, 2, 3], {"a": 1}]),
    ('can(regex("^[a-z]([-a-z0-9]*[a-z0-9])?$", var.x))', ["web-1", "Web", "a-", "a\n", ""]),
    ('can(regex("^(?P<name>[a-z]+)=\\\\d{2,3}$", var.x))', ["a=12", "a=1", "=12"]),
    ('length(regexall("[aeiou]", var.x)) == 2', ["audio", "tree", "sky"]),
    ("var.x >= 1 && var.x <= 10 && floor(var.x) == var.x", [0, 1, 7.5, 10, 10.1]),
    ("var.x % 2 == 0", [3, 4, -3]),
    ("-var.x * 3 - 1 < 0.5 / 2", [0, 1, -0.5]),
    ("ceil(var.x) - floor(var.x) == 1", [1.5, 2, -0.1]),
    ("max(var.x, 3) == 3 && min(var.x, 1) == 1", [2, 5, 0]),
    ("abs(var.x) == 3", [3, -3, 2]),
    ("!(var.x == 3 || var.x == 4)", [3, 5]),
    ("alltrue([for port in var.x : port > 0 && port < 65536])", [[], [80], [0, 80]]),
    ('anytrue([for k, v in var.x : k == "a" && v == 1])', [{"a": 1}, {"a": 2}, {}]),
    ('length([for v in var.x : v if v != "a"]) == 1', [["a", "b"], ["a"]]),
    ('keys({ for v in var.x : v => true })[0] == "a"', [["b", "a"], ["c"]]),
    ("can(cidrhost(var.x, 0))", ["10.0.0.0/8", "10.0.0.0", "10.0.0.0/33", "2001:db8::/32"]),
    ("can(cidrnetmask(var.x))", ["10.0.0.0/8", "2001:db8::/32"]),
    ("can(cidrhost(var.x, 256))", ["10.0.0.0/24", "10.0.0.0/23"]),
    ("can(tonumber(var.x))", ["12", "12a", "1e3", ""]),
    ("can(tobool(var.x))", ["true", "yes", "1"]),
    ("can(var.x.size)", [{"size": 1}, {"name": "a"}]),
    ("try(var.x.size, 5) == 5", [{"size": 1}, {"name": "a"}]),
    ("can(var.x[1])", [[1, 2], [1]]),
    (
        'startswith(var.x, "gs://") ? length(var.x) > 5 : !endswith(var.x, "/")',
        ["gs://", "a/", "a"],
    ),
    ('"${var.x}-1" == "a-1"', ["a", "b"]),
    ('substr(var.x, 0, 1) == "a" && lower(var.x) == var.x', ["abc", "aBc", "b"]),
    ('strcontains(upper(var.x), "A")', ["a", "b"]),
    ('join(",", split("-", var.x)) == "a,b"', ["a-b", "a"]),
    ("length(distinct(var.x)) == length(var.x)", [["a", "b"], ["a", "a"]]),
    ("length(toset(var.x)) == 2", [["a", "b", "a"], ["a"]]),
    ('lookup(var.x, "a", "none") == "none"', [{"a": "b"}, {"b": "c"}]),
    ("values(var.x)[0] == 1", [{"b": 2, "a": 1}, {"a": 2}]),
    ('var.x == "5"', ["5", "6"]),
    ("var.x == null", [None, "a"]),
    ("length(concat(var.x, [1])) == 2", [[1], []]),
    ("trimspace(var.x) == var.x", ["a", " a"]),
    ("length(var.x) == 1", ["é", "ab"]),
]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool | None]:
    """Return what Terraform makes of each condition with the value put in; None: an error."""
    terraform = program("terraform")
    folder = tmp_path_factory.mktemp("terraform")
    outputs = {}
    for number, (condition, values) in enumerate(CONDITIONS):
        for place in range(len(values)):
            written = condition.replace("var.x", f"local.v_{number}_{place}")
            outputs[f"{number}_{place}"] = written
    (folder / "main.tf").write_text(
        "locals {\n"
        + "".join(
            f"  v_{number}_{place} = {format_value(from_json(value))}\n"
            for number, (_, values) in enumerate(CONDITIONS)
            for place, value in enumerate(values)
        )
        + "}\n"
        + "".join(
            f'output "o_{name}" {{\n  value = try(({text}) ? "yes" : "no", "error")\n}}\n'
            for name, text in outputs.items()
        )
    )
    environment = {
        "PATH": os.environ["PATH"],
        "TF_CLI_CONFIG_FILE": "/dev/null",
        "CHECKPOINT_DISABLE": "1",
    }
    for words in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false")):
        done = subprocess.run(
            (terraform, *words), cwd=folder, env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
    told = subprocess.run(
        (terraform, "output", "-json"), cwd=folder, env=environment, capture_output=True, check=True
    )
    meaning = {"yes": True, "no": False, "error": None}
    return {
        name.removeprefix("o_"): meaning[each["value"]]
        for name, each in json.loads(told.stdout).items()
    }


def test_a_condition_is_never_decided_otherwise_than_terraform_does(
    verdicts: dict[str, bool | None],
) -> None:
    decided = 0
    for number, (condition, values) in enumerate(CONDITIONS):
        for place, value in enumerate(values):
            ours = holds(condition, "x", from_json(value))
            theirs = verdicts[f"{number}_{place}"]
            assert ours is None or ours == theirs, (condition, value, ours, theirs)
            decided += ours is not None
    assert decided == len(verdicts)


def test_a_constant_is_written_as_terraform_reads_it(tmp_path: Path) -> None:
    terraform = program("terraform")
    value = from_json(
        {
            "text": 'a "b" ${c} %{d}\n\t\\',
            "number": 0.1,
            "list": [None, True, {"a b": -2}],
            "é": "ü",
        }
    )
    (tmp_path / "main.tf").write_text(f'output "o" {{\n  value = {format_value(value)}\n}}\n')
    environment = {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": "/dev/null"}
    subprocess.run(
        (terraform, "apply", "-auto-approve", "-input=false"),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
    )
    told = subprocess.run(
        (terraform, "output", "-json"),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert from_json(json.loads(told.stdout)["o"]["value"]) == value
    assert value["number"] == Decimal("0.1")
