"""A module's variables as the fields of a form, and what was sent as values again.

A form's fields are texts by name. A value's field has the JSON pointer of its place as its name
(`/variables/pools/0/name`; the rows of a map are counted like those of a list), which but for the
keys of maps is the pointer by which the API tells what is wrong there. Beside it may stand:

- `use:` + name: `null`, or `empty` (the empty text, list or map) where an empty field would mean
  that nothing is given;
- `as:` + name: `json`, where the field holds the value's JSON, or `lines`, a text of many lines;
- `rows:` + name: how many rows a list or map has; `key:` + a row's name: its key in a map.

Whatever a form's own fields could not tell exactly is written as JSON: reading what was written
gives the same value for every value of every type. Types are never judged here, the API does that:
what is no number is handed on as the text that it is, and refused by name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from math import isfinite
from typing import Any, Final

from contracts.variables import MASK
from services.gateway.web.variable_slots import ABSENT, Absent, Slot, slot_of

ROWS_MAX: Final = 50
"""Rows of a list or map; a longer one is edited as JSON."""
CONTROLS_MAX: Final = 400
"""Controls of a variable, all rows and attributes together; a larger value is edited as JSON."""
NUMBER_LENGTH_MAX: Final = 100

Fields = Mapping[str, str]

_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NOT_IN_A_FIELD: Final = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")


class JsonTextError(ValueError):
    """A text that is no JSON, or holds what JSON's readers do not keep."""


@dataclass(frozen=True)
class Wrong:
    """What is wrong with what was entered, so that the API cannot even be asked."""

    pointer: str
    message: str
    code: str


def first_fields(
    variables: Iterable[Mapping[str, Any]], present: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return what a form begins with: the present values, else the defaults; never a secret."""
    fields: dict[str, str] = {}
    for variable in variables:
        given = (present or {}).get(variable["name"], ABSENT)
        if variable["sensitive"]:
            continue
        if given is ABSENT and not variable["required"] and variable["default"] is not None:
            given = variable["default"]
        slot = slot_of(variable)
        found = written(slot, given)
        fields |= _as_json(slot, given) if is_too_large(slot, found) else found
    return fields


def is_too_large(slot: Slot, fields: Fields) -> bool:
    """Return whether a value has more controls than a form can have for it."""
    return sum(1 for _ in islice(_places(slot, fields), CONTROLS_MAX + 1)) > CONTROLS_MAX


def _places(slot: Slot, fields: Fields) -> Iterator[Slot]:
    yield slot
    if fields.get(f"as:{slot.name}") == "json":
        return
    inner: Iterable[Slot] = ()
    if slot.widget in {"rows", "entries"}:
        inner = (slot.row(number) for number in range(row_count(slot.name, fields)))
    elif slot.widget in {"attributes", "items"}:
        inner = (each for _, each in slot.slots())
    for each in inner:
        yield from _places(each, fields)


def values_of(
    variables: Iterable[Mapping[str, Any]],
    fields: Fields,
    present: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], list[Wrong]]:
    """Return the values that a form gives, and what is wrong with them.

    What is still the module's default is left out, unless it is given at present. A secret that is
    present and not entered anew is kept, which its mask says.
    """
    present = present or {}
    values: dict[str, Any] = {}
    wrong: list[Wrong] = []
    for variable in variables:
        name = variable["name"]
        value = read(slot_of(variable), fields, wrong)
        if variable["sensitive"]:
            value = MASK if value is ABSENT and name in present else value
        elif not variable["required"] and name not in present and same(value, variable["default"]):
            continue
        if value is not ABSENT:
            values[name] = value
    return values, wrong


def written(slot: Slot, value: Any) -> dict[str, str]:
    """Return the fields that tell a value."""
    if value is ABSENT:
        return {}
    if value is None and "null" in slot.uses:
        return {f"use:{slot.name}": "null"}
    if "empty" in slot.uses and same(value, slot.empty):
        return {f"use:{slot.name}": "empty"}
    fields = _plainly(slot, value)
    wrong: list[Wrong] = []
    # Whatever the plain way would lose, for whatever reason, is told as JSON.
    if fields is not None and same(read(slot, fields, wrong), value) and not wrong:
        return fields
    return _as_json(slot, value)


def _as_json(slot: Slot, value: Any) -> dict[str, str]:
    text = "" if value is ABSENT else json_text(value)
    return {f"as:{slot.name}": "json", slot.name: text}


def read(slot: Slot, fields: Fields, wrong: list[Wrong]) -> Any:
    """Return the value that was entered in a place, or `ABSENT`."""
    use = fields.get(f"use:{slot.name}", "")
    if use in slot.uses:
        return None if use == "null" else slot.empty
    if slot.widget == "json" or fields.get(f"as:{slot.name}") == "json":
        return _read_json(slot, fields, wrong)
    match slot.widget:
        case "text":
            if slot.name not in fields and not slot.in_a_list:
                return ABSENT
            return _unless_empty(slot, fields.get(slot.name, ""))
        case "number":
            return _read_number(slot, fields, wrong)
        case "choice":
            return _read_choice(slot, fields, wrong)
        case "rows" | "entries":
            return _read_rows(slot, fields, wrong)
        case _:
            return _read_parts(slot, fields, wrong)


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same in every respect: 5 and 5.0 are not."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def json_text(value: Any) -> str:
    """Return a value as JSON that people can read."""
    text = json.dumps(value, ensure_ascii=False)
    if _NOT_IN_A_FIELD.search(text):
        return json.dumps(value)
    short = len(text) <= 60 or not isinstance(value, dict | list)  # noqa: PLR2004 - a line
    return text if short else json.dumps(value, ensure_ascii=False, indent=2)


def _plainly(slot: Slot, value: Any) -> dict[str, str] | None:
    """Return the fields of a value without JSON, if its kind has such fields."""
    name = slot.name
    match slot.widget:
        case "text" if isinstance(value, str) and not _NOT_IN_A_FIELD.search(value):
            return {name: value, **({f"as:{name}": "lines"} if "\n" in value else {})}
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return {name: repr(value)}
        case "choice" if any(same(value, each) for each in slot.choices):
            return {name: json.dumps(value)}
        case "rows" if isinstance(value, list) and len(value) <= ROWS_MAX:
            fields = {f"rows:{name}": str(len(value))}
            for number, item in enumerate(value):
                fields |= written(slot.row(number), item)
            return fields
        case "entries" if isinstance(value, dict) and len(value) <= ROWS_MAX:
            fields = {f"rows:{name}": str(len(value))}
            for number, (key, item) in enumerate(value.items()):
                if "\n" in key or _NOT_IN_A_FIELD.search(key):
                    return None
                fields[f"key:{name}/{number}"] = key
                fields |= written(slot.row(number, key), item)
            return fields
        case "attributes" if isinstance(value, dict):
            return _parts(slot, value)
        case "items" if isinstance(value, list):
            return _parts(slot, {str(n): item for n, item in enumerate(value)})
        case _:
            return None


def _parts(slot: Slot, value: dict[str, Any]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for step, inner in slot.slots():
        fields |= written(inner, value.get(step, ABSENT))
    return fields


def _unless_empty(slot: Slot, value: Any) -> Any:
    return ABSENT if slot.empty_is_absent and not value else value


def _read_number(slot: Slot, fields: Fields, wrong: list[Wrong]) -> Any:
    text = fields.get(slot.name, "").strip()
    if not text:
        return _nothing(slot, wrong)
    if len(text) > NUMBER_LENGTH_MAX or not _NUMBER.fullmatch(text):
        return text
    try:
        return exact_number(text)
    except JsonTextError as error:
        wrong.append(Wrong(slot.pointer, str(error), "NOT_EXACT"))
        return ABSENT


def exact_number(text: str) -> int | float:
    """Return the number that a text says, else `JsonTextError` where JSON would round it."""
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text)
    try:
        is_exact = isfinite(number) and Decimal(repr(number)) == Decimal(text)
    except InvalidOperation:
        # More digits in its exponent than even Decimal takes.
        is_exact = False
    if not is_exact:
        raise JsonTextError("has more digits than are kept exactly")
    return number


def _read_choice(slot: Slot, fields: Fields, wrong: list[Wrong]) -> Any:
    text = fields.get(slot.name, "")
    if not text:
        return _nothing(slot, wrong)
    return next((each for each in slot.choices if json.dumps(each) == text), text)


def _read_json(slot: Slot, fields: Fields, wrong: list[Wrong]) -> Any:
    text = fields.get(slot.name, "").strip()
    if not text:
        return _nothing(slot, wrong)
    try:
        return value_of_json(text)
    except JsonTextError as error:
        wrong.append(Wrong(slot.pointer, str(error), "INVALID_JSON"))
        return ABSENT


def _nothing(slot: Slot, wrong: list[Wrong]) -> Absent:
    """Return that nothing is given, which in a list is wrong."""
    if slot.in_a_list:
        wrong.append(Wrong(slot.pointer, "is empty", "REQUIRED"))
    return ABSENT


def value_of_json(text: str) -> Any:
    """Return the value that a text is the JSON of, else `JsonTextError`."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(found)
        if len(value) < len(found):
            raise JsonTextError("has a key twice")
        return value

    def nothing(word: str) -> Any:
        raise JsonTextError(f"{word} is no JSON")

    def whole(digits: str) -> int:
        if len(digits) > NUMBER_LENGTH_MAX:
            raise JsonTextError("has a number with too many digits")
        return int(digits)

    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_constant=nothing,
            parse_float=exact_number, parse_int=whole,
        )  # fmt: skip
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise JsonTextError(f"is no JSON: {error.msg.lower()}, {where}") from error
    except RecursionError as error:
        raise JsonTextError("is nested too deep") from error
    except UnicodeEncodeError as error:
        raise JsonTextError("holds what is no valid Unicode") from error
    return value


def _read_rows(slot: Slot, fields: Fields, wrong: list[Wrong]) -> Any:
    if f"rows:{slot.name}" not in fields and not slot.in_a_list:
        return ABSENT
    count = row_count(slot.name, fields)
    if slot.widget == "rows":
        items = [read(slot.row(number), fields, wrong) for number in range(count)]
        return _unless_empty(slot, [each for each in items if each is not ABSENT])
    value: dict[str, Any] = {}
    for number in range(count):
        key = fields.get(f"key:{slot.name}/{number}", "")
        place = slot.row(number, key)
        if key in value:
            wrong.append(Wrong(place.pointer, f"the key {key!r} is there twice", "KEY_TWICE"))
        item = read(place, fields, wrong)
        if item is not ABSENT:
            value[key] = item
    return _unless_empty(slot, value)


def row_count(name: str, fields: Fields) -> int:
    """Return how many rows a list or map has in a form."""
    text = fields.get(f"rows:{name}", "0")
    return min(ROWS_MAX, int(text)) if text.isascii() and text.isdigit() and len(text) < 4 else 0  # noqa: PLR2004 - more digits than the most rows have


def _read_parts(slot: Slot, fields: Fields, wrong: list[Wrong]) -> Any:
    there: list[Wrong] = []
    parts = [(step, read(inner, fields, there)) for step, inner in slot.slots()]
    if slot.widget == "items":
        items = [each for _, each in parts]
        is_empty = _is_nothing(items) and all(each.code == "REQUIRED" for each in there)
        if is_empty and not slot.in_a_list:
            return ABSENT
        wrong += there
        return items
    wrong += there
    return _unless_empty(slot, {step: each for step, each in parts if each is not ABSENT})


def _is_nothing(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_nothing(each) for each in value)
    return value is ABSENT or value in ("", {})
