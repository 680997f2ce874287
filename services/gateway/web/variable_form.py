"""How a module's variables are shown: which controls, in which steps, and what can be done there.

Built anew from the texts of the fields each time, so that what somebody entered stays as it is,
right or wrong. Secrets are never shown again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal
from urllib.parse import quote

from contracts.variables.types import Primitive
from services.gateway.web.variable_slots import ABSENT, Slot, escaped, slot_of
from services.gateway.web.variables import (
    ROWS_MAX,
    Fields,
    Wrong,
    json_text,
    read,
    row_count,
    same,
    written,
)

Way = Literal["json", "lines", "plain"]
WAYS: Final[dict[str, Way]] = {"json": "json", "lines": "lines", "plain": "plain"}
Shown = Literal[
    "text", "lines", "number", "choice", "json", "rows", "entries", "attributes", "items", "secret",
    "secret-json",
]  # fmt: skip
_WITH_ROWS: Final = frozenset({"rows", "entries"})
_BESIDE: Final = ("use:", "as:", "rows:", "key:")
USES: Final = {"null": "Null", "empty": "Empty"}


@dataclass(frozen=True)
class Field:
    """A control, or a group of them. `choices` are pairs of what is sent and what is read."""

    shown: Shown
    name: str
    pointer: str
    label: str
    text: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    parts: tuple["Field", ...] = ()
    key: str | None = None
    key_name: str = ""
    use: str = ""
    uses: tuple[tuple[str, str], ...] = ()
    can_be_left_out: bool = True

    @property
    def id(self) -> str:
        """The control's id."""
        return f"v{quote(self.name, safe='/~')}"

    @property
    def is_group(self) -> bool:
        """Whether it has controls inside."""
        return self.shown in {"rows", "entries", "attributes", "items"}

    @property
    def is_full(self) -> bool:
        """Whether it can have no more rows."""
        return len(self.parts) >= ROWS_MAX


@dataclass(frozen=True)
class VariableShown:
    """A variable with its control, what is wrong with it, and other ways to enter it."""

    variable: Mapping[str, Any]
    field: Field
    default: str | None
    problems: tuple[tuple[str, str], ...]
    wrong: frozenset[str]
    ways: tuple[tuple[Way, str], ...]
    is_kept: bool
    was_entered: bool
    is_changed: bool

    @property
    def warns(self) -> bool:
        """Whether its change may replace what was deployed."""
        return self.is_changed and not self.variable["update_safe"]


@dataclass(frozen=True)
class Step:
    """Variables that are entered together."""

    number: int
    variables: tuple[VariableShown, ...]

    @property
    def has_problems(self) -> bool:
        """Whether something is wrong in it."""
        return any(each.problems for each in self.variables)


def steps_of(
    variables: Iterable[Mapping[str, Any]],
    fields: Fields,
    problems: Sequence[Mapping[str, Any]] = (),
    present: Mapping[str, Any] | None = None,
) -> tuple[Step, ...]:
    """Return a form's steps: each group of variables is one. `present` is what a deployment has."""
    shown = [variable_shown(each, fields, problems, present) for each in variables]
    return tuple(
        Step(number, tuple(group))
        for number, (_, group) in enumerate(groupby(shown, lambda each: each.variable["group"]), 1)
    )


def variable_shown(
    variable: Mapping[str, Any],
    fields: Fields,
    problems: Sequence[Mapping[str, Any]] = (),
    present: Mapping[str, Any] | None = None,
) -> VariableShown:
    """Return how a variable is shown."""
    slot = slot_of(variable)
    secret = variable["sensitive"]
    control = field_of(slot, fields, variable["name"], secret=secret)
    has_default = not variable["required"] and not secret
    return VariableShown(
        variable=variable,
        field=control,
        default=json_text(variable["default"]) if has_default else None,
        problems=_problems_of(control, problems),
        wrong=frozenset(str(each["pointer"]) for each in problems),
        ways=() if secret else _ways(slot, control),
        is_kept=secret and present is not None and variable["name"] in present,
        was_entered=secret and bool(fields.get(slot.name)),
        is_changed=present is not None and _is_changed(variable, slot, fields, present),
    )


def field_of(slot: Slot, fields: Fields, label: str, *, secret: bool = False) -> Field:
    """Return the control of a place, with what is entered in it."""
    name = slot.name
    shown = _shown(slot, fields, secret=secret)
    parts: tuple[Field, ...] = ()
    if shown == "rows":
        rows = range(row_count(name, fields))
        parts = tuple(field_of(slot.row(n), fields, f"{label} {n + 1}") for n in rows)
    elif shown == "entries":
        parts = tuple(_entry(slot, fields, label, n) for n in range(row_count(name, fields)))
    elif shown in {"attributes", "items"}:
        parts = tuple(
            field_of(inner, fields, step if shown == "attributes" else f"{label} {int(step) + 1}")
            for step, inner in slot.slots()
        )
    return Field(
        shown=shown,
        name=name,
        pointer=slot.pointer,
        label=label,
        text="" if secret else fields.get(name, ""),
        choices=tuple((json.dumps(each), _read_as(each)) for each in slot.choices)
        if shown == "choice"
        else (),
        parts=parts,
        use=fields.get(f"use:{name}", ""),
        uses=tuple((use, USES[use]) for use in slot.uses),
        can_be_left_out=not slot.in_a_list,
    )


def focus_of(steps: Iterable[Step], act: str) -> str:
    """Return the name of the control to go on at after an act: `add:NAME`, `drop:NAME:3`, `as:…`.

    A list that is empty now has its own name, which is its button's to add.
    """
    what, _, rest = act.partition(":")
    name = rest if what == "add" else rest.rpartition(":")[0]
    name = f"/variables/{escaped(name)}" if what == "as" else name
    shown = (each.field for step in steps for each in step.variables)
    found = next((each for field in shown for each in _within(field) if each.name == name), None)
    if found is None:
        return ""
    last_row = found.parts[-1:] if what != "as" and found.shown in _WITH_ROWS else ()
    return _first_in(last_row[0] if last_row else found)


def _within(field: Field) -> Iterator[Field]:
    yield field
    for part in field.parts:
        yield from _within(part)


def _first_in(field: Field) -> str:
    if field.key is not None:
        return field.key_name
    return _first_in(field.parts[0]) if field.parts else field.name


def with_row(fields: Fields, name: str) -> dict[str, str]:
    """Return the fields with one more row in a list or map."""
    rows = min(ROWS_MAX, row_count(name, fields) + 1)
    return {**fields, f"rows:{name}": str(rows), f"use:{name}": ""}


def without_row(fields: Fields, name: str, number: int) -> dict[str, str]:
    """Return the fields without a row; those after it move up."""
    rows = row_count(name, fields)
    if not 0 <= number < rows:
        return dict(fields)
    kept: dict[str, str] = {}
    for each, text in fields.items():
        beside, place = _split(each)
        if not place.startswith(f"{name}/"):
            kept[each] = text
            continue
        step, slash, rest = place.removeprefix(f"{name}/").partition("/")
        if step.isascii() and step.isdigit() and int(step) != number:
            moved = int(step) - 1 if int(step) > number else int(step)
            kept[f"{beside}{name}/{moved}{slash}{rest}"] = text
    return {**kept, f"rows:{name}": str(rows - 1)}


def entered_as(fields: Fields, variable: Mapping[str, Any], way: Way) -> dict[str, str]:
    """Return the fields with a variable's value entered another way.

    What cannot be read stays as it is; what only JSON can tell stays JSON.
    """
    slot = slot_of(variable)
    wrong: list[Wrong] = []
    value = read(slot, fields, wrong)
    if wrong:
        return dict(fields)
    rest = {name: text for name, text in fields.items() if not _is_in(_split(name)[1], slot.name)}
    if way == "plain":
        return {**rest, **written(slot, value)}
    if way == "json":
        text = "" if value is ABSENT else json_text(value)
        return {**rest, f"as:{slot.name}": "json", slot.name: text}
    is_text = isinstance(value, str)
    return {**rest, f"as:{slot.name}": "lines", slot.name: value if is_text else ""}


def changed(one: Any, other: Any) -> bool:
    """Return whether two values, of which either may be absent, differ."""
    return not same(one, other)


def _is_changed(
    variable: Mapping[str, Any], slot: Slot, fields: Fields, present: Mapping[str, Any]
) -> bool:
    value = read(slot, fields, [])
    if variable["sensitive"]:
        return value is not ABSENT
    default = ABSENT if variable["required"] else variable["default"]
    before = present.get(variable["name"], default)
    return changed(default if value is ABSENT else value, before)


def _entry(slot: Slot, fields: Fields, label: str, number: int) -> Field:
    key_name = f"key:{slot.name}/{number}"
    key = fields.get(key_name, "")
    inner = field_of(slot.row(number, key), fields, f"{label} {number + 1}: value")
    return Field(**{**inner.__dict__, "key": key, "key_name": key_name})


def _shown(slot: Slot, fields: Fields, *, secret: bool) -> Shown:
    way = fields.get(f"as:{slot.name}", "")
    if secret and slot.widget != "choice":
        return (
            "secret"
            if isinstance(slot.type, Primitive) and slot.widget != "json"
            else "secret-json"
        )
    if slot.widget == "json" or way == "json":
        return "json"
    return "lines" if slot.widget == "text" and way == "lines" else slot.widget


def _ways(slot: Slot, control: Field) -> tuple[tuple[Way, str], ...]:
    if slot.widget == "json":
        return ()
    json_way: tuple[Way, str] = ("json", "Enter it as JSON")
    plain: tuple[Way, str] = ("plain", "Enter it in fields")
    lines: tuple[Way, str] = ("lines", "Enter several lines")
    match control.shown:
        case "json":
            return (plain,)
        case "lines":
            return (json_way,)
        case "text":
            return (lines, json_way)
        case _:
            return (json_way,)


def _problems_of(
    control: Field, problems: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, str], ...]:
    """Return what is wrong in a variable: where in it, as people count, and what."""
    places = dict(_places(control, ""))
    start = len(control.pointer) + 1
    return tuple(
        (places.get(pointer, pointer[start:]), str(each["message"]))
        for each in problems
        if _is_in(pointer := str(each["pointer"]), control.pointer)
    )


def _places(field: Field, place: str) -> Iterator[tuple[str, str]]:
    yield field.pointer, place
    for number, part in enumerate(field.parts, 1):
        step = part.key if part.key is not None else part.label
        step = str(number) if field.shown in {"rows", "items"} else step
        yield from _places(
            part,
            f"{place} \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} {step}" if place else step,
        )


def _is_in(place: str, whole: str) -> bool:
    return place == whole or place.startswith(f"{whole}/")


def _split(name: str) -> tuple[str, str]:
    for beside in _BESIDE:
        if name.startswith(beside):
            return beside, name.removeprefix(beside)
    return "", name


def _read_as(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes (true)" if value else "No (false)"
    return value if isinstance(value, str) and value else json_text(value)
