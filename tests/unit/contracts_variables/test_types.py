from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.variables.expressions import parse
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.types import (
    ConversionError,
    convert,
    format_type,
    format_value,
    misfits,
    parse_type,
)
from contracts.variables.values import constant, from_json


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("string", "string"),
        ('"string"', "string"),
        ("list", "list(any)"),
        ('"map"', "map(any)"),
        ("set( number )", "set(number)"),
        ("tuple([string,bool])", "tuple([string, bool])"),
        (
            'map(object({\n  size = number\n  tags = optional(list(string), ["a"])\n}))',
            'map(object({size = number, tags = optional(list(string), ["a"])}))',
        ),
        ("object({})", "object({})"),
        ('object({ "a b" = optional(string) })', 'object({"a b" = optional(string)})'),
    ],
)
def test_a_type_has_one_canonical_form(text: str, canonical: str) -> None:
    assert format_type(parse_type(text)) == canonical
    assert format_type(parse_type(canonical)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strinq", "`strinq` is not a type; did you mean `string`?"),
        ("list(string, bool)", "`list` is not a type; did you mean `list`?"),
        ("42", "is not a type"),
        ("object({a = string, a = bool})", "names an attribute of an object twice"),
        ('object({a = optional(number, "x")})', "the default of `a` must be a number"),
        ("optional(string)", "`optional` is not a type"),
    ],
)
def test_what_is_no_type_is_refused(text: str, message: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        parse_type(text)
    assert str(caught.value).startswith(message)


NODES = "map(object({size = number, tags = optional(list(string))}))"


@pytest.mark.parametrize(
    ("type_", "value", "path", "message"),
    [
        ("string", 5, (), "must be a string, not a number"),
        ("number", "5", (), "must be a number, not a string"),
        ("number", True, (), "must be a number, not a boolean"),
        ("bool", "true", (), "must be true or false, not a string"),
        ("list(string)", {}, (), "must be a list, not an object"),
        ("list(string)", ["a", 1], (1,), "must be a string, not a number"),
        ("map(bool)", {"a": 1}, ("a",), "must be true or false, not a number"),
        ("tuple([string])", ["a", "b"], (), "must be a list of 1 items"),
        (NODES, {"a": {"size": "1"}}, ("a", "size"), "must be a number, not a string"),
        (NODES, {"a": {}}, ("a", "size"), "is required"),
        (
            NODES,
            {"a": {"size": 1, "tag": []}},
            ("a", "tag"),
            "is not an attribute; did you mean `tags`?",
        ),
    ],
)
def test_a_value_of_another_type_does_not_fit(
    type_: str, value: Any, path: tuple[str | int, ...], message: str
) -> None:
    [misfit] = misfits(parse_type(type_), value)
    assert (misfit.path, misfit.message) == (path, message)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("any", {"a": [1, "b"]}),
        ("string", None),
        ("list(number)", [1, None]),
        (NODES, {"a": {"size": 1}, "b": {"size": 2, "tags": ["x"]}}),
        ("tuple([string, bool])", ["a", False]),
    ],
)
def test_a_value_of_the_type_fits(type_: str, value: Any) -> None:
    assert list(misfits(parse_type(type_), value)) == []


@pytest.mark.parametrize(
    ("type_", "value", "converted"),
    [
        ("number", "5", 5),
        ("string", 5, "5"),
        ("string", False, "false"),
        ("bool", "true", True),
        ("set(string)", ["b", "a", "b"], ["b", "a"]),
        ("set(any)", [1, True, 1], [1, True]),
        ('object({a = number, b = optional(string, "x")})', {"a": "1", "c": 2}, {"a": 1, "b": "x"}),
        ("list(number)", None, None),
    ],
)
def test_a_value_is_converted_as_terraform_does(type_: str, value: Any, converted: Any) -> None:
    assert convert(parse_type(type_), value) == converted


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("number", "five"),
        ("number", "NaN"),
        ("number", [1]),
        ("bool", "yes"),
        ("string", ["a"]),
        ("list(string)", "a"),
        ("map(string)", []),
        ("object({a = number})", {}),
        ("tuple([number])", [1, 2]),
    ],
)
def test_what_terraform_would_not_convert_is_refused(type_: str, value: Any) -> None:
    with pytest.raises(ConversionError):
        convert(parse_type(type_), value)


TYPES = st.recursive(
    st.sampled_from(["string", "number", "bool", "any"]),
    lambda inner: st.one_of(
        st.builds(lambda k, t: f"{k}({t})", st.sampled_from(["list", "set", "map"]), inner),
        st.builds(
            lambda names: "object({" + ", ".join(f"{n} = {t}" for n, t in names.items()) + "})",
            st.dictionaries(st.sampled_from(["a", "b", "c-d"]), inner, max_size=3),
        ),
        st.builds(lambda ts: f"tuple([{', '.join(ts)}])", st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c-d", "for", "null"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(TYPES)
def test_the_canonical_form_is_read_back_as_the_same_type(text: str) -> None:
    type_ = parse_type(text)
    assert parse_type(format_type(type_)) == type_


@given(TYPES, VALUES)
def test_what_fits_can_always_be_converted(text: str, value: Any) -> None:
    type_ = parse_type(text)
    if not list(misfits(type_, value)):
        convert(type_, value)


@given(VALUES)
def test_a_value_that_is_written_is_read_back(value: Any) -> None:
    value = from_json(value)
    assert constant(parse(format_value(value))) == value
