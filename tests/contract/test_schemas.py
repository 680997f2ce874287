"""The committed JSON Schemas are what the classes say, and both accept the same messages."""

import copy
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from contracts import export
from contracts.export import Contract, contracts_of, drift
from contracts.registry import EVENTS, REGISTRY
from tests.support.json_schemas import values_of

CONTRACTS = {contract.name: contract for contract in contracts_of(REGISTRY)}
MESSAGES = sorted(EVENTS)


def test_the_committed_schemas_are_what_the_classes_say() -> None:
    changed = sorted(drift(list(CONTRACTS.values()), export.SCHEMAS))
    assert changed == [], "run tollgate schemas, and look at what it changed"


def test_writing_schemas_changes_only_what_is_not_as_it_should_be(tmp_path: Path) -> None:
    contracts = list(CONTRACTS.values())
    assert len(export.write(contracts, tmp_path)) == len(contracts)
    assert export.write(contracts, tmp_path) == []

    (tmp_path / "ledger" / "hold_placed.v1.json").write_text("{}")
    (tmp_path / "ledger" / "forgotten.v1.json").write_text("{}")

    assert export.write(contracts, tmp_path) == [
        "ledger/forgotten.v1.json",
        "ledger/hold_placed.v1.json",
    ]
    assert drift(contracts, tmp_path) == {}


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_schema_is_valid_and_says_which_draft_it_is_of(contract: Contract) -> None:
    Draft202012Validator.check_schema(contract.schema)
    assert contract.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert contract.schema["$id"].startswith("urn:tollgate:schema:")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_schema_is_called_as_its_messages_say(name: str) -> None:
    assert CONTRACTS[name].schema["$id"] == EVENTS[name].schema_id()


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_every_length_and_number_has_a_bound(contract: Contract) -> None:
    unbounded = sorted(_unbounded(contract.schema, ""))
    assert unbounded == []


def _unbounded(schema: Any, place: str) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _unbounded(item, place)
    if not isinstance(schema, dict):
        return
    kind, pattern = schema.get("type"), schema.get("pattern")
    bounded_text = schema.keys() & {"maxLength", "const", "enum", "format"}
    if kind == "string" and not bounded_text and (pattern is None or set(pattern) & set("+*")):
        yield place
    bounded_number = schema.keys() & {"minimum", "exclusiveMinimum"} and "maximum" in schema
    if kind == "integer" and not bounded_number:
        yield place
    for name, inner in schema.items():
        if name not in {"default", "const", "enum", "examples"}:
            yield from _unbounded(inner, f"{place}/{name}")


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_schema_accepts_the_class_accepts_and_tells_again(
    name: str, data: st.DataObject
) -> None:
    value = data.draw(values_of(CONTRACTS[name].schema))

    message = EVENTS[name].model_validate_json(json.dumps(value))

    told = message.model_dump_json()
    assert EVENTS[name].model_validate_json(told) == message
    assert EVENTS[name].model_validate_json(told).model_dump_json() == told
    Draft202012Validator(CONTRACTS[name].schema).validate(json.loads(told))


FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_a_moment(value: object) -> bool:
    """Say what RFC 3339 says; the library leaves it to a package of its own."""
    return not isinstance(value, str) or (
        re.fullmatch(r"[^ ]{10}T[^ ]+(Z|[+-][0-9:]{5})", value) is not None
        and datetime.fromisoformat(value).tzinfo is not None
    )


LOOK_ALIKES: tuple[Any, ...] = ("5", 5, 5.5, True, None, [], {}, "", -1, 2**60)


@pytest.mark.parametrize("name", MESSAGES)
def test_what_the_schema_refuses_the_class_refuses(name: str) -> None:
    """Each leaf of the golden example is replaced by things that it may be mistaken for."""
    contract = CONTRACTS[name]
    example = json.loads((export.HOME / "examples" / contract.path).read_bytes())["data"]
    validator = Draft202012Validator(contract.schema, format_checker=FORMATS)
    accepted_by_one_only = [
        (place, look_alike)
        for place in _leaves(example)
        for look_alike in LOOK_ALIKES
        if (changed := _replaced(example, place, look_alike)) is not None
        and validator.is_valid(changed) != _accepts(name, changed)
    ]
    assert accepted_by_one_only == []


def _accepts(name: str, value: Any) -> bool:
    try:
        EVENTS[name].model_validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


def _leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    if place:
        yield place
    for name, item in inner:
        yield from _leaves(item, (*place, name))


def _at(value: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


def _replaced(value: Any, place: tuple[str | int, ...], new: Any) -> Any:
    changed = copy.deepcopy(value)
    _at(changed, place[:-1])[place[-1]] = new
    return changed
