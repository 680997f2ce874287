"""A scanner over the text of an expression, and the strings and heredocs in it."""

import re
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

_SPACE: Final = re.compile(r"(?:\s+|#[^\n]*|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_SPACE_IN_LINE: Final = re.compile(r"(?:[^\S\n]+|#[^\n]*|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_NO_SPACE: Final = frozenset('{}[]()=,:."?!&|<>+-*%$' + string.ascii_letters + string.digits)
"""What no space or comment begins with: most of what is looked at, so it is looked at first."""
_SPACE_HERE: Final = re.compile(r"[ \t]*")
_HEREDOC_START: Final = re.compile(r"<<(-?)([^\W\d][\w-]*)\r?\n")
_QUOTED_CHUNK: Final = re.compile(r'[^"\\$%\n]+')
_HEREDOC_CHUNK: Final = re.compile(r"[^$%]+")
_ESCAPE: Final = re.compile(r'\\(?:([nrt"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_CODE_POINT_MAX: Final = 0x10FFFF
_LOOP: Final = re.compile(r"[^\W\d][\w-]*\s*(?:,\s*[^\W\d][\w-]*\s*)?\sin(?![\w-])")
_LINE_END: Final = re.compile(r"\n")
_DIRECTIVE: Final = re.compile(r"else|endif|endfor|if|for")
_SURROGATES: Final = range(0xD800, 0xE000)


class NotUnderstoodError(ValueError):
    """A text that is no expression that we read; `offset` says where in it, in characters."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class BeyondBoundsError(NotUnderstoodError):
    """A text that may well be an expression, but is deeper or longer than we read."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the text: a string, a whole or decimal number, a bool, or null."""

    value: str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A part of a string that only Terraform renders; `word` is a directive's, else empty."""

    word: str
    expression: Any


@dataclass(frozen=True, slots=True)
class Template:
    """A string with values put into it: literal texts and expressions in order."""

    parts: tuple[Any, ...]


class Scanner:
    """A position in a text; white space and comments count for nothing.

    With `lines_end`, as outside of brackets, the end of a line counts.
    """

    def __init__(self, text: str, *, lines_end: bool = False) -> None:
        self.text = text
        self.position = 0
        self.lines_end = lines_end
        self._space = (-1, -1)

    def skip_space(self) -> None:
        """Move past white space and comments."""
        if self.text[self.position : self.position + 1] in _NO_SPACE:
            return
        space = _SPACE_IN_LINE if self.lines_end else _SPACE
        match = space.match(self.text, self.position)
        if match is not None and match.end() > self.position:
            start, end = self._space
            self._space = (start if end == self.position else self.position, match.end())
            self.position = match.end()

    def token_end(self) -> int:
        """Return where what was taken last ends, without the space behind it."""
        start, end = self._space
        return start if end == self.position else self.position

    def at_line_end(self) -> bool:
        """Return whether nothing but space and comments is left of the line."""
        return self.lines_end and (self.peek(_LINE_END) is not None or self.at_end())

    def at_end(self) -> bool:
        """Return whether nothing is left."""
        return self.position == len(self.text)

    def peek(self, pattern: re.Pattern[str]) -> str | None:
        """Return what matches here, without taking it."""
        self.skip_space()
        match = pattern.match(self.text, self.position)
        return match.group() if match else None

    def take(self, token: str) -> bool:
        """Move past `token` if it comes next."""
        self.skip_space()
        return self.take_exactly(token)

    def take_here(self, token: str) -> bool:
        """Move past `token` if it comes next on this line: a new line may start something else."""
        match = _SPACE_HERE.match(self.text, self.position)
        before = self.position
        if match is not None:
            self.position = match.end()
        if self.take_exactly(token):
            return True
        self.position = before
        return False

    def take_exactly(self, token: str) -> bool:
        """Move past `token` if it stands at this very position."""
        if self.text.startswith(token, self.position):
            self.position += len(token)
            return True
        return False

    def take_match(self, pattern: re.Pattern[str]) -> str | None:
        """Return what matches here and move past it."""
        found = self.peek(pattern)
        if found is not None:
            self.position += len(found)
        return found

    def expect(self, token: str) -> None:
        """Move past `token`, which must come next."""
        if not self.take(token):
            raise self.error(f"expected `{token}`")

    def expect_match(self, pattern: re.Pattern[str], what: str) -> str:
        """Return what matches here, which must be there, and move past it."""
        found = self.take_match(pattern)
        if found is None:
            raise self.error(f"expected {what}")
        return found

    def error(self, message: str) -> NotUnderstoodError:
        """Return the error to raise for what stands here."""
        return NotUnderstoodError(message, self.position)


def quoted_template(scanner: Scanner, read_expression: Callable[[], Any]) -> Any:
    """Return the string whose opening quote was just taken; a lone `${x}` is `x` itself."""
    parts: list[Any] = []
    while not scanner.take_exactly('"'):
        if (chunk := _QUOTED_CHUNK.match(scanner.text, scanner.position)) is not None:
            parts.append(chunk.group())
            scanner.position = chunk.end()
        elif (escape := _ESCAPE.match(scanner.text, scanner.position)) is not None:
            parts.append(_unescaped(scanner, escape))
            scanner.position = escape.end()
        else:
            parts.append(_marked(scanner, read_expression))
    _check_directives(scanner, parts)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]
    return _joined(parts)


def heredoc(scanner: Scanner, read_expression: Callable[[Scanner], Any]) -> Any:
    """Return the heredoc that starts here; `<<-` takes off the indentation that all lines share."""
    scanner.skip_space()
    start = _HEREDOC_START.match(scanner.text, scanner.position)
    if start is None:
        raise scanner.error("expected a heredoc")
    lines: list[str] = []
    position = start.end()
    while True:
        end = scanner.text.find("\n", position)
        line = scanner.text[position:] if end < 0 else scanner.text[position : end + 1]
        if line.strip() == start.group(2):
            scanner.position = position + len(line.rstrip("\r\n"))
            break
        if end < 0:
            raise scanner.error(f"the heredoc has no end `{start.group(2)}`")
        lines.append(line)
        position = end + 1
    body = Scanner("".join(_unindented(lines) if start.group(1) else lines))
    parts: list[Any] = []
    while not body.at_end():
        if (chunk := _HEREDOC_CHUNK.match(body.text, body.position)) is not None:
            parts.append(chunk.group())
            body.position = chunk.end()
        else:
            parts.append(_marked(body, lambda: read_expression(body)))
    _check_directives(scanner, parts)
    return _joined(parts)


def _check_directives(scanner: Scanner, parts: list[Any]) -> None:
    """Raise unless each `if` and `for` has its end, and each end its beginning."""
    open_ones: list[str] = []
    for part in parts:
        match part:
            case Rendered("if" | "for" as word):
                open_ones.append(word)
            case Rendered("else") if open_ones[-1:] == ["if"]:
                open_ones[-1] = "else"
            case Rendered("endif") if open_ones[-1:] in (["if"], ["else"]):
                open_ones.pop()
            case Rendered("endfor") if open_ones[-1:] == ["for"]:
                open_ones.pop()
            case Rendered(word) if word:
                raise scanner.error(f"has `{word}` in a place of its own")
    if open_ones:
        raise scanner.error(f"has `{open_ones[-1]}` without its end")


def _unindented(lines: list[str]) -> list[str]:
    written = [line for line in lines if line.strip()]
    shared = min((len(line) - len(line.lstrip()) for line in written), default=0)
    return [line[shared:] if line.strip() else line for line in lines]


def _marked(scanner: Scanner, read_expression: Callable[[], Any]) -> Any:
    """Return what a `$` or `%` begins: an interpolation, an escaped one, or just the character."""
    for marker in ("$", "%"):
        if scanner.take_exactly(f"{marker}{marker}{{"):
            return f"{marker}{{"
    for marker in ("$", "%"):
        if scanner.take_exactly(f"{marker}{{"):
            lines_end, scanner.lines_end = scanner.lines_end, False
            value = _filled(scanner, read_expression, is_directive=marker == "%")
            scanner.lines_end = lines_end
            return value
    for marker in ("$", "%"):
        if scanner.take_exactly(marker):
            return marker
    raise scanner.error("is a string without an end" if scanner.at_end() else "is no valid string")


def _filled(scanner: Scanner, read_expression: Callable[[], Any], *, is_directive: bool) -> Any:
    """Return what stands between `${` or `%{` and its brace, which is taken.

    What only Terraform works out, becomes `Rendered`: directives, and the space that `~` takes off.
    """
    strips = scanner.take_exactly("~")
    value: Any = None
    word = ""
    if is_directive:
        word = scanner.expect_match(_DIRECTIVE, "`if`, `for` or their ends")
        if word == "for":
            scanner.expect_match(_LOOP, "a `for`")
        if word in {"if", "for"}:
            value = read_expression()
    else:
        value = read_expression()
    strips = scanner.take("~") or strips
    scanner.expect("}")
    return Rendered(word, value) if is_directive or strips else value


def _unescaped(scanner: Scanner, escape: re.Match[str]) -> str:
    short, *codes = escape.groups()
    if short is not None:
        return _ESCAPED[short]
    code = int(codes[0] or codes[1], 16)
    if code > _CODE_POINT_MAX or code in _SURROGATES:
        raise scanner.error("escapes what is no character")
    return chr(code)


def _joined(parts: list[Any]) -> Any:
    if all(isinstance(part, str) for part in parts):
        return Literal(unicodedata.normalize("NFC", "".join(parts)))
    return Template(tuple(parts))
