"""What a build prints: cleaned, without secrets, bounded, on disk until it was heard.

Colours are removed. A line longer than the bound is cut with a mark. The values of sensitive
variables are replaced wherever they stand in a line, each line of a value for itself, plain or as
JSON writes them. Values shorter than four characters are not: that would tell them.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

LINE_LENGTH_MAX: Final = 16_384
SECRET_LENGTH_MIN: Final = 4
CUT: Final = " … [line cut]"
FULL: Final = "… [the log is full; the rest is not kept]\n"
HIDDEN: Final = "(sensitive value)"
_ANSI: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_CONTINUATION: Final = 0b1000_0000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_GO_ESCAPES: Final = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


class Redactor:
    """Replaces secrets in text."""

    def __init__(self, values: Iterable[Any]) -> None:
        secrets = {_plain(text).strip() for text in _texts(values)}
        long = sorted((s for s in secrets if len(s) >= SECRET_LENGTH_MIN), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, long))) if long else None

    def clean(self, text: str) -> str:
        """Return the text as it may be shown, each line within the bound."""
        return "\n".join(self._clean_line(line) for line in text.splitlines())

    def _clean_line(self, line: str) -> str:
        plain = _plain(line)
        shown = plain if self._pattern is None else self._pattern.sub(HIDDEN, plain)
        return shown if len(shown) <= LINE_LENGTH_MAX else shown[:LINE_LENGTH_MAX] + CUT


def _plain(text: str) -> str:
    return _CONTROL.sub("", _ANSI.sub("", text))


def _texts(values: Iterable[Any]) -> Iterable[str]:
    """Yield the texts that values may be printed as: their lines, and as JSON, Go's too."""
    for value in values:
        match value:
            case str():
                yield from value.splitlines()
                for as_json in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
                    yield as_json[1:-1]
                    yield as_json[1:-1].translate(_GO_ESCAPES)
            case dict():
                yield from _texts(value.values())
            case list():
                yield from _texts(value)
            case int() | float() if not isinstance(value, bool):
                yield str(value)
            case _:
                pass


class LogFile:
    """The log on disk, up to `bytes_max`."""

    def __init__(self, path: Path, redactor: Redactor, bytes_max: int) -> None:
        path.touch(mode=0o600)
        self._file = path.open("r+b", buffering=0)
        self._redactor = redactor
        self._written = 0
        self._room = bytes_max - len(FULL.encode())

    def write(self, text: str) -> None:
        """Add lines; once the log is full, one mark and no more."""
        if self._room <= 0:
            return
        data = f"{self._redactor.clean(text)}\n".encode()
        self._room -= len(data)
        if self._room <= 0:
            data = FULL.encode()
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)

    def read(self, offset: int, bytes_max: int) -> bytes:
        """Return what was written from an offset on, without a character cut in half."""
        self._file.seek(offset)
        data = self._file.read(bytes_max)
        return data if len(data) < bytes_max else data[: _whole(data)]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole(data: bytes) -> int:
    """Return where the last whole character of UTF-8 ends, in data that may end within one."""
    start = len(data) - 1
    while start > 0 and data[start] & 0b1100_0000 == _CONTINUATION:
        start -= 1
    try:
        data[start:].decode()
    except UnicodeDecodeError:
        return start
    return len(data)


class Lines:
    """Cuts a stream of bytes into lines of bounded length, whatever its chunks are."""

    def __init__(self, length_max: int) -> None:
        self._length_max = length_max
        self._rest = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that are whole now; the rest of one that is too long is dropped."""
        found: list[str] = []
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            found += self._add(end)
            if not self._skipping:
                found.append(self._line())
            self._rest.clear()
            self._skipping = False
        return found + self._add(rest)

    def end(self) -> list[str]:
        """Return what is left without an end of line."""
        return [] if self._skipping or not self._rest else [self._line()]

    def _add(self, piece: bytes) -> list[str]:
        """Take a piece of a line; return the line where it is too long already."""
        if self._skipping:
            return []
        self._rest += piece
        if len(self._rest) <= self._length_max:
            return []
        del self._rest[self._length_max :]
        self._skipping = True
        return [self._line()]

    def _line(self) -> str:
        return self._rest.decode(errors="replace").rstrip("\r")
