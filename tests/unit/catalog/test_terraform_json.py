import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.variables.expressions import parse
from contracts.variables.values import constant, from_json
from services.catalog.definition import ModuleRefusedError, Validation
from services.catalog.plain_json import LEVELS_MAX
from services.catalog.terraform_files import read_terraform
from tests.unit.catalog.json_corpus import INVALID, VALID
from tests.unit.catalog.modules import definition, files, refusals

TEXTS = st.sampled_from(["for", "null", "a-b", "é", "1"]) | st.text('a${}%"\\\n\t /#é', max_size=5)
NUMBERS = st.integers(-9999, 9999).map(lambda whole: whole / 64)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner),
    max_leaves=12,
)


def module(text: str, **more: str | bytes) -> dict[str, bytes]:
    return files(**more) | {"variables.tf.json": text.encode()}


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_valid_json_is_read(text: str) -> None:
    definition(module(text))


@pytest.mark.parametrize(("text", "line", "message"), INVALID.values(), ids=INVALID)
def test_a_mistake_is_named_by_its_line(text: str, line: int, message: str) -> None:
    [(file, found_line, found)] = refusals(module(text))
    assert (file, found_line) == ("variables.tf.json", line)
    assert found.startswith(message)


def test_a_variable_in_json_is_the_one_that_hcl_would_make() -> None:
    [ours] = definition(module(VALID["validations"])).variables
    assert (ours.name, ours.type, ours.default) == ("a", "number", 2)
    assert ours.validations == (
        Validation(condition="var.a > 1", message="More than ${1}.", decidable=True),
        Validation(condition="contains([2, 3], var.a)", message="No.", decidable=True),
    )
    [literal] = definition(module(VALID["texts are literal"])).variables
    assert literal.default == '${b} %{if} $${c} \\ " é\n\t'
    assert literal.description == "a ${b}"
    [output] = definition(module(VALID["outputs"])).outputs
    assert (output.name, output.description, output.sensitive) == ("o", "O.", True)


def test_nesting_without_end_is_refused() -> None:
    deep = '{"variable": {"a": {"default": ' + "[" * LEVELS_MAX + "]" * LEVELS_MAX + "}}}"
    [(_, _, message)] = refusals(module(deep))
    assert message == f"is nested more than {LEVELS_MAX} levels deep"
    [(_, _, message)] = refusals(module('{"variable": {"a": {"default": 1e999999}}}'))
    assert message.startswith("`1e999999` ")


def test_metadata_may_stand_in_json() -> None:
    text = '{"variable": {"module_description": {"default": "D."}, "credit_cost": {"default": 5}}}'
    read = definition(module(text, module_yaml=""), "web")
    assert (read.name, read.description, read.credit_cost) == ("web", "D.", 5)
    assert read.variables == ()


def test_files_that_terraform_passes_over_are_passed_over() -> None:
    hidden = {".variables.tf": b"@@@", "variables.tf~": b"@@@", ".x.tf.json": b"@@@"}
    assert definition(files() | hidden).variables == ()


@given(JSON_VALUES)
def test_any_default_is_read_as_it_stands(value: Any) -> None:
    text = json.dumps({"variable": {"a": {"default": value}}}, ensure_ascii=False)
    [block] = read_terraform("a.tf.json", text.encode())
    assert constant(parse(block.attributes["default"].text)) == from_json(value)


@given(st.sampled_from(sorted(VALID.values())), st.data())
def test_any_damage_is_read_still_or_refused(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    piece = data.draw(st.sampled_from(["", '"', "{", "}", "[", "]", ",", ":", "null", "-", "\\u"]))
    try:
        read_terraform("a.tf.json", (text[:start] + piece + text[end:]).encode())
    except ModuleRefusedError as error:
        assert error.problems
