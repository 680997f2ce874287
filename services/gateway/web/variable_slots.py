"""The places of values in a form: each variable's, and those inside of it, as its type says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from contracts.variables.checking import options_are_of_items
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.types import (
    ANY,
    Collection,
    ObjectType,
    Primitive,
    TerraformType,
    TupleType,
    parse_type,
)

LEVELS_MAX: Final = 3
"""Levels of lists, maps and objects that have fields of their own; what is deeper is JSON."""

Widget = Literal["text", "number", "choice", "json", "rows", "entries", "attributes", "items"]


class Absent(Enum):
    """That no value is given, which is not null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True)
class Slot:
    """A place for a value. `name` is its field's, `pointer` the API's.

    `in_a_list`: it cannot be left out. `empty_is_absent`: an empty field gives nothing, otherwise
    the empty text, list or map.
    """

    type: TerraformType
    name: str
    pointer: str
    options: tuple[Any, ...] = ()
    level: int = 0
    nullable: bool = False
    empty_is_absent: bool = False
    in_a_list: bool = False

    @property
    def widget(self) -> Widget:
        """How the value is entered, unless as JSON."""
        match self.type:
            case _ if self.options and not options_are_of_items(self.type, self.options):
                return "choice"
            case Primitive("string"):
                return "text"
            case Primitive("number"):
                return "number"
            case Primitive("bool"):
                return "choice"
            case _ if self.type == ANY or self.level >= LEVELS_MAX:
                return "json"
            case Collection("map"):
                return "json" if self.row(0).widget == "json" else "entries"
            case Collection():
                return "json" if self.row(0).widget == "json" else "rows"
            case TupleType():
                return "items"
            case _:
                return "attributes"

    @property
    def choices(self) -> tuple[Any, ...]:
        """What can be chosen, where something is."""
        return self.options or (True, False)

    @property
    def empty(self) -> Any:
        """The empty value of the type; None where it has none."""
        match self.type:
            case Primitive("string"):
                return None if self.options else ""
            case Collection("map"):
                return {}
            case Collection():
                return []
            case _:
                return None

    @property
    def uses(self) -> tuple[str, ...]:
        """What can be said in a value's place."""
        empty = self.empty_is_absent and self.empty is not None
        return (*(("null",) if self.nullable else ()), *(("empty",) if empty else ()))

    def row(self, number: int, key: str | None = None) -> "Slot":
        """Return the place of a row of a list, set or map."""
        if not isinstance(self.type, Collection):
            raise TypeError(f"{self.type} has no rows")
        step = str(number) if key is None else escaped(key)
        return Slot(
            self.type.element,
            f"{self.name}/{number}",
            f"{self.pointer}/{step}",
            options=self.options,
            level=self.level + 1,
            in_a_list=True,
        )

    def slots(self) -> tuple[tuple[str, "Slot"], ...]:
        """Return the places of an object's attributes or a tuple's items, by name."""
        if isinstance(self.type, TupleType):
            return tuple(
                (str(n), self._inner(str(n), each, in_a_list=True))
                for n, each in enumerate(self.type.elements)
            )
        if not isinstance(self.type, ObjectType):
            raise TypeError(f"{self.type} has no parts")
        return tuple((a.name, self._inner(a.name, a.type)) for a in self.type.attributes)

    def _inner(self, step: str, type_: TerraformType, *, in_a_list: bool = False) -> "Slot":
        return Slot(
            type_,
            f"{self.name}/{escaped(step)}",
            f"{self.pointer}/{escaped(step)}",
            level=self.level + 1,
            nullable=not in_a_list,
            empty_is_absent=not in_a_list,
            in_a_list=in_a_list,
        )


def slot_of(variable: Mapping[str, Any]) -> Slot:
    """Return a variable's place; `variable` is one of the API's."""
    pointer = f"/variables/{escaped(variable['name'])}"
    has_default = not (variable["required"] or variable["sensitive"])
    return Slot(
        _type_of(variable["type"]),
        pointer,
        pointer,
        options=tuple(variable["options"]),
        nullable=variable["nullable"],
        empty_is_absent=not has_default or variable["default"] is None,
    )


def escaped(step: str) -> str:
    """Return a step of a JSON pointer."""
    return step.replace("~", "~0").replace("/", "~1")


def _type_of(text: str) -> TerraformType:
    try:
        return parse_type(text)
    except NotUnderstoodError:
        return ANY
