import pytest

from tests.unit.catalog.modules import MAIN, YAML, definition, files, refusals

VARIABLES = """\
variable "region" {
  type    = string
  default = "eu"
}
variable "zones" {
  type        = list(string)
  description = "From variables.tf."
  default     = ["a"]
}
variable "size" {
  type = number
}
"""


def test_a_module_is_what_its_file_says() -> None:
    module = definition(
        files(
            module_yaml="""\
name: gke-cluster
title: GKE cluster
description: A private cluster.
credit_cost: 50
require_credit_purchases: true
public_access: true
documentation: https://docs.example.com/gke
tags: [kubernetes, gcp, kubernetes]
"""
        )
    )
    assert (module.name, module.title, module.description) == (
        "gke-cluster",
        "GKE cluster",
        "A private cluster.",
    )
    assert (module.credit_cost, module.require_credit_purchases, module.public_access) == (
        50,
        True,
        True,
    )
    assert module.documentation == "https://docs.example.com/gke"
    assert module.tags == ("kubernetes", "gcp")


def test_what_a_module_leaves_out_has_a_safe_meaning() -> None:
    module = definition(files(module_yaml="name: my_web-shop\ncredit_cost: 0\n"))
    assert module.title == "My web shop"
    assert (module.require_credit_purchases, module.public_access) == (False, False)
    assert (module.documentation, module.tags, module.readme) == (None, (), None)


def test_a_variable_of_the_file_wins_over_the_declared_one() -> None:
    module = definition(
        files(
            module_yaml=YAML
            + """\
variables:
  - {name: region, description: Where., default: us, options: [eu, us], group: 2, order: 1}
  - {name: zones, options: [a, b], sensitive: false, update_safe: true, group: 1}
  - {name: size, default: 3, type: any}
""",
            variables_tf=VARIABLES,
        )
    )
    by_name = {variable.name: variable for variable in module.variables}
    region, zones, size = by_name["region"], by_name["zones"], by_name["size"]
    assert (region.description, region.default, region.options) == ("Where.", "us", ("eu", "us"))
    assert (region.group, region.order) == (2, 1)
    assert (zones.description, zones.options, zones.update_safe) == (
        "From variables.tf.",
        ("a", "b"),
        True,
    )
    assert (size.type, size.required, size.default) == ("any", False, 3)
    assert [variable.name for variable in module.variables] == ["zones", "size", "region"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: web\n", 1, "`credit_cost` is missing"),
        ("credit_cost: 5\n", 1, "`name` is missing"),
        ("name: a b\ncredit_cost: 5\n", 1, "`name` must be 1 to 100 letters, digits, dots, dashes"),
        ("name: 5\ncredit_cost: 5\n", 1, "`name` must be a text, not a number"),
        (
            "name: web\ncredit_cots: 5\n",
            2,
            "`credit_cots` is not a field of the module; did you mean `credit_cost`?",
        ),
        ("name: web\ncredit_cost: -1\n", 2, "`credit_cost` must not be negative"),
        (
            "name: web\ncredit_cost: 1.5\n",
            2,
            "`credit_cost` must be a whole number of credits, not a fraction",
        ),
        (
            "name: web\ncredit_cost: 5.0\n",
            2,
            "`credit_cost` must be a whole number of credits, not a fraction",
        ),
        (
            "name: web\ncredit_cost: '5'\n",
            2,
            "`credit_cost` must be a whole number of credits, not a text",
        ),
        (
            "name: web\ncredit_cost: true\n",
            2,
            "`credit_cost` must be a whole number of credits, not true or false",
        ),
        ("name: web\ncredit_cost: 9007199254740992\n", 2, "`credit_cost` must not be beyond"),
        (
            "name: web\ncredit_cost:\n",
            2,
            "`credit_cost` must be a whole number of credits, not nothi",
        ),
        (YAML + "public_access: yes\n", 3, "`public_access` must be true or false, not a text"),
        (YAML + "documentation: ftp://x\n", 3, "`documentation` must be a web address"),
        (YAML + "tags: kubernetes\n", 3, "`tags` must be a list, not a text"),
        (YAML + "tags: [a, {b: c}]\n", 3, "`tags` must be a text, not a mapping"),
        (YAML + "name: other\n", 3, "has `name` twice, first in line 1"),
        (YAML + "title: &t x\n", 3, "uses an anchor or alias, which is not allowed"),
        (YAML + "title: !!str x\n", 3, "uses the tag tag:yaml.org,2002:str, which is not allowed"),
        (YAML + "title: 'x\n", 4, "is not valid YAML: found unexpected end of stream"),
        (YAML + "\ttitle: x\n", 3, "is not valid YAML: found character '\\t'"),
        ("- a\n- b\n", 1, "the module must be a mapping"),
        ("", 0, "is empty"),
        (YAML + "---\nname: b\n", 3, "holds more than one document"),
        (YAML + "? [a]\n: b\n", 3, "has a key that is no text"),
        (YAML + "title: " + "x" * 300 + "\n", 3, "`title` is longer than 200 characters"),
        (YAML + "title: " + "[" * 50 + "]" * 50 + "\n", 3, "is nested more than 12 levels deep"),
        (YAML + "tags: [" + "a, " * 30_000 + "]\n", 3, "has more than 20000 values"),
        (YAML + "# " + "x" * 300_000 + "\n", 0, "is larger than 262144 bytes"),
        (YAML + 'title: "a\\0b"\n', 3, "holds a character that is no text"),
        (YAML + "credits: " + "9" * 50 + "\n", 3, "has a number with too many digits"),
    ],
)
def test_a_mistake_is_named_by_its_line(text: str, line: int, message: str) -> None:
    [(file, found_line, found)] = refusals(files(module_yaml=text or b"\n"))
    assert (file, found_line) == ("module.yaml", line)
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("{name: regjon}", "no Terraform file declares variable `regjon`; did you mean `region`?"),
        ("{nme: region}", "`nme` is not a field of a variable; did you mean `name`?"),
        ("{group: 1}", "a variable needs a `name`"),
        ("region", "a variable must be a mapping"),
        ("{name: region, group: -1}", "`group` must not be negative"),
        ("{name: region, type: strinq}", "`type` `strinq` is not a type; did you mean `string`?"),
        ("{name: zones, default: a}", "`default` of variable `zones` does not fit the default"),
        (
            "{name: size, options: [a]}",
            "`options` of variable `size` has an option that must be a n",
        ),
        (
            "{name: region, options: [us]}",
            "`options` of variable `region` does not hold the default",
        ),
        (
            "{name: region, sensitive: true, default: x}",
            "`default` of variable `region` would be sh",
        ),
    ],
)
def test_a_mistake_in_a_variable_is_named(variable: str, message: str) -> None:
    text = YAML + f"variables:\n  - {variable}\n"
    [(file, line, found)] = refusals(files(module_yaml=text, variables_tf=VARIABLES))
    assert (file, line) == ("module.yaml", 4)
    assert found.startswith(message)


def test_a_variable_is_overridden_once() -> None:
    text = YAML + "variables:\n  - {name: size}\n  - {name: size}\n"
    assert refusals(files(module_yaml=text, variables_tf=VARIABLES)) == [
        ("module.yaml", 5, "variable `size` is there twice, first in line 4")
    ]


def test_all_mistakes_are_told_at_once() -> None:
    text = "nme: web\ncredit_cost: -5\ntags: 3\n"
    broken = 'variable "a" {\n  type = \n}\n'
    found = refusals(files(module_yaml=text, variables_tf=broken))
    assert [(file, line) for file, line, _ in found] == [
        ("module.yaml", 1),
        ("module.yaml", 2),
        ("module.yaml", 3),
        ("variables.tf", 2),
    ]


def test_words_that_yaml_once_took_for_truth_are_words() -> None:
    text = YAML + "variables:\n  - {name: region, options: [eu, no, on, 0x1F, 1_0]}\n"
    module = definition(files(module_yaml=text, variables_tf=VARIABLES))
    region = next(variable for variable in module.variables if variable.name == "region")
    assert region.options == ("eu", "no", "on", "0x1F", "1_0")


def test_a_file_that_is_nearly_called_module_yaml_is_not_overlooked() -> None:
    module = {"module.yml": YAML.encode(), "main.tf": MAIN.encode()}
    assert refusals(module) == [
        ("module.yml", 0, "is not read: a module's file is called module.yaml")
    ]


def test_a_module_without_terraform_is_none() -> None:
    assert refusals(files(main_tf="")) == [(".", 0, "the module has no .tf or .tf.json file")]
