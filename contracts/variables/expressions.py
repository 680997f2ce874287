"""Expressions of Terraform's language, read into a small tree.

The same syntax carries types, defaults and conditions, so one reader serves them all. It reads
what HCL calls an expression, and nothing else; what stands around it is not its business. Time and
memory are linear in the text, whose length, depth and numbers are bounded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from contracts.variables.templates import (
    BeyondBoundsError,
    Literal,
    NotUnderstoodError,
    Rendered,
    Scanner,
    Template,
    heredoc,
    quoted_template,
)

TEXT_LENGTH_MAX: Final = 262_144
DEPTH_MAX: Final = 40
KNOWN_MAX: Final = 2_048
NUMBER_DIGITS_MAX: Final = 154
"""As many decimal digits as Terraform's own numbers (512 bits) hold."""

_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
_NAME: Final = re.compile(r"[^\W\d][\w-]*")
_PRECEDENCE: Final = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4,
    "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
}  # fmt: skip
_OPERATOR: Final = re.compile(r"\|\||&&|==|!=|<=|>=|<(?!<)|>|\+|-|\*|/|%")
_WORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Name:
    """A name that is not followed by arguments, such as `var` or `string`."""

    name: str


@dataclass(frozen=True, slots=True)
class Traversal:
    """A value inside another: `base.step[step]`. A splat is the step `None`."""

    base: "Expression"
    steps: "tuple[Expression | None, ...]"


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied; `expands` says that the last argument is spread with `...`."""

    name: str
    arguments: "tuple[Expression, ...]"
    expands: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator over two operands, one for `!` and unary `-`, many for `&&` and `||`."""

    operator: str
    operands: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Conditional:
    """`condition ? then : otherwise`."""

    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class Tuple:
    """`[a, b]`."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Object:
    """`{a = 1, "b" = 2}`; a bare name as a key is a literal."""

    items: "tuple[tuple[Expression, Expression], ...]"


@dataclass(frozen=True, slots=True)
class For:
    """`[for k, v in collection : value if condition]`, or with `key` the one in braces."""

    names: tuple[str, ...]
    collection: "Expression"
    key: "Expression | None"
    value: "Expression"
    condition: "Expression | None"
    groups: bool


T = TypeVar("T")

Expression = (
    Literal
    | Template
    | Rendered
    | Name
    | Traversal
    | Call
    | Operation
    | Conditional
    | Tuple
    | Object
    | For
)


_known: dict[str, Expression] = {}
"""What was read lately: whoever reads a file asks for each of its expressions again."""


def parse(text: str) -> Expression:
    """Return the one expression that `text` holds, else `NotUnderstoodError` with its offset."""
    if (known := _known.get(text)) is not None:
        return known
    if len(text) > TEXT_LENGTH_MAX:
        raise NotUnderstoodError(f"is longer than {TEXT_LENGTH_MAX} characters", 0)
    reader = _Reader(Scanner(text))
    expression = reader.expression()
    reader.scanner.skip_space()
    if not reader.scanner.at_end():
        raise reader.scanner.error("expected the end of the expression")
    _remember(text, expression)
    return expression


def read_expression(scanner: Scanner) -> str:
    """Return the text of the expression that comes next, and move past it.

    Raises `NotUnderstoodError` if none does.
    """
    scanner.skip_space()
    start = scanner.position
    expression = _Reader(scanner).expression()
    text = scanner.text[start : scanner.token_end()]
    if len(text) <= TEXT_LENGTH_MAX:
        _remember(text, expression)
    return text


def _remember(text: str, expression: Expression) -> None:
    if len(_known) >= KNOWN_MAX:
        _known.clear()
    _known[text] = expression


class _Reader:
    """Recursive descent over a scanner; `depth` bounds the tree, and so every later walk of it."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.depth = 0

    def expression(self) -> Expression:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self._too_deep()
        condition = self._operation(1)
        if self.scanner.take("?"):
            then = self.expression()
            self.scanner.expect(":")
            result: Expression = Conditional(condition, then, self.expression())
        else:
            result = condition
        self.depth -= 1
        return result

    def _too_deep(self) -> BeyondBoundsError:
        message = f"is nested more than {DEPTH_MAX} levels deep"
        return BeyondBoundsError(message, self.scanner.position)

    def _enclosed(self, read: Callable[[], T]) -> T:
        """Return what is read up to its closing bracket; in there, a new line is only space."""
        scanner = self.scanner
        lines_end, scanner.lines_end = scanner.lines_end, False
        result = read()
        scanner.lines_end = lines_end
        return result

    def _operation(self, weakest: int) -> Expression:
        left = self._unary()
        depth_before = self.depth
        while True:
            operator = self.scanner.peek(_OPERATOR)
            if operator is None or _PRECEDENCE[operator] < weakest:
                self.depth = depth_before
                return left
            self.scanner.take(operator)
            right = self._operation(_PRECEDENCE[operator] + 1)
            if (
                operator in {"&&", "||"}
                and isinstance(left, Operation)
                and left.operator == operator
            ):
                left = Operation(operator, (*left.operands, right))
                continue
            # The tree grows to the left with each operator: that is depth as well.
            self.depth += 1
            if self.depth > DEPTH_MAX:
                raise self._too_deep()
            left = Operation(operator, (left, right))

    def _unary(self) -> Expression:
        operators: list[str] = []
        while (operator := self.scanner.peek(_UNARY)) is not None:
            self.scanner.take(operator)
            operators.append(operator)
            if self.depth + len(operators) > DEPTH_MAX:
                raise self._too_deep()
        term = self._term()
        for operator in reversed(operators):
            match term:
                case Literal(int() | Decimal() as number) if operator == "-" and not isinstance(
                    number, bool
                ):
                    term = Literal(-number)
                case _:
                    term = Operation(operator, (term,))
        return term

    def _term(self) -> Expression:
        base = self._primary()
        steps: list[Expression | None] = []
        while True:
            if self.scanner.take_here("["):
                steps.append(self._enclosed(self._index))
            elif self.scanner.peek(_DOT) and self.scanner.take("."):
                steps.append(self._attribute())
            else:
                return Traversal(base, tuple(steps)) if steps else base

    def _index(self) -> Expression | None:
        if self.scanner.peek(_SPLAT):
            self.scanner.expect("*")
            self.scanner.expect("]")
            return None
        step = self.expression()
        self.scanner.expect("]")
        return step

    def _attribute(self) -> Expression | None:
        if self.scanner.take("*"):
            return None
        if (name := self.scanner.take_match(_NAME)) is not None:
            return Literal(name)
        return Literal(int(self.scanner.expect_match(_DIGITS, "an attribute's name")))

    def _primary(self) -> Expression:
        scanner = self.scanner
        scanner.skip_space()
        if (number := scanner.take_match(_NUMBER)) is not None:
            return Literal(self._number(number))
        if (name := scanner.take_match(_NAME)) is not None:
            return self._named(name)
        if scanner.take('"'):
            quoted: Expression = quoted_template(scanner, self.expression)
            return quoted
        if scanner.peek(_HEREDOC):
            here: Expression = heredoc(scanner, self._heredoc_expression)
            return here
        if scanner.take("("):
            return self._enclosed(self._parenthesis)
        if scanner.take("["):
            return self._enclosed(self._tuple)
        if scanner.take("{"):
            return self._enclosed(self._object)
        raise scanner.error("expected a value")

    def _parenthesis(self) -> Expression:
        inner = self.expression()
        self.scanner.expect(")")
        return inner

    def _heredoc_expression(self, inner: Scanner) -> Expression:
        """Read an interpolation of a heredoc, whose unindented text is a scanner of its own."""
        outer, self.scanner = self.scanner, inner
        try:
            return self.expression()
        finally:
            self.scanner = outer

    def _number(self, text: str) -> int | Decimal:
        if len(text) > NUMBER_DIGITS_MAX:
            raise self.scanner.error("is a number with too many digits")
        value = Decimal(text)
        if value.adjusted() > NUMBER_DIGITS_MAX:
            raise self.scanner.error("is too large a number")
        return int(value) if value == value.to_integral_value() else value

    def _named(self, name: str) -> Expression:
        if name in _WORDS:
            return Literal(_WORDS[name])
        while self.scanner.take_here("::"):
            name = f"{name}::{self.scanner.expect_match(_NAME, 'a function name')}"
        if not self.scanner.take_here("("):
            return Name(name)
        return self._enclosed(lambda: self._call(name))

    def _call(self, name: str) -> Call:
        arguments: list[Expression] = []
        while not self.scanner.take(")"):
            arguments.append(self.expression())
            if self.scanner.take("..."):
                self.scanner.expect(")")
                return Call(name, tuple(arguments), expands=True)
            if not self.scanner.take(","):
                self.scanner.expect(")")
                break
        return Call(name, tuple(arguments), expands=False)

    def _tuple(self) -> Expression:
        if self.scanner.peek(_FOR):
            return self._for("]")
        items: list[Expression] = []
        while not self.scanner.take("]"):
            items.append(self.expression())
            if not self.scanner.take(","):
                self.scanner.expect("]")
                break
        return Tuple(tuple(items))

    def _object(self) -> Expression:
        if self.scanner.peek(_FOR):
            return self._for("}")
        scanner = self.scanner
        items: list[tuple[Expression, Expression]] = []
        while not scanner.take("}"):
            scanner.lines_end = True
            key = self._key()
            if not scanner.take("="):
                scanner.expect(":")
            items.append((key, self.expression()))
            if not (scanner.take(",") or scanner.at_line_end() or scanner.peek(_BRACE)):
                raise scanner.error("expected a comma or a new line")
            scanner.lines_end = False
        return Object(tuple(items))

    def _key(self) -> Expression:
        """Return an object's key: a bare word means itself, even `null`."""
        self.scanner.skip_space()
        is_bare = self.scanner.text.startswith("null", self.scanner.position)
        match self.expression():
            case Name(name):
                return Literal(name)
            case Literal(None) if is_bare:
                return Literal("null")
            case key:
                return key

    def _for(self, end: str) -> Expression:
        scanner = self.scanner
        scanner.take_match(_NAME)
        names = [scanner.expect_match(_NAME, "a name")]
        if scanner.take(","):
            names.append(scanner.expect_match(_NAME, "a name"))
        if scanner.take_match(_NAME) != "in":
            raise scanner.error("expected `in`")
        collection = self.expression()
        scanner.expect(":")
        value = self.expression()
        key: Expression | None = None
        if end == "}":
            scanner.expect("=>")
            key, value = value, self.expression()
        groups = scanner.take("...")
        condition: Expression | None = None
        if scanner.peek(_IF):
            scanner.take_match(_NAME)
            condition = self.expression()
        scanner.expect(end)
        return For(tuple(names), collection, key, value, condition, groups)


_UNARY: Final = re.compile(r"!(?!=)|-")
_BRACE: Final = re.compile(r"\}")
_DOT: Final = re.compile(r"\.(?!\.\.)")
_SPLAT: Final = re.compile(r"\*")
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_HEREDOC: Final = re.compile(r"<<-?[^\W\d]")
_FOR: Final = re.compile(r"for\s+[^\W\d]")
_IF: Final = re.compile(r"if(?![\w-])")
