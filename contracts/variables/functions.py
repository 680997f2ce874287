"""The functions of Terraform that conditions are decided with.

Each takes values (see `values`) and returns one. `FailedError` means that Terraform would report
an error, `UndecidedError` that we do not know what Terraform would say.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any, Final

import re2

from contracts.variables.types import (
    ANY,
    STRING,
    Collection,
    ConversionError,
    Primitive,
    TerraformType,
    convert,
)
from contracts.variables.values import exact, identity, is_number, unique

PATTERN_LENGTH_MAX: Final = 1_000


class FailedError(Exception):
    """Terraform would report an error here."""


class UndecidedError(Exception):
    """Only Terraform can tell."""


def converted(type_: TerraformType, value: Any) -> Any:
    """Return the value converted as an argument is; null fails, as it does in most functions."""
    if value is None:
        raise FailedError("null")
    try:
        return convert(type_, value)
    except ConversionError as error:
        raise FailedError(str(error)) from error


def text(value: Any) -> str:
    """Return the value as a string."""
    result = converted(STRING, value)
    return result if isinstance(result, str) else str(result)


def number(value: Any) -> int | Decimal:
    """Return the value as a number."""
    result = converted(Primitive("number"), value)
    if isinstance(result, int | Decimal):
        return result
    raise FailedError("not a number")


def truth(value: Any) -> bool:
    """Return the value as a bool."""
    return bool(converted(Primitive("bool"), value))


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FailedError("not a list")
    return value


def same(left: Any, right: Any) -> bool:
    """Return whether `==` holds; collections are equal only if their types are, which we lack."""
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        if left is None or right is None:
            return False
        raise UndecidedError("compares collections")
    return bool(identity(left) == identity(right))


def _contains(collection: Any, wanted: Any) -> bool:
    found = False
    for item in _items(collection):
        if item is not None and wanted is not None and _kind(item) != _kind(wanted):
            raise UndecidedError("looks for a value of another type")
        found = found or same(item, wanted)
    return found


def _kind(value: Any) -> str:
    return "number" if is_number(value) else type(value).__name__


def _length(value: Any) -> int:
    if isinstance(value, list | dict):
        return len(value)
    if isinstance(value, str):
        return _characters(value)
    raise FailedError("has no length")


def _characters(value: str) -> int:
    """Return how many characters Terraform counts, where we can be sure: it counts graphemes."""
    if value.isascii() and "\r" not in value:
        return len(value)
    if any(
        character >= "\u1100" or character == "\r" or unicodedata.category(character)[0] in "MC"
        for character in value
    ):
        raise UndecidedError("has characters of several code points")
    return len(value)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    """Return the pattern compiled by RE2, as Terraform does: it matches in linear time."""
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise UndecidedError("is too long a pattern")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise FailedError("is no valid pattern") from error


def _regex(pattern: Any, value: Any) -> Any:
    match = _compiled(text(pattern)).search(text(value))
    if match is None:
        raise FailedError("does not match")
    if match.groupdict():
        return dict(match.groupdict())
    return list(match.groups()) if match.groups() else match.group()


def _regexall(pattern: Any, value: Any) -> list[Any]:
    return list(_compiled(text(pattern)).findall(text(value)))


def _cased(change: Callable[[str], str]) -> Callable[[Any], str]:
    def apply(value: Any) -> str:
        if not text(value).isascii():
            raise UndecidedError("changes the case of other letters than a to z")
        return change(text(value))

    return apply


def _substr(value: Any, offset: Any, size: Any) -> str:
    whole, start, count = text(value), number(offset), number(size)
    if not whole.isascii() or not isinstance(start, int) or not isinstance(count, int):
        raise UndecidedError("cuts at what may be no character")
    start = start + len(whole) if start < 0 else start
    if start < 0 or count < -1:
        raise UndecidedError("cuts before the beginning")
    return whole[start:] if count == -1 else whole[start : start + count]


def _rounded(rounding: str) -> Callable[[Any], int]:
    return lambda value: int(Decimal(number(value)).to_integral_value(rounding=rounding))


def _all_true(value: Any) -> bool:
    return all(truth(item) for item in _items(value))


def _any_true(value: Any) -> bool:
    return any(truth(item) for item in _items(value))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FailedError("not an object")
    return value


def _lookup(collection: Any, key: Any, *default: Any) -> Any:
    found = _mapping(collection)
    if text(key) in found:
        return found[text(key)]
    if not default:
        raise FailedError("has no such key")
    return default[0]


def _distinct(value: Any) -> list[Any]:
    return unique(_items(value))


def _split(separator: Any, value: Any) -> list[str]:
    if not text(separator):
        raise UndecidedError("splits at nothing")
    return text(value).split(text(separator)) if text(value) else [""]


def _network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    prefix = text(value)
    if re.search(r"(^|\.)0\d", prefix):
        raise UndecidedError("has leading zeros")
    if "/" not in prefix or not prefix.rpartition("/")[2].isdecimal():
        raise FailedError("is no CIDR prefix")
    try:
        return ipaddress.ip_network(prefix, strict=False)
    except ValueError as error:
        raise FailedError("is no CIDR prefix") from error


def _cidrhost(prefix: Any, host: Any) -> str:
    within, place = _network(prefix), number(host)
    if not isinstance(place, int) or not -within.num_addresses <= place < within.num_addresses:
        raise FailedError("has no such host")
    return str(within[place])


def _cidrnetmask(prefix: Any) -> str:
    within = _network(prefix)
    if within.version != 4:  # noqa: PLR2004 - IP's own number
        raise FailedError("has no netmask")
    return str(within.netmask)


FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "abs": (lambda value: abs(number(value)), 1, 1),
    "alltrue": (_all_true, 1, 1),
    "anytrue": (_any_true, 1, 1),
    "ceil": (_rounded(ROUND_CEILING), 1, 1),
    "cidrhost": (_cidrhost, 2, 2),
    "cidrnetmask": (_cidrnetmask, 1, 1),
    "concat": (lambda *lists: [item for each in lists for item in _items(each)], 1, 20),
    "contains": (_contains, 2, 2),
    "distinct": (_distinct, 1, 1),
    "endswith": (lambda value, end: text(value).endswith(text(end)), 2, 2),
    "floor": (_rounded(ROUND_FLOOR), 1, 1),
    "join": (lambda by, parts: text(by).join([text(part) for part in _items(parts)]), 2, 2),
    "keys": (lambda value: sorted(_mapping(value)), 1, 1),
    "length": (_length, 1, 1),
    "lookup": (_lookup, 2, 3),
    "lower": (_cased(str.lower), 1, 1),
    "max": (lambda *values: exact(Decimal(max(number(v) for v in values))), 1, 20),
    "min": (lambda *values: exact(Decimal(min(number(v) for v in values))), 1, 20),
    "regex": (_regex, 2, 2),
    "regexall": (_regexall, 2, 2),
    "split": (_split, 2, 2),
    "startswith": (lambda value, start: text(value).startswith(text(start)), 2, 2),
    "strcontains": (lambda value, part: text(part) in text(value), 2, 2),
    "substr": (_substr, 3, 3),
    "tobool": (truth, 1, 1),
    "tolist": (lambda value: converted(Collection("list", ANY), value), 1, 1),
    "tonumber": (number, 1, 1),
    "toset": (lambda value: converted(Collection("set", ANY), value), 1, 1),
    "tostring": (text, 1, 1),
    "trimspace": (lambda value: text(value).strip(), 1, 1),
    "upper": (_cased(str.upper), 1, 1),
    "values": (lambda value: [_mapping(value)[key] for key in sorted(_mapping(value))], 1, 1),
}
"""Name → the function, and how many arguments it takes at least and at most."""
