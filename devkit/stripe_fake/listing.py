"""Stripe's lists, page by page, and its `expand`, which puts objects where their ids stand."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from devkit.stripe_fake.errors import invalid
from devkit.stripe_fake.forms import only_known, whole_number
from devkit.stripe_fake.objects import shown
from devkit.stripe_fake.store import Store

Object = dict[str, Any]
Test = Callable[[Object], bool]

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 10
EXPAND_DEPTH_MAX: Final = 4
FILTERS: Final = {
    "checkout.session": ("payment_intent", "status", "created"),
    "payment_intent": ("created",),
    "charge": ("payment_intent", "created"),
    "refund": ("payment_intent", "charge", "created"),
    "dispute": ("payment_intent", "charge", "created"),
    "event": ("type", "created"),
}
_COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}


def page(store: Store, kind: str, path: str, given: Object) -> Object:
    """Return a page of a list, the newest first: what lies after `starting_after`."""
    filters = FILTERS[kind]
    only_known(given, (*filters, "limit", "starting_after", "expand", "types"))
    limit = whole_number(given.get("limit", str(LIMIT_DEFAULT)), "limit", least=1)
    if limit > LIMIT_MAX:
        raise invalid(f"This value must be less than or equal to {LIMIT_MAX}.", param="limit")
    tests = [_test(name, given[name]) for name in filters if name in given]
    if "types" in given:
        tests.append(lambda each: each["type"] in given["types"])
    matching = (
        each
        for each in _after(store, kind, given.get("starting_after"))
        if all(test(each) for test in tests)
    )
    found = list(islice(matching, limit + 1))
    paths = [
        each.removeprefix("data.") for each in given.get("expand") or () if each.startswith("data.")
    ]
    return {
        "object": "list",
        "data": [expanded(store, shown(each), paths) for each in found[:limit]],
        "has_more": len(found) > limit,
        "url": path,
    }


def expanded(store: Store, value: Object, paths: list[str] | None) -> Object:
    """Return an object with others in the place of their ids: `payment_intent.latest_charge`."""
    for path in paths or ():
        _expand(store, value, path.split(".")[:EXPAND_DEPTH_MAX])
    return value


def _expand(store: Store, value: Object, steps: list[str]) -> None:
    name, *rest = steps
    if name not in value:
        raise invalid(f"This property cannot be expanded ({name}).", param="expand")
    inner = value[name]
    if isinstance(inner, str):
        found = store.get(inner)
        inner = value[name] = None if found is None else shown(found)
    if rest and isinstance(inner, dict):
        _expand(store, inner, rest)


def _after(store: Store, kind: str, starting_after: str | None) -> Iterator[Object]:
    every = store.newest_first(kind)
    if starting_after is None:
        return every
    for each in every:
        if each["id"] == starting_after:
            return every
    raise invalid(f"No such {kind}: '{starting_after}'", param="starting_after")


def _test(name: str, wanted: Any) -> Test:
    if name != "created":
        return lambda each: bool(each[name] == wanted)
    bounds = wanted if isinstance(wanted, dict) else {"gte": wanted, "lte": wanted}
    only_known(bounds, _COMPARISONS)
    limits = [
        (_COMPARISONS[how], whole_number(text, f"created[{how}]")) for how, text in bounds.items()
    ]
    return lambda each: all(compare(each["created"], limit) for compare, limit in limits)
