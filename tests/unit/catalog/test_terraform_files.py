from pathlib import Path

import pytest

from services.catalog.module_reader import read_module
from tests.unit.catalog.modules import (
    EXAMPLES,
    definition,
    files,
    files_in,
    refusals,
    warnings,
)


def test_variables_and_outputs_are_read_from_any_file() -> None:
    module = definition(
        files(
            main_tf='variable "a" { type = bool }\noutput "x" { value = 1 }\n',
            more_tf='output "y" {\n  value = 2\n  description = "Y."\n  sensitive = true\n}\n',
        )
    )
    [variable] = module.variables
    assert (variable.name, variable.type, variable.required) == ("a", "bool", True)
    assert [(o.name, o.description, o.sensitive) for o in module.outputs] == [
        ("x", "", False),
        ("y", "Y.", True),
    ]


def test_a_variable_keeps_all_that_terraform_says_of_it() -> None:
    module = definition(
        files(
            variables_tf="""\
variable "pools" {
  type = map(object({
    size = number # nodes
    tags = optional(list(string), ["a"])
  }))
  description = <<-EOT
    Pools "by name",
    on two lines.
  EOT
  default = {
    main = { size = "2" }
  }
  nullable = false
  validation {
    condition     = length(var.pools) > 0
    error_message = "At least one."
  }
  validation {
    condition     = alltrue([for p in var.pools : p.size > local.least])
    error_message = "Larger than ${local.least}."
  }
}
"""
        )
    )
    [pools] = module.variables
    assert pools.type == 'map(object({size = number, tags = optional(list(string), ["a"])}))'
    assert pools.description == 'Pools "by name",\non two lines.'
    assert pools.default == {"main": {"size": 2, "tags": ["a"]}}
    assert not pools.nullable
    assert [(v.condition, v.message, v.decidable) for v in pools.validations] == [
        ("length(var.pools) > 0", "At least one.", True),
        (
            "alltrue([for p in var.pools : p.size > local.least])",
            "Larger than ${local.least}.",
            False,
        ),
    ]


def test_a_variable_without_a_type_takes_anything() -> None:
    [variable] = definition(files(variables_tf='variable "a" {}\n')).variables
    assert variable.type == "any"


def test_a_sensitive_default_stays_in_the_source() -> None:
    text = 'variable "a" {\n  sensitive = true\n  default = "hunter2"\n}\n'
    [variable] = definition(files(variables_tf=text)).variables
    assert (variable.required, variable.default) == (False, None)


def test_carriage_returns_and_a_byte_order_mark_do_not_matter() -> None:
    text = '\ufeffvariable "a" {\r\n  type = string\r\n  default = "x"\r\n}\r\n'
    [variable] = definition(files(variables_tf=text.encode())).variables
    assert variable.default == "x"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('variable "a" {\n  type = \n}\n', 2, "is not valid HCL: unexpected end of the line"),
        ('variable "a" {\n\n  b = = c\n}\n', 3, "is not valid HCL: unexpected `= c`"),
        ('variable "a" {\n', 1, "is not valid HCL: the file ends in the middle of something"),
        ("\n\n@@@\n", 3, "is not valid HCL: unexpected `@@@`"),
        ("x = <<EOT\nnever ends\n", 1, "is not valid HCL: unexpected `<<EOT`"),
        (b'\nx = "\xff"\n', 2, "is not UTF-8"),
        (
            'variable "a" {\n  type = object({\n    b = strinq\n  })\n}\n',
            2,
            "type of variable `a`: `strinq` is not a type; did you mean `string`?",
        ),
        (
            'variable "a" {\n  default = timestamp()\n}\n',
            2,
            "default of variable `a`: is not a constant",
        ),
        (
            'variable "a" {\n  type = number\n  default = "x"\n}\n',
            3,
            "default of variable `a`: must be a number, not any other string",
        ),
        ('variable "a" {\n  sensitive = 3\n}\n', 2, "sensitive of variable `a`: must be true or f"),
        (
            'variable "a" {}\nvariable "a" {}\n',
            2,
            "variable `a` is declared twice, first in variab",
        ),
        ('variable "a" {\n  type = any\n  type = any\n}\n', 3, "sets `type` twice"),
        ('variable "a" "b" {}\n', 1, "a variable has one name"),
        (
            'variable "a" {\n  nullable = false\n  default = null\n}\n',
            1,
            "variable `a` is not nullable but defaults to null",
        ),
        ('variable "a" {\n  validation {}\n}\n', 2, "a validation of `a` has no condition"),
        (
            'output "a" {\n  description = var.b\n}\n',
            2,
            "description of output `a`: is not a const",
        ),
        ("version https://git-lfs.github.com/spec/v1\noid x\n", 0, "is a Git LFS pointer, not the"),
        (b"#" * 1_100_000, 0, "is larger than 1048576 bytes"),
        ("x = " + "[" * 3_000 + "\n", 1, "is not valid HCL"),
    ],
)
def test_a_mistake_is_named_by_its_line(text: str | bytes, line: int, message: str) -> None:
    [(file, found_line, found)] = refusals(files(variables_tf=text))
    assert (file, found_line) == ("variables.tf", line)
    assert found.startswith(message)


def test_a_default_that_its_own_validation_refuses_is_pointed_out() -> None:
    text = """\
variable "a" {
  default = 0
  validation {
    condition     = var.a > 0
    error_message = "Positive."
  }
}
"""
    assert warnings(files(variables_tf=text)) == [
        (
            "variables.tf",
            1,
            "variable `a` has a default that its own validation refuses: Positive.",
        )
    ]


def test_what_the_contract_has_no_room_for_is_refused() -> None:
    text = "".join(f'variable "v{n}" {{\n  description = "{"x" * 15_000}"\n}}\n' for n in range(40))
    assert refusals(files(variables_tf=text)) == [
        ("module.yaml", 1, "the module's definition is larger than 400000 bytes")
    ]
    nul = 'variable "a" {\n  description = "a\\u0000b"\n}\n'
    assert refusals(files(variables_tf=nul)) == [
        ("module.yaml", 1, "the module holds a NUL character")
    ]


def test_a_readme_is_shown_as_far_as_there_is_room() -> None:
    assert definition(files(README_md="# Web\r\n")).readme == "# Web\n"
    long = files(README_md="x" * 70_000)
    assert warnings(long) == [("README.md", 0, "is shown only up to its first 65536 characters")]


@pytest.mark.parametrize("directory", sorted(path for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_is_a_module_without_a_flaw(directory: Path) -> None:
    module = definition(files_in(directory), directory.name)
    assert module.name == directory.name


def test_a_directory_with_neither_metadata_nor_file_is_no_module() -> None:
    assert read_module("x", files(module_yaml="", main_tf="@@@ broken")) is None
    assert read_module("x", {}) is None
