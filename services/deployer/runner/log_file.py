"""What a build prints: cleaned, without secrets, bounded, on disk until it was heard.

Colours are removed. A line longer than the bound is cut with a mark. The values of sensitive
variables are replaced wherever they stand in a line, each line of a value for itself.
"""

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
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Redactor:
    """Replaces secrets in a line of text."""

    def __init__(self, values: Iterable[Any]) -> None:
        secrets = sorted(set(_texts(values)), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, secrets))) if secrets else None

    def clean(self, line: str) -> str:
        """Return the line as it may be shown."""
        plain = _CONTROL.sub("", _ANSI.sub("", line))
        shown = plain if self._pattern is None else self._pattern.sub(HIDDEN, plain)
        return shown if len(shown) <= LINE_LENGTH_MAX else shown[:LINE_LENGTH_MAX] + CUT


def _texts(values: Iterable[Any]) -> Iterable[str]:
    """Yield the texts that values would be printed as, long enough to be worth hiding."""
    for value in values:
        if isinstance(value, str):
            for line in value.splitlines():
                if len(line.strip()) >= SECRET_LENGTH_MIN:
                    yield line.strip()
        elif isinstance(value, dict):
            yield from _texts(value.values())
        elif isinstance(value, list):
            yield from _texts(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _texts([str(value)])


class LogFile:
    """The log on disk, up to `bytes_max`."""

    def __init__(self, path: Path, redactor: Redactor, bytes_max: int) -> None:
        self._file = path.open("a+b", buffering=0)
        path.chmod(0o600)
        self._redactor = redactor
        self._room = bytes_max - len(FULL.encode())

    def write(self, text: str) -> None:
        """Add lines; once the log is full, one mark and no more."""
        if self._room <= 0:
            return
        lines = "".join(f"{self._redactor.clean(line)}\n" for line in text.splitlines())
        data = lines.encode(errors="replace")
        self._room -= len(data)
        self._file.write(data if self._room > 0 else FULL.encode())

    def read(self, offset: int, bytes_max: int) -> bytes:
        """Return what was written from an offset on, without a character cut in half."""
        self._file.seek(offset)
        data = self._file.read(bytes_max)
        return data if len(data) < bytes_max else data[: _whole(data)]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole(data: bytes) -> int:
    """Return where the last whole character of UTF-8 ends."""
    end = len(data)
    while end > 0 and data[end - 1] & 0b1100_0000 == _CONTINUATION:
        end -= 1
    return max(end - 1, 0) if end else 0


class Lines:
    """Cuts a stream of bytes into lines of bounded length, whatever its chunks are."""

    def __init__(self, length_max: int) -> None:
        self._length_max = length_max
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that are whole now; the rest of one that is too long is dropped."""
        found: list[str] = []
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if not self._skipping:
                found.append(line[: self._length_max].decode(errors="replace").rstrip("\r"))
            self._skipping = False
        if len(rest) > self._length_max:
            if not self._skipping:
                found.append(rest[: self._length_max].decode(errors="replace"))
            self._skipping, rest = True, b""
        self._rest = rest
        return found

    def end(self) -> list[str]:
        """Return what is left without an end of line."""
        rest, self._rest = self._rest, b""
        return [] if self._skipping or not rest else [rest.decode(errors="replace")]
