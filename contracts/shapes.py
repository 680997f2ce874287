"""What a schema demands, without its words: the part that may never change once released.

Two schemas have one shape where they accept the same values for the same reasons. Titles,
descriptions and the names of inner definitions are words; they may be made better at any time,
and a newer schema generator may order keywords as it likes.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

_WORDS: Final = frozenset({"$schema", "$comment", "title", "description", "examples", "$defs"})
_SETS: Final = frozenset({"required", "enum", "type"})
_ALTERNATIVES: Final = frozenset({"anyOf", "oneOf", "allOf"})
_NAMED_SCHEMAS: Final = frozenset({"properties", "patternProperties"})
_VALUES: Final = frozenset({"default", "const"})
DEPTH_MAX: Final = 40
QUOTED_LENGTH_MAX: Final = 120


def shape_of(schema: dict[str, Any]) -> Any:
    """Return the shape: definitions put where they are used, words left out, sets sorted.

    `ValueError` where definitions are used deeper than 40, as a recursive one would be.
    """
    return _shape(schema, schema.get("$defs", {}), 0)


def digest_of(value: Any) -> str:
    """Return `sha256:` and the digest of a JSON value, however it was indented or ordered."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Yield how one JSON value differs from another, as `/place: before → now`."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            inner = f"{place}/{name}"
            if name not in now:
                yield f"{inner}: gone, was {_short(before[name])}"
            elif name not in before:
                yield f"{inner}: new, {_short(now[name])}"
            else:
                yield from differences(before[name], now[name], inner)
    elif before != now:
        yield f"{place or '/'}: {_short(before)} → {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= QUOTED_LENGTH_MAX else f"{text[:QUOTED_LENGTH_MAX]}…"


def _shape(schema: Any, definitions: dict[str, Any], depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ValueError(f"definitions are nested deeper than {DEPTH_MAX}")
    if isinstance(schema, list):
        return [_shape(item, definitions, depth) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = target | {name: value for name, value in schema.items() if name != "$ref"}
    return {
        name: _keyword(name, value, definitions, depth + 1)
        for name, value in schema.items()
        if name not in _WORDS
    }


def _keyword(name: str, value: Any, definitions: dict[str, Any], depth: int) -> Any:
    if name in _VALUES:
        return value
    if name in _NAMED_SCHEMAS:
        return {key: _shape(inner, definitions, depth) for key, inner in value.items()}
    if name in _SETS:
        return sorted(value, key=json.dumps) if isinstance(value, list) else value
    if name in _ALTERNATIVES:
        return sorted((_shape(inner, definitions, depth) for inner in value), key=digest_of)
    return _shape(value, definitions, depth)
