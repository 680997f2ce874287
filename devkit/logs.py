"""Log files of the parts: kept short, and shown in a short form on the terminal."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FILE_BYTES_MAX: Final = 8 * 1024**2
READ_BYTES_MAX: Final = 256 * 1024
LINE_CHARACTERS_MAX: Final = 400
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_PLAIN_MARKS: Final = ("[ERR]", "[FTL]", "] FATAL:", "PANIC:")
_HIDDEN_FIELDS: Final = frozenset({"event", "level", "timestamp", "service", "exception", "logger"})


@dataclass
class Follower:
    """Follows one log file: `new_lines` gives what was added since it was last asked."""

    name: str
    path: Path
    position: int = 0
    _rest: bytes = field(default=b"", repr=False)

    @classmethod
    def from_end(cls, name: str, path: Path) -> "Follower":
        """Return a follower that starts with what is written from now on."""
        return cls(name, path, path.stat().st_size if path.exists() else 0)

    def new_lines(self) -> Iterator[str]:
        """Yield new complete lines, at most 256 KiB of them; then keep the file short."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                data = file.read(READ_BYTES_MAX)
        except FileNotFoundError:
            return
        self.position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > READ_BYTES_MAX:
            lines, self._rest = [self._rest], b""
        for line in lines:
            yield line.decode(errors="replace")
        if self.position > FILE_BYTES_MAX:
            self._rotate()

    def _rotate(self) -> None:
        """Put the file aside and go on with an empty one.

        The part holds the file open for appending, so it is emptied, not renamed. What is written
        in the moment between the copy and the cut is lost: it is a log, and no fact.
        """
        shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
        os.truncate(self.path, 0)
        self.position = 0


def short_form(line: str, *, least_level: str) -> str | None:
    """Return what the terminal shows of a log line, or None for one that is not worth it.

    Services write JSON. Of the servers' plain text only their own errors are shown, not those of
    a client's session, which the client tells itself.
    """
    try:
        said = json.loads(line)
    except ValueError:
        marked = any(mark in line for mark in _PLAIN_MARKS)
        return line.strip()[:LINE_CHARACTERS_MAX] if marked else None
    if not isinstance(said, dict) or "event" not in said:
        return None
    level = str(said.get("level", "info"))
    if _LEVELS.get(level, 20) < _LEVELS[least_level]:
        return None
    fields = (f"{key}={value}" for key, value in said.items() if key not in _HIDDEN_FIELDS)
    return " ".join((str(said["event"]), *fields))[:LINE_CHARACTERS_MAX]
