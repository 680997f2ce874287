"""Values of variables become the fields of a form, and what a form sends becomes values again."""

import string
from typing import Any, assert_never
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.variables import MASK
from contracts.variables.types import (
    Attribute,
    Collection,
    ObjectType,
    Primitive,
    TerraformType,
    TupleType,
    format_type,
)
from services.gateway.web.variable_form import (
    entered_as,
    field_of,
    focus_of,
    steps_of,
    with_row,
    without_row,
)
from services.gateway.web.variable_slots import ABSENT, slot_of
from services.gateway.web.variables import (
    ROWS_MAX,
    JsonTextError,
    Wrong,
    first_fields,
    is_too_large,
    read,
    same,
    value_of_json,
    values_of,
    written,
)


def variable(type_: str, name: str = "x", **further: Any) -> dict[str, Any]:
    """Return a variable as the API tells it; required unless it is given a default."""
    return {
        "name": name,
        "type": type_,
        "description": "",
        "default": None,
        "required": "default" not in further,
        "nullable": True,
        "options": [],
        "validations": [],
        "group": 1,
        "order": 0,
        "sensitive": False,
        "update_safe": True,
        **further,
    }


def sent(fields: dict[str, str]) -> dict[str, str]:
    """Return the fields as they come back from a browser, which writes line ends its own way."""
    for name, text in fields.items():
        if "\n" in text:
            assert fields.get(f"as:{name}") in {"lines", "json"}, "one line loses line ends"
    body = urlencode({k: v.replace("\r\n", "\n").replace("\n", "\r\n") for k, v in fields.items()})
    pairs = parse_qsl(body, keep_blank_values=True, errors="strict")
    return {name: text.replace("\r\n", "\n") for name, text in pairs}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "007", "null", "true", "1e5", "a\nb", "\n", "a\r\nb", "\x07", "5.0", " x ", '"', "{}"]
)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = [*string.ascii_lowercase[:5], "a/b", "c~1"]
TYPES: st.SearchStrategy[TerraformType] = st.recursive(
    st.sampled_from(
        [Primitive("string"), Primitive("number"), Primitive("bool"), Primitive("any")]
    ),
    lambda inner: st.one_of(
        st.builds(Collection, st.sampled_from(["list", "set", "map"]), inner),
        st.lists(inner, max_size=3).map(lambda each: TupleType(tuple(each))),
        st.lists(
            st.builds(Attribute, st.sampled_from(NAMES), inner, st.booleans(), st.none()),
            max_size=3,
            unique_by=lambda each: each.name,
        ).map(lambda each: ObjectType(tuple(each))),
    ),
    max_leaves=5,
)


def values(type_: TerraformType) -> st.SearchStrategy[Any]:
    """Return values of a type, with null wherever Terraform allows it."""
    found: st.SearchStrategy[Any]
    match type_:
        case Primitive("string"):
            found = TEXTS
        case Primitive("number"):
            found = NUMBERS
        case Primitive("bool"):
            found = st.booleans()
        case Primitive():
            found = ANYTHING
        case Collection("map", element):
            found = st.dictionaries(TEXTS, values(element), max_size=3)
        case Collection(_, element):
            found = st.lists(values(element), max_size=3)
        case TupleType(elements):
            found = st.tuples(*(values(each) for each in elements)).map(list)
        case ObjectType(attributes):
            found = st.fixed_dictionaries(
                {a.name: values(a.type) for a in attributes if not a.optional},
                optional={a.name: values(a.type) for a in attributes if a.optional},
            )
        case _:
            assert_never(type_)
    return st.none() | found


@given(st.data(), TYPES, st.booleans())
def test_every_value_of_every_type_survives_a_form(
    data: st.DataObject, type_: TerraformType, nullable: bool
) -> None:
    value = data.draw(values(type_))
    default = data.draw(st.none() | values(type_))
    kinds = (
        variable(format_type(type_), nullable=nullable),
        variable(format_type(type_), nullable=nullable, default=default),
    )
    for each in kinds:
        fields = sent(first_fields([each], {"x": value}))
        found, wrong = values_of([each], fields, {"x": value})
        assert wrong == []
        assert same(found["x"], value)
        # The form that is shown again for what was sent has every field that was sent.
        assert {name for name in fields if name.startswith("/")} <= controls(each, fields)


@given(st.data(), TYPES)
def test_a_form_that_is_left_as_it_was_gives_nothing(
    data: st.DataObject, type_: TerraformType
) -> None:
    default = data.draw(values(type_))
    each = variable(format_type(type_), default=default)
    assert values_of([each], sent(first_fields([each]))) == ({}, [])
    assert values_of([variable(format_type(type_))], {}) == ({}, [])


def controls(each: dict[str, Any], fields: dict[str, str]) -> set[str]:
    """Return the names of all controls that are shown for a variable."""

    def within(field: Any) -> set[str]:
        return {field.name}.union(*(within(part) for part in field.parts))

    return within(field_of(slot_of(each), fields, "x"))


@given(st.lists(TEXTS, max_size=6), st.data())
def test_rows_come_and_go_one_by_one(items: list[str], data: st.DataObject) -> None:
    each = variable("list(object({name = string}))")
    value = [{"name": text} for text in items]
    fields = first_fields([each], {"x": value})
    if fields.get("as:/variables/x") == "json":
        return
    more = with_row(fields, "/variables/x")
    grown, _ = values_of([each], {**more, f"/variables/x/{len(items)}/name": "new"})
    assert grown["x"] == [*value, {"name": "new"}]
    if items:
        gone = data.draw(st.integers(0, len(items) - 1))
        fewer, _ = values_of([each], without_row(fields, "/variables/x", gone), {"x": value})
        assert fewer.get("x", []) == value[:gone] + value[gone + 1 :]


@pytest.mark.parametrize(
    ("type_", "fields", "value"),
    [
        ("string", {"/variables/x": "007"}, "007"),
        ("string", {"/variables/x": " a "}, " a "),
        ("string", {"/variables/x": ""}, ABSENT),
        ("string", {"/variables/x": "", "use:/variables/x": "empty"}, ""),
        ("string", {"/variables/x": "y", "use:/variables/x": "null"}, None),
        ("number", {"/variables/x": " 007 "}, 7),
        ("number", {"/variables/x": "9007199254740993"}, 9007199254740993),
        ("number", {"/variables/x": "0.1"}, 0.1),
        ("number", {"/variables/x": "1,5"}, "1,5"),
        ("number", {"/variables/x": "NaN"}, "NaN"),
        ("number", {"/variables/x": "٣"}, "٣"),
        ("bool", {"/variables/x": "true"}, True),
        ("bool", {"/variables/x": ""}, ABSENT),
        ("bool", {"/variables/x": "yes"}, "yes"),
        ("list(string)", {"rows:/variables/x": "1", "/variables/x/0": ""}, [""]),
        ("list(string)", {"rows:/variables/x": "0"}, ABSENT),
        ("list(string)", {"rows:/variables/x": "-1"}, ABSENT),
        ("map(bool)", {"rows:/variables/x": "1", "key:/variables/x/0": "k",
                       "/variables/x/0": "false"}, {"k": False}),
        ("any", {"/variables/x": '{"a": [1.50, "1"]}'}, {"a": [1.5, "1"]}),
        ("any", {"/variables/x": "null"}, None),
        ("object({a = string, b = optional(number)})", {"/variables/x/a": "1"}, {"a": "1"}),
        ("tuple([number, string])", {"/variables/x/0": "1", "/variables/x/1": ""}, [1, ""]),
        ("a type of next year", {"/variables/x": "[1]"}, [1]),
    ],
)  # fmt: skip
def test_what_was_entered_is_told_apart(type_: str, fields: dict[str, str], value: Any) -> None:
    wrong: list[Wrong] = []
    assert same(read(slot_of(variable(type_)), fields, wrong), value)
    assert wrong == []


@pytest.mark.parametrize(
    ("type_", "fields", "pointer", "code"),
    [
        ("number", {"/variables/x": "0.12345678901234567890"}, "/variables/x", "NOT_EXACT"),
        ("list(number)", {"rows:/variables/x": "1"}, "/variables/x/0", "REQUIRED"),
        ("tuple([bool, string])", {"/variables/x/1": "a"}, "/variables/x/0", "REQUIRED"),
        ("number", {"/variables/x": "1e999"}, "/variables/x", "NOT_EXACT"),
        ("any", {"/variables/x": "{"}, "/variables/x", "INVALID_JSON"),
        ("any", {"/variables/x": '{"a": 1, "a": 2}'}, "/variables/x", "INVALID_JSON"),
        ("any", {"/variables/x": "[NaN]"}, "/variables/x", "INVALID_JSON"),
        ("any", {"/variables/x": '"\\ud800"'}, "/variables/x", "INVALID_JSON"),
        ("any", {"/variables/x": "[" * 200_000}, "/variables/x", "INVALID_JSON"),
        ("any", {"/variables/x": "1" * 5000}, "/variables/x", "INVALID_JSON"),
        (
            "map(string)",
            {"rows:/variables/x": "2", "key:/variables/x/0": "a/b", "key:/variables/x/1": "a/b"},
            "/variables/x/a~1b",
            "KEY_TWICE",
        ),
    ],
)
def test_what_cannot_be_told_is_said_at_its_place(
    type_: str, fields: dict[str, str], pointer: str, code: str
) -> None:
    _, wrong = values_of([variable(type_)], fields)
    assert [(each.pointer, each.code) for each in wrong] == [(pointer, code)]


def test_a_secret_is_never_written_into_a_form_and_kept_unless_it_is_entered() -> None:
    secret = variable("string", sensitive=True)
    fields = first_fields([secret], {"x": MASK})
    assert fields == {}
    assert values_of([secret], {"/variables/x": ""}, {"x": MASK}) == ({"x": MASK}, [])
    assert values_of([secret], {"/variables/x": "new"}, {"x": MASK}) == ({"x": "new"}, [])
    assert values_of([secret], {"/variables/x": ""}) == ({}, [])
    again = field_of(slot_of(secret), {"/variables/x": "new"}, "x", secret=True)
    assert (again.shown, again.text) == ("secret", "")


def test_a_default_that_was_given_on_purpose_stays_given() -> None:
    each = variable("number", default=3)
    assert values_of([each], {"/variables/x": "3"}) == ({}, [])
    assert values_of([each], {"/variables/x": "3"}, {"x": 3}) == ({"x": 3}, [])
    assert values_of([each], {"use:/variables/x": "null"}) == ({"x": None}, [])


def test_a_long_list_is_entered_as_json_and_a_lie_about_rows_is_bounded() -> None:
    each = variable("list(string)")
    assert first_fields([each], {"x": ["a"] * (ROWS_MAX + 1)})["as:/variables/x"] == "json"
    fields = {"rows:/variables/x": "999"}
    assert len(field_of(slot_of(each), fields, "x").parts) == ROWS_MAX
    assert len(field_of(slot_of(each), with_row(fields, "/variables/x"), "x").parts) == ROWS_MAX


def test_a_value_of_too_many_controls_is_entered_as_json() -> None:
    each = variable("list(object({a = list(string)}))")
    value = [{"a": ["b"] * 20}] * 20
    assert first_fields([each], {"x": value})["as:/variables/x"] == "json"
    assert "as:/variables/x" not in first_fields([each], {"x": value[:2]})
    lie = {"rows:/variables/x": "50", **{f"rows:/variables/x/{n}/a": "50" for n in range(50)}}
    assert is_too_large(slot_of(each), lie)
    assert not is_too_large(slot_of(each), {"rows:/variables/x": "50"})
    wide = variable(f"object({{{', '.join(f'a{n} = string' for n in range(500))}}})")
    assert first_fields([wide]) == {"as:/variables/x": "json", "/variables/x": ""}
    assert values_of([wide], first_fields([wide])) == ({}, [])


def test_a_value_can_be_entered_another_way_and_stays_the_same() -> None:
    each = variable("map(number)")
    fields = first_fields([each], {"x": {"a": 1, "b": 2.5}})
    as_json = entered_as(fields, each, "json")
    assert as_json == {"as:/variables/x": "json", "/variables/x": '{"a": 1, "b": 2.5}'}
    assert entered_as(as_json, each, "plain") == fields
    broken = {**as_json, "/variables/x": "{"}
    assert entered_as(broken, each, "plain") == broken
    text = variable("string")
    lines = entered_as({"/variables/x": "a"}, text, "lines")
    assert lines == {"as:/variables/x": "lines", "/variables/x": "a"}
    assert field_of(slot_of(text), lines, "x").shown == "lines"


def test_groups_are_steps_in_their_order_and_problems_stand_at_their_variable() -> None:
    offered = [variable("string", "a"), variable("list(string)", "b", group=5)]
    problem = {"pointer": "/variables/b/0", "message": "must be a string", "code": "WRONG_TYPE"}
    first, second = steps_of(offered, {}, [problem])
    assert (first.number, first.has_problems) == (1, False)
    assert (second.number, second.has_problems) == (2, True)
    assert second.variables[0].problems == (("0", "must be a string"),)
    rows = {"rows:/variables/b": "1"}
    assert steps_of(offered, rows, [problem])[1].variables[0].problems[0][0] == "1"


def test_only_changes_that_are_not_safe_are_warned_of() -> None:
    safe, unsafe = variable("number", "a"), variable("number", "b", default=1, update_safe=False)
    offered, present = [safe, unsafe], {"a": 1}
    fields = first_fields(offered, present)
    (step,) = steps_of(offered, fields, present=present)
    assert [each.warns for each in step.variables] == [False, False]
    (step,) = steps_of(
        offered, {**fields, "/variables/a": "2", "/variables/b": "2"}, present=present
    )
    assert [(each.is_changed, each.warns) for each in step.variables] == [
        (True, False),
        (True, True),
    ]


def test_after_a_button_one_goes_on_at_what_it_made() -> None:
    offered = [variable("list(object({a = map(string)}))")]
    fields = {"rows:/variables/x": "2", "rows:/variables/x/1/a": "1"}
    steps = steps_of(offered, fields)
    assert focus_of(steps, "add:/variables/x/1/a") == "key:/variables/x/1/a/0"
    assert focus_of(steps, "add:/variables/x") == "key:/variables/x/1/a/0"
    assert focus_of(steps, "drop:/variables/x/0/a:0") == "/variables/x/0/a"
    assert focus_of(steps, "as:x:json") == "/variables/x/0/a"
    assert focus_of(steps, "add:/variables/y") == ""


def test_options_are_chosen_exactly() -> None:
    each = variable("string", options=["1", "", "a b"])
    fields = written(slot_of(each), "")
    assert fields == {"/variables/x": '""'}
    assert read(slot_of(each), fields, []) == ""
    assert read(slot_of(each), {"/variables/x": ""}, []) is ABSENT
    of_items = variable("set(string)", options=["eu", "us"])
    rows = {"rows:/variables/x": "1", "/variables/x/0": '"us"'}
    assert read(slot_of(of_items), rows, []) == ["us"]
    assert field_of(slot_of(of_items), rows, "x").parts[0].shown == "choice"
    assert written(slot_of(each), "gone")["as:/variables/x"] == "json"


@pytest.mark.parametrize("text", ["1e-99999999999999999999", "1e99999999999999999999", "1e-400"])
def test_a_number_beyond_all_others_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(JsonTextError, match="more digits"):
        value_of_json(f"[{text}]")
    wrong: list[Wrong] = []
    fields = {"as:/variables/x": "json", "/variables/x": text}
    assert read(slot_of(variable("number")), fields, wrong) is ABSENT
    assert [each.code for each in wrong] == ["INVALID_JSON"]
