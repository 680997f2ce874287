import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog.v1 import Validation, Variable
from contracts.variables import check_variables, effective_values


def variable(name: str = "region", type_: str = "string", **fields: Any) -> Variable:
    given_fields = {"required": True, "description": "", **fields}
    return Variable(name=name, type=type_, **given_fields)


def validation(condition: str, message: str = "Not that.") -> Validation:
    return Validation(condition=condition, message=message, decidable=True)


def problems(variables: list[Variable], values: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = check_variables(variables, values)
    return [(problem.pointer, problem.code, problem.message) for problem in found]


def test_good_values_have_no_problems() -> None:
    variables = [
        variable(options=("eu", "us"), validations=(validation("length(var.region) == 2"),)),
        variable("nodes", "number", required=False, default=3),
    ]
    assert problems(variables, {"region": "eu", "nodes": 5}) == []


def test_an_unknown_variable_is_refused_with_the_nearest_known() -> None:
    assert problems([variable(required=False)], {"regjon": "eu"}) == [
        (
            "/variables/regjon",
            "UNKNOWN_VARIABLE",
            "is not a variable of this module; did you mean `region`?",
        )
    ]


def test_a_hidden_variable_is_as_good_as_unknown() -> None:
    hidden = variable("project", group=0, required=False)
    [(pointer, code, message)] = problems([hidden], {"project": "p"})
    assert (pointer, code) == ("/variables/project", "UNKNOWN_VARIABLE")
    assert "did you mean" not in message


def test_a_required_variable_that_is_missing_is_named() -> None:
    assert problems([variable()], {}) == [("/variables/region", "REQUIRED", "is required")]


@pytest.mark.parametrize(
    ("type_", "value", "pointer", "code"),
    [
        ("string", 5, "/variables/v", "WRONG_TYPE"),
        ("map(number)", {"a/b~c": "x"}, "/variables/v/a~1b~0c", "WRONG_TYPE"),
        ("list(number)", [1, "x"], "/variables/v/1", "WRONG_TYPE"),
        ("number", float("nan"), "/variables/v", "UNFIT_VALUE"),
        ("number", float("inf"), "/variables/v", "UNFIT_VALUE"),
        ("number", 2**53, "/variables/v", "UNFIT_VALUE"),
        ("number", 10**4_000, "/variables/v", "UNFIT_VALUE"),
        ("string", "x" * 70_000, "/variables/v", "UNFIT_VALUE"),
        ("string", "\ud800", "/variables/v", "UNFIT_VALUE"),
        ("string", "a\0b", "/variables/v", "UNFIT_VALUE"),
        ("map(string)", {"a\0": "b"}, "/variables/v", "UNFIT_VALUE"),
        ("list(number)", list(range(20_000)), "/variables/v", "UNFIT_VALUE"),
        ("any", json.loads("[" * 50 + "]" * 50), "/variables/v" + "/0" * 21, "UNFIT_VALUE"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_pointer(
    type_: str, value: Any, pointer: str, code: str
) -> None:
    [(found_pointer, found_code, _)] = problems([variable("v", type_)], {"v": value})
    assert (found_pointer, found_code) == (pointer, code)


def test_null_is_allowed_where_the_variable_says_so() -> None:
    assert problems([variable(nullable=True)], {"region": None}) == []
    assert problems([variable(nullable=False)], {"region": None}) == [
        ("/variables/region", "NULL_NOT_ALLOWED", "must not be null")
    ]
    default = variable(nullable=False, required=False, default="eu")
    assert problems([default], {"region": None}) == []


@pytest.mark.parametrize(
    ("type_", "options", "value", "allowed"),
    [
        ("string", ("a", "b"), "a", True),
        ("string", ("a", "b"), "c", False),
        ("number", (1, 2.5), 2.5, True),
        ("number", ("1", "2"), 2, True),
        ("list(string)", ("a", "b"), ["a", "b"], True),
        ("list(string)", ("a", "b"), ["a", "c"], False),
        ("list(string)", (["a"], ["b", "c"]), ["b", "c"], True),
        ("list(string)", (["a"], ["b", "c"]), ["b"], False),
        ("bool", (True,), False, False),
    ],
)
def test_a_value_must_be_one_of_the_options(
    type_: str, options: tuple[Any, ...], value: Any, *, allowed: bool
) -> None:
    found = problems([variable("v", type_, options=options)], {"v": value})
    assert [code for _, code, _ in found] == ([] if allowed else ["NOT_AN_OPTION"])


def test_a_failed_validation_says_what_its_author_wrote() -> None:
    checked = variable(validations=(validation("length(var.region) > 3", "At least 4."),))
    assert problems([checked], {"region": "eu"}) == [
        ("/variables/region", "VALIDATION_FAILED", "At least 4.")
    ]


def test_a_validation_that_only_terraform_can_decide_is_left_to_it() -> None:
    rule = Validation(condition="var.region == var.other", message="No.", decidable=False)
    assert problems([variable(validations=(rule,))], {"region": "eu"}) == []


def test_validations_see_optional_attributes_filled_in_and_sets_without_repetition() -> None:
    size = variable(
        "disk",
        "object({size = optional(number, 10)})",
        validations=(validation("var.disk.size >= 10"),),
    )
    zones = variable("zones", "set(string)", validations=(validation("length(var.zones) >= 2"),))
    assert problems([size], {"disk": {}}) == []
    assert [code for _, code, _ in problems([zones], {"zones": ["a", "a"]})] == [
        "VALIDATION_FAILED"
    ]


def test_no_message_repeats_a_value() -> None:
    secret = "hunter2-hunter2"
    variables = [
        variable("a", "number"),
        variable("b", options=("x",)),
        variable("c", validations=(validation("length(var.c) < 3"),)),
        variable("d", "list(bool)"),
    ]
    found = check_variables(variables, {"a": secret, "b": secret, "c": secret, "d": [secret]})
    assert len(found) == 4
    assert secret not in str(found)


def test_problems_are_bounded() -> None:
    assert len(check_variables([], {f"v{n}": n for n in range(500)})) == 100
    wide = variable("v", "list(bool)")
    assert len(check_variables([wide], {"v": list(range(5_000))})) == 100


def test_terraform_is_given_every_default_that_is_not_overridden() -> None:
    variables = [
        variable("a"),
        variable("b", required=False, default="kept"),
        variable("c", required=False, default="replaced"),
        variable("d", required=False, default="unless null", nullable=False),
        variable("e", required=False, default="hidden", group=0),
        variable("f", required=False, sensitive=True),
        variable("g", required=False, sensitive=True),
    ]
    assert effective_values(variables, {"a": "x", "c": "y", "d": None, "g": "z"}) == {
        "a": "x",
        "b": "kept",
        "c": "y",
        "d": "unless null",
        "e": "hidden",
        "g": "z",
    }


OPTIONS = st.text(st.characters(min_codepoint=1, codec="utf-8"), max_size=5)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(
        ["string", "number", "list(set(string))", "map(any)", "object({a = optional(bool)})", "??"]
    ),
    JSON_VALUES,
    st.lists(st.none() | st.booleans() | st.integers() | OPTIONS | st.lists(OPTIONS), max_size=3),
)
def test_any_json_value_gets_an_answer(type_: str, value: Any, options: list[Any]) -> None:
    check_variables([variable("v", type_, options=tuple(options))], {"v": value})
