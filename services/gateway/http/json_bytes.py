"""JSON, written fast and read strictly."""

import json
import math
from typing import Any, Final

import msgspec

from contracts.types import JSON_DEPTH_MAX

NUMBER_LENGTH_MAX: Final = 400
_encoder: Final = msgspec.json.Encoder()


class BadJsonError(ValueError):
    """A text is not JSON as everybody reads it; the message says why."""


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON."""
    return _encoder.encode(value)


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text, else `BadJsonError`.

    Stricter than Python's reader, where readers of JSON differ: no NaN or infinity, no name twice
    in one object, no half of a surrogate pair, no U+0000, at most 40 deep.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_bounded_int,
        )
    except UnicodeDecodeError as error:
        raise BadJsonError("is not UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadJsonError(f"is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise BadJsonError(f"is nested deeper than {JSON_DEPTH_MAX}") from error
    _check(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJsonError("has an object that names something twice")
    return found


def _no_constant(name: str) -> Any:
    raise BadJsonError(f"holds {name}, which JSON does not have")


def _finite(text: str) -> float:
    value = float(text) if len(text) <= NUMBER_LENGTH_MAX else math.inf
    if not math.isfinite(value):
        raise BadJsonError("holds a number that is too large")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > NUMBER_LENGTH_MAX:
        raise BadJsonError("holds a number that is too large")
    return int(text)


def _check(value: Any) -> None:
    """Refuse texts that cannot be kept, and depth that others would not read."""
    level = [value]
    for _ in range(JSON_DEPTH_MAX):
        level = _check_level(level)
        if not level:
            return
    if any(isinstance(each, dict | list) for each in level):
        raise BadJsonError(f"is nested deeper than {JSON_DEPTH_MAX}")
    _check_level(level)


def _check_level(level: list[Any]) -> list[Any]:
    """Return what the values of one level hold, after a look at their texts."""
    following: list[Any] = []
    for each in level:
        if isinstance(each, str):
            _check_text(each)
        elif isinstance(each, dict):
            for name in each:
                _check_text(name)
            following.extend(each.values())
        elif isinstance(each, list):
            following.extend(each)
    return following


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadJsonError("holds U+0000")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJsonError("holds half of a surrogate pair") from error
