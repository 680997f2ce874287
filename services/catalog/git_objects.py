"""A commit's files, read from a bare repository without checking anything out.

Blocking: this runs in the reader's own process (see `reading_process`).
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from services.catalog.git_source import RepositoryError

LINE_BYTES_MAX: Final = 8_192
_CHUNK_BYTES: Final = 65_536

TREE: Final = "tree"
FILE: Final = "file"
PROGRAM: Final = "program"
LINK: Final = "link"
SUBMODULE: Final = "submodule"
_KINDS: Final = {
    "040000": TREE,
    "100644": FILE,
    "100755": PROGRAM,
    "120000": LINK,
    "160000": SUBMODULE,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a commit's tree; `size` is in bytes, 0 for trees."""

    path: str
    kind: str
    object_id: str
    size: int


def list_tree(git_directory: Path, commit: str, *, entries_max: int) -> list[Entry]:
    """Return all entries of a commit, directories included, by path.

    Raises `RepositoryError` for more than `entries_max`. In a path that is not UTF-8, the bytes in
    the way become backslash escapes.
    """
    command = [
        *("git", "--git-dir", str(git_directory), "ls-tree", "-r", "-t", "-z", "--long"),
        *("--full-tree", commit),
    ]
    entries: list[Entry] = []
    with subprocess.Popen(  # noqa: S603 - the arguments are ours; the commit is hexadecimal
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=_environment()
    ) as process:
        try:
            for record in _records(_pipe(process.stdout)):
                entries.append(_entry(record, len(entries), entries_max))
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise RepositoryError("the commit's files cannot be listed")
    return entries


def root_tree_id(git_directory: Path, commit: str) -> str:
    """Return the object id of a commit's root directory."""
    command = [
        "git",
        "--git-dir",
        str(git_directory),
        "rev-parse",
        "--verify",
        f"{commit}^{{tree}}",
    ]
    done = subprocess.run(  # noqa: S603 - the arguments are ours; the commit is hexadecimal
        command, stdin=subprocess.DEVNULL, capture_output=True, env=_environment(), check=False
    )
    if done.returncode != 0:
        raise RepositoryError("the commit has no files")
    return done.stdout.decode("ascii", "replace").strip()


def _records(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        *records, rest = (rest + chunk).split(b"\0")
        yield from records
        if len(rest) > LINE_BYTES_MAX:
            raise RepositoryError("has a path that is too long")


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise TypeError("the process was started without this pipe")
    return stream


def _entry(record: bytes, number: int, entries_max: int) -> Entry:
    if number >= entries_max:
        raise RepositoryError(f"has more than {entries_max} files and directories")
    description, _, path = record.partition(b"\t")
    mode, _, object_id, size = description.decode("ascii").split()
    return Entry(
        path=path.decode("utf-8", "backslashreplace"),
        kind=_KINDS.get(mode, FILE),
        object_id=object_id,
        size=int(size) if size.isdecimal() else 0,
    )


class Blobs:
    """Reads files' contents by object id, through one Git process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def read(self, entry: Entry) -> bytes:
        """Return the entry's content; the caller has looked at its size."""
        questions, answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        questions.write(f"{entry.object_id}\n".encode())
        questions.flush()
        header = answers.readline(LINE_BYTES_MAX).split()
        if len(header) != 3 or int(header[2]) != entry.size:  # noqa: PLR2004 - id, type, size
            raise RepositoryError(f"{entry.path} cannot be read")
        content = answers.read(entry.size + 1)
        return content[:-1]


@contextmanager
def open_blobs(git_directory: Path) -> Iterator[Blobs]:
    """Give a reader of contents for as long as the block lasts."""
    command = ["git", "--git-dir", str(git_directory), "cat-file", "--batch"]
    with subprocess.Popen(  # noqa: S603 - the arguments are ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
    ) as process:
        try:
            yield Blobs(process)
        finally:
            process.kill()


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_LAZY_FETCH": "1",
    }
