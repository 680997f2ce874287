"""Stripe's way of writing nested values in a form or a query: `line_items[0][quantity]`.

Every value that comes this way is a text; `whole_number` and its like read them strictly.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from devkit.stripe_fake.errors import StripeError, invalid

FIELDS_MAX: Final = 500
DEPTH_MAX: Final = 6
_KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP: Final = re.compile(r"\[([^\[\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the value that the pairs write; lists where the keys are 0, 1, … or empty."""
    tree: dict[str, Any] = {}
    for number, (key, value) in enumerate(pairs):
        if number >= FIELDS_MAX:
            raise invalid(f"more than {FIELDS_MAX} parameters")
        _put(tree, _path(key), value)
    return {name: _listed(value) for name, value in tree.items()}


def only_known(value: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a parameter that the call does not have, as Stripe does."""
    for name in value.keys() - set(known):
        raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def required(value: Mapping[str, Any], name: str) -> Any:
    """Return a parameter that must be there."""
    if value.get(name) in (None, ""):
        raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    return value[name]


def whole_number(text: Any, name: str, *, least: int = 0) -> int:
    """Return a whole number of at least so much."""
    if not isinstance(text, str) or re.fullmatch(r"-?[0-9]{1,18}", text) is None:
        raise invalid(f"Invalid integer: {text}", param=name, code="parameter_invalid_integer")
    number = int(text)
    if number < least:
        raise invalid(
            f"This value must be greater than or equal to {least}.",
            param=name,
            code="parameter_invalid_integer",
        )
    return number


def metadata_of(value: Any, name: str = "metadata") -> dict[str, str]:
    """Return metadata: at most 50 texts of at most 500 characters, under keys of at most 40."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > 50:  # noqa: PLR2004 - Stripe's bound
        raise invalid("Metadata can have up to 50 keys", param=name)
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 500:  # noqa: PLR2004 - too
            raise invalid("Metadata values can have up to 500 characters", param=name)
    return dict(value)


def _path(key: str) -> list[str]:
    found = _KEY.fullmatch(key)
    steps = [] if found is None else [found.group(1), *_STEP.findall(found.group(2))]
    if not steps or len(steps) > DEPTH_MAX:
        raise _unreadable(key)
    return steps


def _put(tree: dict[str, Any], path: list[str], value: str) -> None:
    for step in path[:-1]:
        below = tree.setdefault(step or str(len(tree)), {})
        if not isinstance(below, dict):
            raise _unreadable(step)
        tree = below
    tree[path[-1] or str(len(tree))] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    numbered = [str(number) for number in range(len(inner))]
    return [inner[name] for name in numbered] if sorted(inner) == sorted(numbered) else inner


def _unreadable(key: str) -> StripeError:
    return invalid(f"Invalid parameter: {key[:100]}", param=key[:100])
