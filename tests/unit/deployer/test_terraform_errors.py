"""Which of Terraform's errors is told, in which words, and whose fault it is."""

from typing import Any

import pytest

from services.deployer.terraform_errors import Told, explain, told_by

LOCKED = Told(
    "Error acquiring the state lock", "Error message: HTTP remote state already locked: ID=1"
)
NOT_SAVED = Told("Failed to save state", "Error saving state: HTTP error: 500")
CANCELLED = Told("operation canceled")
BROKEN = Told("No quota", "Ask for more.", "main.tf, line 3", "aws_vpc.main")
REMOTE = "could not connect to registry.terraform.io: dial tcp: i/o timeout"


@pytest.mark.parametrize(
    ("step", "error", "code", "platform_fault"),
    [
        ("apply", LOCKED, "STATE_REFUSED", True),
        ("apply", NOT_SAVED, "STATE_REFUSED", True),
        ("init", Told("Error loading state: HTTP remote state endpoint requires auth"),
         "STATE_REFUSED", True),
        ("apply", Told("creating the file", "write x: no space left on device"),
         "DISK_FULL", True),
        ("apply", Told("Plugin error", "fork/exec x: cannot allocate memory"),
         "MEMORY_EXCEEDED", False),
        ("init", Told("Failed to query available provider packages", REMOTE),
         "REGISTRY_UNREACHABLE", True),
        ("init", Told("Failed to query available provider packages",
                      REMOTE.replace("registry.terraform.io", "registry.acme.example")),
         "REGISTRY_UNREACHABLE", False),
        ("init", Told("Failed to query available provider packages",
                      "provider registry registry.terraform.io does not have a provider named x"),
         "PROVIDER_MISSING", False),
        ("apply", Told("local-exec provisioner error", "exit status 1", "", "terraform_data.x"),
         "PROVISIONER_FAILED", False),
        ("apply", Told("local-exec provisioner error", "Output: no space left on device; cannot "
                       "allocate memory; Error acquiring the state lock", "", "terraform_data.x"),
         "PROVISIONER_FAILED", False),
        ("apply", Told("local-exec provisioner error", "Error running command 'x 'y'': exit status "
                       "153. Output: File size limit exceeded", "", "terraform_data.x"),
         "LIMIT_EXCEEDED", False),
        ("apply", Told("local-exec provisioner error", "Error running command 'x': signal: CPU "
                       "time limit exceeded. Output: ", "", "terraform_data.x"),
         "LIMIT_EXCEEDED", False),
        ("apply", Told("local-exec provisioner error", "Error running command 'exit status 153': "
                       "exit status 1. Output: ", "", "terraform_data.x"),
         "PROVISIONER_FAILED", False),
        ("init", Told("fatal error: runtime: out of memory"), "MEMORY_EXCEEDED", False),
        ("apply", Told("Module output value precondition failed", "no space left on device",
                       "main.tf, line 3"), "APPLY_FAILED", False),
        ("apply", Told("Module output value precondition failed", "acquiring the state lock",
                       "main.tf, line 3"), "APPLY_FAILED", False),
        ("apply", BROKEN, "APPLY_FAILED", False),
        ("destroy", BROKEN, "DESTROY_FAILED", False),
        ("apply", Told("reading the state of a door", "", "", "house_door.front"),
         "APPLY_FAILED", False),
    ],
)  # fmt: skip
def test_each_kind_has_its_code_and_the_platform_answers_for_its_own(
    step: str, error: Told, code: str, platform_fault: bool
) -> None:
    explained = explain(step, [error])
    assert explained is not None
    assert (explained.code, explained.platform_fault) == (code, platform_fault)
    assert error.summary in explained.message


@pytest.mark.parametrize(
    ("errors", "first"),
    [
        ([CANCELLED, BROKEN], "No quota"),
        ([BROKEN, CANCELLED, NOT_SAVED], "The state could not be read or kept."),
        ([BROKEN, Told("Other")], "No quota"),
        ([BROKEN, Told("No value for required variable", "", "", "", "size")],
         "The variable 'size' needs a value, and has none."),
    ],
)  # fmt: skip
def test_the_error_that_matters_is_told_first(errors: list[Told], first: str) -> None:
    explained = explain("apply", errors)
    assert explained is not None
    assert explained.message.splitlines()[0] == first
    assert explained.message.endswith("in the log.")


def test_no_error_is_no_explanation() -> None:
    assert explain("apply", []) is None


@pytest.mark.parametrize(
    ("snippet", "variable"),
    [
        (None, ""),
        ({"values": "odd"}, ""),
        ({"values": [7, {"traversal": 7}]}, ""),
        ({"values": [{"traversal": "var.size", "statement": "is 0"}]}, "size"),
        ({"values": [{"traversal": "var.net.cidr"}, {"traversal": "var.net[0]"}]}, "net"),
        ({"values": [{"traversal": "var.a"}, {"traversal": "var.b"}]}, ""),
        ({"values": [{"traversal": "local.a"}, {"traversal": "var.b"}]}, "b"),
    ],
)
def test_a_variable_is_named_where_it_is_the_only_one_there(snippet: Any, variable: str) -> None:
    told = told_by({"severity": "error", "summary": "x", "snippet": snippet})
    assert told is not None
    assert told.variable == variable


def test_values_are_never_told() -> None:
    values = [{"traversal": "var.token", "statement": 'is "hunter22"'}]
    told = told_by({"severity": "error", "summary": "x", "snippet": {"values": values}})
    assert told is not None
    explained = explain("apply", [told])
    assert "hunter22" not in str(explained)
