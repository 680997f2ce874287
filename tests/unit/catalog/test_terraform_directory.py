import pytest

from services.catalog.terraform_directory import read_directory
from tests.unit.catalog.modules import MAIN, definition, files, refusals, warnings

BASE = 'variable "a" {\n  type = number\n  default = 1\n  description = "Base."\n}\n'


def module(**texts: str) -> dict[str, bytes]:
    """`x_tf_json` is the file `x.tf.json`; two underscores are one in a file's name."""
    named = {
        name.replace("__", "-").replace("_", ".").replace("-", "_"): text.encode()
        for name, text in texts.items()
    }
    return files(variables_tf=BASE) | named


def test_an_override_changes_what_it_names_and_nothing_else() -> None:
    read = definition(
        module(
            a__override_tf='variable "a" {\n  default = 2\n  sensitive = false\n}\n',
            b__override_tf_json='{"variable": {"a": {"default": "3", "nullable": false}}}',
            override_tf='variable "a" { description = "Last." }\noutput "o" { sensitive = true }\n',
            outputs_tf='output "o" { value = 1 }\n',
        )
    )
    [variable] = read.variables
    assert (variable.type, variable.default, variable.nullable) == ("number", 3, False)
    assert variable.description == "Last."
    assert [output.sensitive for output in read.outputs] == [True]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('\nvariable "b" {}\n', 2, "overrides variable `b`, which no other file declares"),
        (
            'variable "a" {\n  validation {\n    condition = var.a > 0\n  }\n}\n',
            2,
            "an override file cannot hold a validation",
        ),
        (
            'variable "a" {\n\n  default = "x"\n}\n',
            3,
            "default of variable `a`: must be a number, not any other string",
        ),
        (
            'variable "a" {\n  typ = any\n}\n',
            2,
            "variable `a` has no argument `typ`; did you mean ",
        ),
    ],
)
def test_what_is_wrong_with_an_override_is_told_there(text: str, line: int, message: str) -> None:
    [(file, found_line, found)] = refusals(module(x__override_tf=text))
    assert (file, found_line) == ("x_override.tf", line)
    assert found.startswith(message)


def test_the_source_of_a_module_may_be_overridden() -> None:
    blocks, _ = read_directory(
        {
            "main.tf": b'module "m" {\n  source = "./a"\n}\n',
            "override.tf": b'module "m" {\n  source = "./b"\n}\n',
        },
        [],
    )
    assert [block.attributes["source"].text for block in blocks] == ['"./b"']


def test_a_file_for_opentofu_alone_is_not_passed_over_in_silence() -> None:
    told = warnings(module(main_tofu=MAIN))
    assert told == [
        (
            "main.tofu",
            0,
            "is not read: OpenTofu alone knows such files, Terraform .tf and .tf.json",
        )
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('variable "count" {}\n', "Terraform keeps the name `count` for itself"),
        ('variable "a b" {}\n', "`a b` cannot be a name: letters, digits, `_` and `-`"),
        ('output "o" {\n  vlaue = 1\n}\n', "output `o` has no argument `vlaue`; did you mean `va"),
    ],
)
def test_what_terraform_would_refuse_is_refused_at_once(text: str, message: str) -> None:
    [(_, _, found)] = refusals(files(variables_tf=text))
    assert found.startswith(message)
