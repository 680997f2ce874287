"""A shape is what a schema demands; words, names of definitions and order are none of it."""

from typing import Any

import pytest

from contracts.shapes import differences, digest_of, shape_of

TEXT: dict[str, Any] = {"type": "string", "maxLength": 9}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "A", **TEXT}, {"title": "B", "description": "of B", **TEXT}),
        ({"$ref": "#/$defs/A", "$defs": {"A": TEXT}}, TEXT),
        ({"$ref": "#/$defs/A", "$defs": {"A": TEXT}}, {"$ref": "#/$defs/B", "$defs": {"B": TEXT}}),
        ({"prefixItems": [{"$ref": "#/$defs/A"}], "$defs": {"A": TEXT}}, {"prefixItems": [TEXT]}),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
        ({"anyOf": [TEXT, {"type": "null"}]}, {"anyOf": [{"type": "null"}, TEXT]}),
        ({"required": ["a", "b"]}, {"required": ["b", "a"]}),
    ],
)
def test_schemas_that_demand_the_same_have_one_shape(one: Any, other: Any) -> None:
    assert shape_of(one) == shape_of(other)
    assert digest_of(shape_of(one)) == digest_of(shape_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TEXT, TEXT | {"maxLength": 10}),
        (TEXT, {"type": "string"}),
        ({"properties": {"title": TEXT}}, {"properties": {}}),
        ({"properties": {"description": TEXT}}, {"properties": {"description": {}}}),
        ({"default": {"title": "a"}}, {"default": {"title": "b"}}),
        ({"const": {"description": "a"}}, {"const": {"description": "b"}}),
        ({"prefixItems": [TEXT, {}]}, {"prefixItems": [{}, TEXT]}),
    ],
)
def test_schemas_that_demand_something_else_have_another(one: Any, other: Any) -> None:
    assert shape_of(one) != shape_of(other)
    assert digest_of(shape_of(one)) != digest_of(shape_of(other))
    assert list(differences(shape_of(one), shape_of(other))) != []


def test_a_definition_that_uses_itself_is_refused_and_not_followed_for_ever() -> None:
    with pytest.raises(ValueError, match="deeper than 40"):
        shape_of({"$ref": "#/$defs/A", "$defs": {"A": {"items": {"$ref": "#/$defs/A"}}}})


def test_a_difference_is_told_with_its_place_and_not_at_length() -> None:
    before, now = {"a": {"b": 1, "c": 2}}, {"a": {"b": "x" * 500}}
    assert list(differences(before, now)) == [
        f'/a/b: 1 → "{"x" * 119}…',
        "/a/c: gone, was 2",
    ]
