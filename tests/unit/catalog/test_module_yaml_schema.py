"""The published schema of `module.yaml` says what the reader does."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from services.catalog import module_yaml_schema
from services.catalog.definition import ModuleRefusedError
from services.catalog.module_yaml import (
    MODULE_FIELDS,
    VARIABLE_FIELDS,
    read_module_yaml,
)

DOCS: Final = Path(__file__).parents[3] / "docs"
SCHEMA: Final = json.loads((DOCS / "module-yaml.schema.json").read_bytes())
VALIDATOR: Final = Draft202012Validator(SCHEMA)
MINIMAL: Final[dict[str, Any]] = {"name": "web", "credit_cost": 5}


def reader_accepts(content: bytes) -> bool:
    try:
        read = read_module_yaml(content)
    except ModuleRefusedError:
        return False
    # That a name must be there, is said where the directory is known.
    return read.name is not None


def test_the_published_schema_is_up_to_date() -> None:
    assert not module_yaml_schema.is_stale(), "run `make schemas`"
    Draft202012Validator.check_schema(SCHEMA)


def test_every_field_has_its_row_in_the_documentation() -> None:
    text = (DOCS / "module-yaml.md").read_text(encoding="utf-8")
    for fields in (MODULE_FIELDS, VARIABLE_FIELDS):
        for name, field in fields.items():
            assert f"| `{name}` |" in text
            assert field.schema["description"]


@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({}, True),
        ({"title": "Web", "description": "x\ny", "tags": ["a", "b"]}, True),
        ({"documentation": "HTTPS://example.com/x"}, True),
        ({"credit_cost": 0}, True),
        ({"credit_cost": 2**53 - 1}, True),
        ({"variables": []}, True),
        ({"variables": [{"name": "a"}]}, True),
        (
            {
                "variables": [
                    {"name": "a", "type": "list(string)", "default": ["x"], "options": ["x", 1]},
                    {"name": "b", "default": None, "group": 0, "order": 1_000_000},
                    {"name": "c", "description": "", "sensitive": True, "update_safe": False},
                ]
            },
            True,
        ),
        ({"name": ""}, False),
        ({"name": "-web"}, False),
        ({"name": "a b"}, False),
        ({"name": "w" * 101}, False),
        ({"name": None}, False),
        ({"name": 5}, False),
        ({"credit_cost": -1}, False),
        ({"credit_cost": 1.5}, False),
        ({"credit_cost": 2**53}, False),
        ({"credit_cost": True}, False),
        ({"credit_cost": "5"}, False),
        ({"credit_cost": None}, False),
        ({"credit_costs": 5}, False),
        ({"title": 5}, False),
        ({"title": "x" * 201}, False),
        ({"require_credit_purchases": "true"}, False),
        ({"public_access": 1}, False),
        ({"documentation": "ftp://example.com"}, False),
        ({"documentation": "https://"}, False),
        ({"documentation": "https:///path"}, False),
        ({"tags": "a"}, False),
        ({"tags": [1]}, False),
        ({"tags": ["x" * 101]}, False),
        ({"tags": ["x"] * 51}, False),
        ({"variables": {"name": "a"}}, False),
        ({"variables": ["a"]}, False),
        ({"variables": [{}]}, False),
        ({"variables": [{"group": 1}]}, False),
        ({"variables": [{"name": "a", "group": -1}]}, False),
        ({"variables": [{"name": "a", "group": 1_000_001}]}, False),
        ({"variables": [{"name": "a", "order": "1"}]}, False),
        ({"variables": [{"name": "a", "options": "x"}]}, False),
        ({"variables": [{"name": "a", "updatesafe": True}]}, False),
        ({"variables": [{"name": "a", "type": ["string"]}]}, False),
    ],
)
def test_schema_and_reader_agree(more: dict[str, Any], *, good: bool) -> None:
    document = MINIMAL | more
    assert VALIDATOR.is_valid(document) is good
    assert reader_accepts(yaml.safe_dump(document).encode()) is good


def test_a_name_is_needed() -> None:
    assert not VALIDATOR.is_valid({"credit_cost": 5})
    assert not reader_accepts(b"credit_cost: 5\n")


TEXT: Final = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), max_size=9)
PLAIN: Final = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**60)
    | TEXT
    | st.sampled_from(["web", "https://example.com", "string"])
    | st.lists(TEXT | st.integers(), max_size=3)
    | st.dictionaries(TEXT, TEXT, max_size=2)
)
# A type is an expression; no schema says which texts are one.
VARIABLE: Final = st.dictionaries(
    st.sampled_from([name for name in VARIABLE_FIELDS if name != "type"]) | TEXT, PLAIN, max_size=5
)
DOCUMENT: Final = st.builds(
    lambda fields, variables: {**MINIMAL, **fields, **variables},
    st.dictionaries(st.sampled_from(list(MODULE_FIELDS)) | TEXT, PLAIN, max_size=5),
    st.fixed_dictionaries({}, optional={"variables": st.lists(VARIABLE, max_size=1)}),
)


@given(DOCUMENT)
def test_schema_and_reader_agree_on_any_document(document: dict[str, Any]) -> None:
    text = json.dumps(document).encode()  # JSON is YAML, and leaves no doubt about types.
    assert reader_accepts(text) is VALIDATOR.is_valid(document)
