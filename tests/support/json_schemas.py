"""Hypothesis strategies for the values that a JSON Schema of ours accepts."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st

JsonObject = dict[str, Any]
Build = Callable[[JsonObject, Mapping[str, JsonObject]], st.SearchStrategy[Any]]

TEXT: Final = st.characters(codec="utf-8", exclude_characters="\0")
ITEMS_MAX: Final = 3
TEXT_LENGTH_MAX: Final = 40
_JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(TEXT, max_size=TEXT_LENGTH_MAX),
    lambda inner: (
        st.lists(inner, max_size=ITEMS_MAX)
        | st.dictionaries(st.text(TEXT, max_size=TEXT_LENGTH_MAX), inner, max_size=ITEMS_MAX)
    ),
    max_leaves=5,
)


def values_of(schema: JsonObject) -> st.SearchStrategy[Any]:
    """Return a strategy of JSON values that the schema accepts; lists and texts are kept short."""
    return _values(schema, schema.get("$defs", {}))


def _values(schema: JsonObject, definitions: Mapping[str, JsonObject]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _values(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*(_values(inner, definitions) for inner in schema["anyOf"]))
    if "type" not in schema:
        return _JSON
    build: Build = _BY_TYPE[schema["type"]]
    return build(schema, definitions)


def _text(schema: JsonObject, _: Mapping[str, JsonObject]) -> st.SearchStrategy[Any]:
    if schema.get("format") == "date-time":
        return _instants()
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if "pattern" in schema:
        pattern = schema["pattern"].removesuffix("$")
        matching = st.from_regex(pattern, fullmatch=True, alphabet=TEXT)
        return matching.filter(lambda text: least <= len(text) <= most)
    return st.text(TEXT, min_size=least, max_size=int(min(most, TEXT_LENGTH_MAX)))


def _instants() -> st.SearchStrategy[str]:
    moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
    return moments.map(lambda moment: moment.isoformat().replace("+00:00", "Z"))


def _integer(schema: JsonObject, _: Mapping[str, JsonObject]) -> st.SearchStrategy[Any]:
    least = schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else schema["minimum"]
    return st.integers(least, schema.get("maximum", 2**53 - 1))


def _array(schema: JsonObject, definitions: Mapping[str, JsonObject]) -> st.SearchStrategy[Any]:
    items = _values(schema["items"], definitions)
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=ITEMS_MAX)


def _object(schema: JsonObject, definitions: Mapping[str, JsonObject]) -> st.SearchStrategy[Any]:
    if "patternProperties" in schema:
        ((pattern, inner),) = schema["patternProperties"].items()
        names = _text(schema["propertyNames"] | {"pattern": pattern}, definitions)
        return st.dictionaries(names, _values(inner, definitions), max_size=ITEMS_MAX)
    return st.fixed_dictionaries(
        {name: _values(inner, definitions) for name, inner in schema["properties"].items()}
    )


_BY_TYPE: Final[dict[str, Build]] = {
    "string": _text,
    "integer": _integer,
    "array": _array,
    "object": _object,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
}
