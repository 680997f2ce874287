"""The blocks of a Terraform file: names, labels, and the text and line of each expression.

This reads the structure that HCL has in lines and braces; each expression is read by
`contracts.variables` to find its end, so nothing is passed over that is not understood.
It is many times as fast as a parser that builds a tree of all, and takes time linear in the text.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.variables.expressions import read_expression
from contracts.variables.templates import BeyondBoundsError, Scanner
from services.catalog.definition import refused

LEVELS_MAX: Final = 20
_NAME: Final = re.compile(r"[^\W\d][\w-]*")
_LABEL: Final = re.compile(r'"(?:[^"\\$%\n]|\\.|[$%](?!\{))*"|[^\W\d][\w-]*')
_CLOSES: Final = re.compile(r"\}")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name = expression`: the expression's text as written, and the line where it begins.

    `file` is where that is, if it is another than the block's: in an override file.
    """

    text: str
    line: int
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """`kind "label" { … }` with its attributes and inner blocks."""

    file: str
    kind: str
    labels: tuple[str, ...]
    line: int
    attributes: Mapping[str, Attribute]
    blocks: "tuple[Block, ...]" = field(default=())


def read_blocks(file: str, text: str) -> tuple[Block, ...]:
    """Return the top-level blocks, else `NotUnderstoodError` where this is not HCL as we read it.

    What HCL has no doubt about is refused by file and line: an attribute that is set twice.
    """
    body = _Bodies(file, text).top()
    return body.blocks


@dataclass(slots=True)
class _Body:
    attributes: dict[str, Attribute] = field(default_factory=dict)
    inner: list[Block] = field(default_factory=list)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(self.inner)


class _Bodies:
    """Reads what stands in braces, and what a file is: attributes and blocks, one a line."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._scanner = Scanner(text)
        self._line_ends = [match.start() for match in re.finditer("\n", text)]

    def top(self) -> _Body:
        body = _Body()
        self._next_line()
        while not self._scanner.at_end():
            self._item(body, 1)
            self._end_line()
            self._next_line()
        return body

    def _next_line(self) -> None:
        self._scanner.lines_end = False
        self._scanner.skip_space()
        self._scanner.lines_end = True

    def _end_line(self) -> None:
        if not self._scanner.at_line_end():
            raise self._scanner.error("expected the end of the line")

    def _item(self, body: _Body, level: int, *, may_be_block: bool = True) -> None:
        scanner = self._scanner
        start = scanner.position
        name = scanner.expect_match(_NAME, "an attribute or a block")
        if not scanner.take("="):
            if not may_be_block:
                raise scanner.error("expected `=`")
            body.inner.append(self._block(name, start, level))
            return
        if name in body.attributes:
            raise refused(self._file, self._line(start), f"sets `{name}` twice")
        scanner.skip_space()
        start = scanner.position
        body.attributes[name] = Attribute(read_expression(scanner), self._line(start))

    def _block(self, kind: str, start: int, level: int) -> Block:
        scanner = self._scanner
        labels: list[str] = []
        while not scanner.take("{"):
            label = scanner.expect_match(_LABEL, "a label or `{`")
            labels.append(label[1:-1] if label.startswith('"') else label)
        if level > LEVELS_MAX:
            message = f"is nested more than {LEVELS_MAX} levels deep"
            raise BeyondBoundsError(message, scanner.position)
        body = _Body()
        if not scanner.at_line_end():
            # `name { attribute = value }` is all that HCL allows in one line.
            if scanner.peek(_CLOSES) is None:
                self._item(body, level + 1, may_be_block=False)
            scanner.expect("}")
        else:
            self._next_line()
            while not scanner.take("}"):
                self._item(body, level + 1)
                self._end_line()
                self._next_line()
        return Block(
            file=self._file,
            kind=kind,
            labels=tuple(labels),
            line=self._line(start),
            attributes=body.attributes,
            blocks=body.blocks,
        )

    def _line(self, position: int) -> int:
        return bisect_right(self._line_ends, position - 1) + 1
