"""YAML as plain data: no aliases, no tags, no key twice, bounded, and every value with its line.

Scalars mean what YAML 1.2 says (its core schema), so `no` and `on` are words and `0123` is no
octal number; numbers are exact.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import yaml

from services.catalog.definition import refused
from services.catalog.terraform_files import decoded

FILE_BYTES_MAX: Final = 262_144
NODES_MAX: Final = 20_000
LEVELS_MAX: Final = 12
_NUMBER_LENGTH_MAX: Final = 40

_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FRACTION: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: Final[dict[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, bool or null."""

    value: str | int | Decimal | bool | None
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    items: "tuple[Node, ...]"
    line: int


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping; `lines` tells where each key stands."""

    fields: "dict[str, Node]"
    lines: dict[str, int]
    line: int


Node = Scalar | Items | Fields


def read_yaml(file: str, content: bytes) -> Node:
    """Return the one document in a file, else a refusal that names file and line."""
    text = decoded(file, content, FILE_BYTES_MAX)
    try:
        loader = yaml.SafeLoader(text)
        try:
            return _Builder(file, loader).document()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise refused(file, line, f"is not valid YAML: {error.problem or 'unreadable'}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refused(file, line, f"is not valid YAML: {error.reason}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise refused(file, 0, "is not valid YAML") from error


class _Builder:
    """Builds nodes from the parser's events, refusing on the way what could grow."""

    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._nodes = 0

    def document(self) -> Node:
        self._take(yaml.StreamStartEvent)
        if self._loader.check_event(yaml.StreamEndEvent):
            raise refused(self._file, 0, "is empty")
        self._take(yaml.DocumentStartEvent)
        node = self._node(1)
        self._take(yaml.DocumentEndEvent)
        if not self._loader.check_event(yaml.StreamEndEvent):
            line = self._loader.peek_event().start_mark.line + 1
            raise refused(self._file, line, "holds more than one document")
        return node

    def _take(self, kind: type[yaml.Event]) -> None:
        event = self._loader.get_event()
        if not isinstance(event, kind):
            raise TypeError(f"the parser gave {event!r}")

    def _node(self, level: int) -> Node:
        event = self._loader.get_event()
        line = event.start_mark.line + 1
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise refused(self._file, line, f"has more than {NODES_MAX} values")
        if level > LEVELS_MAX:
            raise refused(self._file, line, f"is nested more than {LEVELS_MAX} levels deep")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise refused(self._file, line, "uses an anchor or alias, which is not allowed")
        if getattr(event, "tag", None) is not None:
            raise refused(self._file, line, f"uses the tag {event.tag}, which is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            if _NO_TEXT.search(event.value):
                raise refused(self._file, line, "holds a character that is no text")
            plain = event.style is None
            return Scalar(self._scalar(event.value, line) if plain else event.value, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(line, level)
        return self._fields(line, level)

    def _items(self, line: int, level: int) -> Items:
        items: list[Node] = []
        while not self._loader.check_event(yaml.SequenceEndEvent):
            items.append(self._node(level + 1))
        self._loader.get_event()
        return Items(tuple(items), line)

    def _fields(self, line: int, level: int) -> Fields:
        fields: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not self._loader.check_event(yaml.MappingEndEvent):
            start = self._loader.peek_event()
            key_line = start.start_mark.line + 1
            name = start.value if isinstance(start, yaml.ScalarEvent) else None
            self._node(level + 1)
            if name is None:
                raise refused(self._file, key_line, "has a key that is no text")
            if name in fields:
                first = lines[name]
                raise refused(self._file, key_line, f"has `{name}` twice, first in line {first}")
            lines[name] = key_line
            fields[name] = self._node(level + 1)
        self._loader.get_event()
        return Fields(fields, lines, line)

    def _scalar(self, text: str, line: int) -> str | int | Decimal | bool | None:
        if text in _WORDS:
            return _WORDS[text]
        if _FRACTION.fullmatch(text) is None:
            return text
        if len(text) > _NUMBER_LENGTH_MAX:
            raise refused(self._file, line, "has a number with too many digits")
        # `50.0` stays a fraction: where a whole number is wanted, it was not written as one.
        return int(text) if _INTEGER.fullmatch(text) else Decimal(text)
