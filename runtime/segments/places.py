"""Where segments are kept: a directory (`file://`) or an object store (`gs://`, `s3://`).

Under its name a file is whole or not there at all. In a directory that is a rename of what is
already on the disk; an object store shows an object only when all of it has come.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

UNFINISHED: Final = ".unfinished-"
COPY_BYTES: Final = 1024 * 1024
FILES_MAX: Final = 1_000_000
_FILE_MODE: Final = 0o644


class PlaceError(ValueError):
    """The address of a place for segments is none, or more is there than can be."""


class Place(Protocol):
    """A flat folder of files. Calls block: give them a thread of their own."""

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    def names(self) -> list[str]:
        """Return the names of the finished files, sorted."""
        ...

    def read(self, name: str, bytes_max: int) -> bytes:
        """Return a file's content, at most so many bytes; `FileNotFoundError` if there is none."""
        ...

    def fetch(self, name: str) -> AbstractContextManager[Path]:
        """Give a local path to a file's content, for as long as the context lasts."""
        ...

    def locate(self, name: str) -> "tuple[FileSystem, str]":
        """Return the file system a file is in and its path there, to read parts of it."""
        ...

    def put(self, name: str, source: Path) -> None:
        """Keep a copy of a local file under this name, durably; what had the name is replaced."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def clean(self) -> None:
        """Remove what a writer that was killed left unfinished."""
        ...


def open_place(url: str) -> Place:
    """Return the place at `file:///folder`, `gs://bucket/prefix` or `s3://bucket/prefix`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise PlaceError("a folder of segments is file:/// and an absolute path")
        return FolderPlace(Path(unquote(parts.path)))
    if parts.scheme not in {"gs", "s3"} or not parts.netloc:
        raise PlaceError("a place for segments is a file:///, gs:// or s3:// address")
    from pyarrow.fs import FileSystem as Opened

    system, prefix = Opened.from_uri(url)
    return ObjectPlace(system, prefix, url)


class FolderPlace:
    """Segments in a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def url(self) -> str:
        """Where it is."""
        return self._root.as_uri()

    def names(self) -> list[str]:
        """Return the names of the finished files, sorted."""
        if not self._root.is_dir():
            return []
        return _bounded(e.name for e in os.scandir(self._root) if not e.name.startswith("."))

    def read(self, name: str, bytes_max: int) -> bytes:
        """Return a file's content."""
        with (self._root / name).open("rb") as file:
            return file.read(bytes_max)

    @contextmanager
    def fetch(self, name: str) -> Iterator[Path]:
        """Give the path itself."""
        yield self._root / name

    def locate(self, name: str) -> "tuple[FileSystem, str]":
        """Return the machine's own file system and the file's path."""
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem(), str(self._root / name)

    def put(self, name: str, source: Path) -> None:
        """Copy, flush to the disk, rename, flush the directory."""
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=self._root, prefix=UNFINISHED)
        try:
            with source.open("rb") as content, os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file, COPY_BYTES)
                file.flush()
                os.fsync(file.fileno())
            Path(unfinished).chmod(_FILE_MODE)
            Path(unfinished).replace(self._root / name)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        self._flush()

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self._root / name).unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what a writer that was killed left unfinished."""
        if self._root.is_dir():
            for path in self._root.glob(f"{UNFINISHED}*"):
                path.unlink(missing_ok=True)

    def _flush(self) -> None:
        directory = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class ObjectPlace:
    """Segments in a bucket, or in whatever else is a pyarrow file system with whole objects."""

    def __init__(self, system: "FileSystem", prefix: str, url: str) -> None:
        self._system = system
        self._prefix = prefix.rstrip("/")
        self._url = url

    @property
    def url(self) -> str:
        """Where it is."""
        return self._url

    def names(self) -> list[str]:
        """Return the names of the objects, sorted."""
        from pyarrow.fs import FileSelector, FileType

        found = self._system.get_file_info(FileSelector(self._prefix, allow_not_found=True))
        return _bounded(info.base_name for info in found if info.type == FileType.File)

    def read(self, name: str, bytes_max: int) -> bytes:
        """Return an object's content."""
        with self._system.open_input_stream(self._path(name)) as stream:
            return bytes(stream.read(bytes_max))

    @contextmanager
    def fetch(self, name: str) -> Iterator[Path]:
        """Give a local copy, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="tollgate-segment-") as folder:
            path = Path(folder) / "content"
            with (
                self._system.open_input_stream(self._path(name)) as stream,
                path.open("wb") as file,
            ):
                while chunk := stream.read(COPY_BYTES):
                    file.write(chunk)
            yield path

    def locate(self, name: str) -> "tuple[FileSystem, str]":
        """Return the object store and the object's path in it."""
        return self._system, self._path(name)

    def put(self, name: str, source: Path) -> None:
        """Send it; the object is there when the stream was closed without an error."""
        with source.open("rb") as content, self._system.open_output_stream(self._path(name)) as out:
            while chunk := content.read(COPY_BYTES):
                out.write(chunk)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        from pyarrow.fs import FileType

        if self._system.get_file_info(self._path(name)).type == FileType.File:
            self._system.delete_file(self._path(name))

    def clean(self) -> None:
        """Nothing is ever unfinished here."""

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _bounded(names: Iterator[str]) -> list[str]:
    found = []
    for name in names:
        found.append(name)
        if len(found) > FILES_MAX:
            raise PlaceError(f"more than {FILES_MAX} files")
    return sorted(found)
