"""Values as Terraform sees them: exact numbers, and what JSON and literals become.

In here a value is a `str`, `int`, `Decimal`, `bool`, `None`, or a list or dict of values. No float
ever: 0.1 is 0.1.
"""

import math
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from contracts.types import WHOLE_NUMBER_MAX
from contracts.variables.expressions import Expression, Name, Object, Tuple
from contracts.variables.templates import Literal

STRING_LENGTH_MAX: Final = 65_536
ITEMS_MAX: Final = 10_000
"""Items of all lists and objects of a value together."""
LEVELS_MAX: Final = 20

_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
KINDS: Final[dict[type, str]] = {
    type(None): "null", bool: "a boolean", int: "a number", float: "a number", Decimal: "a number",
    str: "a string", list: "a list", tuple: "a list", dict: "an object",
}  # fmt: skip


class NotConstantError(ValueError):
    """An expression whose value depends on something, so that only Terraform can tell it."""


class UnfitValueError(ValueError):
    """A value that is too large or no JSON value; `path` leads to the offending part."""

    def __init__(self, message: str, path: tuple[str | int, ...]) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


def kind_of(value: object) -> str:
    """Return what JSON calls the value, with its article."""
    return KINDS.get(type(value), f"a {type(value).__name__}")


def is_number(value: object) -> bool:
    """Return whether the value is a number: True and False are none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def from_json(value: Any) -> Any:
    """Return a decoded JSON value with exact numbers, else `UnfitValueError`.

    Whole numbers beyond 2^53 - 1 are refused, since not every reader of JSON holds them exactly;
    so are NaN, infinities, lone surrogates, and whatever is larger than the bounds above.
    """
    budget = iter(range(ITEMS_MAX))
    return _from_json(value, (), budget)


def _from_json(value: Any, path: tuple[str | int, ...], budget: Iterator[int]) -> Any:
    if len(path) > LEVELS_MAX:
        raise UnfitValueError(f"is nested more than {LEVELS_MAX} levels deep", path)
    if next(budget, None) is None:
        raise UnfitValueError(f"has more than {ITEMS_MAX} items", ())
    match value:
        case None | bool():
            return value
        case int():
            if abs(value) > WHOLE_NUMBER_MAX:
                raise UnfitValueError(
                    f"is beyond {WHOLE_NUMBER_MAX}, the largest exact number", path
                )
            return value
        case float():
            if not math.isfinite(value):
                raise UnfitValueError("is not a finite number", path)
            return exact(Decimal(repr(value)))
        case Decimal():
            return value
        case str():
            return _text(value, path)
        case list() | tuple():
            return [_from_json(item, (*path, n), budget) for n, item in enumerate(value)]
        case dict():
            return {
                _key(key, path): _from_json(item, (*path, str(key)), budget)
                for key, item in value.items()
            }
        case _:
            raise UnfitValueError(f"is {kind_of(value)}, which JSON has not", path)


def _key(key: object, path: tuple[str | int, ...]) -> str:
    if not isinstance(key, str):
        raise UnfitValueError(f"has a key that is {kind_of(key)}", path)
    return _text(key, path)


def _text(text: str, path: tuple[str | int, ...]) -> str:
    if len(text) > STRING_LENGTH_MAX:
        raise UnfitValueError(f"is longer than {STRING_LENGTH_MAX} characters", path)
    if _NO_TEXT.search(text) is not None:
        raise UnfitValueError("holds NUL, or what is not valid Unicode", path)
    return unicodedata.normalize("NFC", text)


def exact(number: Decimal) -> int | Decimal:
    """Return a whole number as `int`, so that 5.0 and 5 are one value."""
    return int(number) if number == number.to_integral_value() else number


def identity(value: Any) -> Any:
    """Return something hashable that is the same for the same value, and for no other."""
    match value:
        case list():
            return ("list", tuple(identity(item) for item in value))
        case dict():
            return ("object", tuple((key, identity(value[key])) for key in sorted(value)))
        case _:
            return (type(value).__name__, value)


def unique(items: list[Any]) -> list[Any]:
    """Return each of the items once, in the order of their first coming."""
    found: dict[Any, Any] = {}
    for item in items:
        found.setdefault(identity(item), item)
    return list(found.values())


def to_json(value: Any) -> Any:
    """Return the value with numbers as JSON has them, else `UnfitValueError`."""
    match value:
        case Decimal():
            return float(value)
        case int() if not isinstance(value, bool) and abs(value) > WHOLE_NUMBER_MAX:
            if int(float(value)) != value:
                raise UnfitValueError(f"is beyond {WHOLE_NUMBER_MAX}, the largest exact number", ())
            return float(value)
        case list():
            return [to_json(item) for item in value]
        case dict():
            return {key: to_json(item) for key, item in value.items()}
        case _:
            return value


def constant(expression: Expression) -> Any:
    """Return the value of an expression made of literals alone, else `NotConstantError`."""
    match expression:
        case Literal(value):
            return value
        case Tuple(items):
            return [constant(item) for item in items]
        case Object(items):
            return {_constant_key(key): constant(item) for key, item in items}
        case Name(name):
            raise NotConstantError(f"depends on `{name}`")
        case _:
            raise NotConstantError("is not a constant")


def _constant_key(expression: Expression) -> str:
    key = constant(expression)
    if isinstance(key, str):
        return key
    if is_number(key) or isinstance(key, bool):
        return text_of(key)
    raise NotConstantError("has a key that is no string")


def text_of(value: str | int | Decimal | bool) -> str:  # noqa: FBT001 - a value like the others
    """Return what Terraform writes for a value where a string is wanted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
