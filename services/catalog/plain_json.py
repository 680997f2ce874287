"""JSON as plain data: every value with its line, numbers as they are written, bounded."""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final

from services.catalog.definition import ModuleRefusedError, refused

LEVELS_MAX: Final = 40
_SPACE: Final = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Number:
    """A number, as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, bool or null."""

    value: str | Number | bool | None
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """An array."""

    items: "tuple[Node, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Field:
    """One of an object's fields, and where it stands."""

    name: str
    value: "Node"
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. A name may be there twice: what that means is for the reader to say."""

    fields: tuple[Field, ...]
    line: int


Node = Scalar | Items | Fields


def read_json(file: str, text: str) -> Node:
    """Return the one value in a file, else a refusal that names file and line."""
    reader = _Reader(file, text)
    node = reader.value(1)
    if reader.next_character() is not None:
        raise reader.error("more follows where the file should end")
    return node


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._position = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._decoder = json.JSONDecoder(
            parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
        )

    def value(self, level: int) -> Node:
        if level > LEVELS_MAX:
            raise self._refused(f"is nested more than {LEVELS_MAX} levels deep")
        first = self.next_character()
        line = self._line()
        if first == "{":
            self._position += 1
            return Fields(tuple(self._fields(level)), line)
        if first == "[":
            self._position += 1
            return Items(tuple(self._items(level)), line)
        return Scalar(self._scalar(), line)

    def next_character(self) -> str | None:
        """Return the character that comes after white space, None at the end."""
        space = _SPACE.match(self._text, self._position)
        self._position = space.end() if space else self._position
        return self._text[self._position] if self._position < len(self._text) else None

    def error(self, what: str) -> ModuleRefusedError:
        return self._refused(f"is not valid JSON: {what}")

    def _items(self, level: int) -> "list[Node]":
        items: list[Node] = []
        while not self._ends("]", is_first=not items):
            items.append(self.value(level + 1))
        return items

    def _fields(self, level: int) -> list[Field]:
        fields: list[Field] = []
        while not self._ends("}", is_first=not fields):
            if self.next_character() != '"':
                raise self.error("expected a name in quotes")
            line = self._line()
            name = self._scalar()
            if self.next_character() != ":":
                raise self.error("expected `:`")
            self._position += 1
            fields.append(Field(str(name), self.value(level + 1), line))
        return fields

    def _ends(self, bracket: str, *, is_first: bool) -> bool:
        """Return whether the bracket comes; it is taken, or else the comma before the next."""
        found = self.next_character()
        if found == bracket:
            self._position += 1
            return True
        if is_first:
            return False
        if found != ",":
            raise self.error(f"expected `,` or `{bracket}`")
        self._position += 1
        return False

    def _scalar(self) -> Any:
        try:
            value, self._position = self._decoder.raw_decode(self._text, self._position)
        except json.JSONDecodeError as error:
            self._position = min(error.pos, len(self._text))
            at_end = self._position >= len(self._text.rstrip())
            raise self.error("the file ends too soon" if at_end else error.msg) from error
        except ValueError as error:
            raise self.error(str(error)) from error
        return value

    def _line(self) -> int:
        return bisect_right(self._line_ends, self._position - 1) + 1

    def _refused(self, message: str) -> ModuleRefusedError:
        return refused(self._file, self._line(), message)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"`{name}` is no number")
