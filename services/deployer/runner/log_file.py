"""What a build prints: cleaned, without secrets, bounded, on disk until it was heard.

Colours are removed. A line longer than the bound is cut with a mark. The values of sensitive
variables and outputs are replaced wherever they stand in a line, each line of a value for itself,
plain or as JSON, addresses and base64 write them. Values shorter than four characters are not: that
would tell them.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from os.path import commonprefix
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from services.deployer.runner.usage import NO_ROOM_LEFT

LINE_LENGTH_MAX: Final = 16_384
SECRET_LENGTH_MIN: Final = 4
PIECES_LENGTH_MAX: Final = 65_536
"""Terraform tells no longer line of what a module prints."""
BASE64_LENGTH_MIN: Final = 6
BASE64_WIDTHS: Final = (64, 76)
_URL_SAFE: Final = str.maketrans("+/", "-_")
CUT: Final = " … [line cut]"
FULL: Final = "… [the log is full; the rest is not kept]\n"
WAITING_BYTES_MAX: Final = 1024**2
NO_DISK: Final = "… [the disk was full; some lines are missing here]\n"
HIDDEN: Final = "(sensitive value)"
_ANSI: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_CONTINUATION: Final = 0b1000_0000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_GO_ESCAPES: Final = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


class Redactor:
    """Replaces secrets in text."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[Any]) -> None:
        """Hide these values too, from now on."""
        texts = {_plain(text).strip() for text in _texts(values)}
        new = {text for text in texts if len(text) >= SECRET_LENGTH_MIN} - self._secrets
        if new:
            self._secrets |= new
            longest_first = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def begun_in(self, text: str) -> int:
        """Return how many characters at the end of a text may begin a secret, the most there are.

        Fewer than a secret has at least do not count.
        """
        tail = text[-PIECES_LENGTH_MAX:]
        longest = 0
        for secret in self._secrets:
            begin = secret[:SECRET_LENGTH_MIN]
            at = tail.find(begin, max(0, len(tail) - len(secret) + 1))
            while at >= 0 and len(tail) - at > longest:
                if secret.startswith(tail[at:]):
                    longest = len(tail) - at
                at = tail.find(begin, at + 1)
        return longest

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
                yield quote(value, safe="")
                yield from _in_base64(value.encode(errors="surrogatepass"))
            case dict():
                yield from _texts(value.values())
            case list():
                yield from _texts(value)
            case int() | float() if not isinstance(value, bool):
                yield str(value)
            case _:
                pass


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what a secret looks like in base64, wherever in the text it stands, wrapped or not.

    Of its first and last character only the bits of the secret are its own: they are left out.
    """
    for before, lead in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(secret)) * 8 // 6
        encoded = b64encode(b"\0" * before + secret).decode()[lead:whole]
        for text in {encoded, encoded.translate(_URL_SAFE)}:
            yield from (t for t in (text,) if len(t) >= BASE64_LENGTH_MIN)
        if before == 0:
            for width in BASE64_WIDTHS:
                lines = (encoded[i : i + width] for i in range(0, len(encoded), width))
                yield from (line for line in lines if len(line) >= BASE64_LENGTH_MIN)


class Pieces:
    """Finds secrets that come in pieces: what a program prints slowly, Terraform tells in parts.

    A piece whose end may begin a secret is held back until the next one of the same source, or
    until that source says no more. Nothing else is ever held back.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held: dict[str, tuple[str, str]] = {}
        # The last few letters that were shown: too few to be held back, and yet a beginning.
        self._shown: dict[str, str] = {}

    def take(self, source: str, before: str, text: str) -> list[str]:
        """Return what may be shown of a source's next piece, with what stands before it."""
        shown, held = self._shown.get(source, ""), self._held.pop(source, ("", ""))[1]
        cleaned = self._redactor.clean(shown + held + _plain(text))
        same = commonprefix((shown, cleaned))  # noqa: RUF071 - of texts, letter by letter
        new = cleaned[len(same) :]
        if self._redactor.begun_in(cleaned) and len(new) <= PIECES_LENGTH_MAX:
            self._held[source] = (before, new)
            return []
        self._shown[source] = cleaned[-(SECRET_LENGTH_MIN - 1) :]
        return [before + new]

    def end(self) -> list[str]:
        """Return what was held back, since nothing follows that it could go on with."""
        found = []
        for before, text in self._held.values():
            begun = self._redactor.begun_in(text)
            found.append(f"{before}{text[: len(text) - begun]}{HIDDEN if begun else ''}")
        self._held.clear()
        self._shown.clear()
        return found


class LogFile:
    """The log on disk, up to `bytes_max`; while the disk is full, some of it waits in memory."""

    def __init__(self, path: Path, redactor: Redactor, bytes_max: int) -> None:
        path.touch(mode=0o600)
        self._file = path.open("r+b", buffering=0)
        self._redactor = redactor
        self._written = 0
        self._waiting = bytearray()
        self._is_cut = False
        self._room = bytes_max - len(FULL.encode())

    def write(self, text: str) -> None:
        """Add lines; once the log is full, one mark and no more."""
        if self._room <= 0:
            return
        data = f"{self._redactor.clean(text)}\n".encode()
        self._flush()
        if len(self._waiting) + len(data) > WAITING_BYTES_MAX:
            if self._is_cut:
                return
            data = NO_DISK.encode()
        self._is_cut = data == NO_DISK.encode()
        self._room -= len(data)
        if self._room <= 0:
            data = FULL.encode()
        self._waiting += data
        self._flush()

    def _flush(self) -> None:
        """Write as much of what waits as the disk has room for."""
        while self._waiting:
            self._file.seek(self._written)
            try:
                written = self._file.write(self._waiting)
            except OSError as error:
                if error.errno not in NO_ROOM_LEFT:
                    raise
                return
            self._written += written
            del self._waiting[:written]

    def read(self, offset: int, bytes_max: int) -> bytes:
        """Return what was written from an offset on, without a character cut in half."""
        self._file.seek(offset)
        data = self._file.read(max(0, min(bytes_max, self._written - offset)))
        begin = max(0, offset - self._written)
        data += bytes(self._waiting[begin : begin + bytes_max - len(data)])
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
