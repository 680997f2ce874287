"""Folders of files kept by the digest of their content, so that what was used stays available.

An archive is a plain tar file, byte for byte the same for the same files: no times, no owners, no
compression, whose output may change with its library. So the digest names the content, and nothing
in an archive is larger than the archive. Stores are a directory (`file://`) or an object store
(`gs://`, `s3://`); whoever reads from one gets what the digest says, or an error.
"""

import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ARCHIVE_BYTES_MAX: Final = 64 * 1024 * 1024
FILES_MAX: Final = 10_000
PATH_LENGTH_MAX: Final = 400
_DIGEST_PREFIX: Final = "sha256:"
_HEX_LENGTH: Final = 64
_FILE_MODE: Final = 0o644
_PROGRAM_MODE: Final = 0o755


class ArchiveError(ValueError):
    """The base of what can be wrong with an archive or its store."""


class MissingArchiveError(ArchiveError):
    """The store has no archive of that digest."""


class DamagedArchiveError(ArchiveError):
    """What the store holds is not what the digest says."""


class UnsafeArchiveError(ArchiveError):
    """An archive that is too large, or would write outside of its folder."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file's content, and whether it may be run."""

    content: bytes
    executable: bool = False


class ArchiveStore(Protocol):
    """Where archives are kept. Calls block: give them a thread of their own."""

    def put(self, archive: bytes) -> str:
        """Keep the archive, durably and at once, and return its digest."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the archive of that digest, whole and verified, else an `ArchiveError`."""
        ...


def digest_of(archive: bytes) -> str:
    """Return `sha256:` and the hexadecimal digest."""
    return _DIGEST_PREFIX + sha256(archive).hexdigest()


def pack(files: Mapping[str, ArchivedFile]) -> bytes:
    """Return the archive of the files, by their relative POSIX paths; else `UnsafeArchiveError`."""
    if len(files) > FILES_MAX:
        raise UnsafeArchiveError(f"more than {FILES_MAX} files")
    if sum(len(file.content) for file in files.values()) > ARCHIVE_BYTES_MAX // 2:
        raise UnsafeArchiveError(f"more than {ARCHIVE_BYTES_MAX // 2} bytes")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            file = files[path]
            _check_path(path)
            member = tarfile.TarInfo(path)
            member.size = len(file.content)
            member.mode = _PROGRAM_MODE if file.executable else _FILE_MODE
            tar.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def extract(archive: bytes, folder: Path) -> None:
    """Write the archive's files below `folder`, which must exist and be empty.

    Only plain files are taken; a link, a device, a path that leads out, or more than the bounds
    allow raises `UnsafeArchiveError`, and leaves what was written so far.
    """
    if len(archive) > ARCHIVE_BYTES_MAX:
        raise UnsafeArchiveError(f"larger than {ARCHIVE_BYTES_MAX} bytes")
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for number, member in enumerate(tar):
                _check_count(number)
                _extract_member(tar, member, folder)
    except UnsafeArchiveError:
        raise
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise UnsafeArchiveError(f"is no archive: {error}") from error


def _check_count(number: int) -> None:
    if number >= FILES_MAX:
        raise UnsafeArchiveError(f"more than {FILES_MAX} files")


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    _check_path(member.name)
    if not member.isreg() or member.issparse():
        raise UnsafeArchiveError(f"{member.name!r} is not a plain file")
    target = folder.joinpath(*PurePosixPath(member.name).parts)
    content = tar.extractfile(member)
    if content is None:
        raise UnsafeArchiveError(f"{member.name!r} has no content")
    mode = _PROGRAM_MODE if member.mode & 0o100 else _FILE_MODE
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except (FileExistsError, NotADirectoryError) as error:
        raise UnsafeArchiveError(f"{member.name!r} is there twice") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.read())


def _check_path(path: str) -> None:
    parts = path.split("/")
    if not path or len(path) > PATH_LENGTH_MAX or "\0" in path or "\\" in path:
        raise UnsafeArchiveError(f"{path[:PATH_LENGTH_MAX]!r} is no usable path")
    if any(part in {"", ".", ".."} for part in parts):
        raise UnsafeArchiveError(f"{path!r} leads out of the archive, or is not in plain form")


def open_archive_store(url: str) -> ArchiveStore:
    """Return the store at `file:///folder`, `gs://bucket/prefix` or `s3://bucket/prefix`."""
    check_archive_url(url)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderStore(Path(unquote(parts.path)))
    # Heavy, and needed by nobody who keeps archives in a folder.
    from pyarrow.fs import FileSystem as Opened

    system, prefix = Opened.from_uri(url)
    return ObjectStore(system, prefix)


def check_archive_url(url: str) -> None:
    """Raise `ArchiveError` for what is no address of a store; nothing is opened."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise ArchiveError("a folder of archives is file:/// and an absolute path")
    elif parts.scheme not in {"gs", "s3"} or not parts.netloc:
        raise ArchiveError("a store of archives is a file:///, gs:// or s3:// address")


def _name_of(digest: str) -> str:
    hexadecimal = digest.removeprefix(_DIGEST_PREFIX)
    plain = len(hexadecimal) == _HEX_LENGTH and set(hexadecimal) <= set("0123456789abcdef")
    if not digest.startswith(_DIGEST_PREFIX) or not plain:
        raise ArchiveError(f"{digest!r} is no digest")
    return f"sha256/{hexadecimal[:2]}/{hexadecimal}.tar"


def _verified(archive: bytes, digest: str) -> bytes:
    if len(archive) > ARCHIVE_BYTES_MAX:
        raise DamagedArchiveError(f"{digest} is larger than {ARCHIVE_BYTES_MAX} bytes")
    if digest_of(archive) != digest:
        raise DamagedArchiveError(f"what is kept as {digest} is {digest_of(archive)}")
    return archive


class FolderStore:
    """Archives in a directory that several processes share."""

    def __init__(self, root: Path) -> None:
        if not root.is_absolute():
            raise ArchiveError("a folder of archives needs an absolute path")
        self._root = root

    def put(self, archive: bytes) -> str:
        """Keep the archive: it is on the disk, whole, under its name, or not there at all."""
        digest = digest_of(archive)
        target = self._root / _name_of(digest)
        if target.exists():
            return digest
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=target.parent, prefix=".unfinished-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(archive)
                file.flush()
                os.fsync(file.fileno())
            Path(unfinished).chmod(_FILE_MODE)
            Path(unfinished).replace(target)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the archive, verified."""
        try:
            with (self._root / _name_of(digest)).open("rb") as file:
                return _verified(file.read(ARCHIVE_BYTES_MAX + 1), digest)
        except FileNotFoundError as error:
            raise MissingArchiveError(f"{digest} is not in the store") from error


class ObjectStore:
    """Archives in a bucket, where an object is visible only once it is whole."""

    def __init__(self, system: "FileSystem", prefix: str) -> None:
        self._system = system
        self._prefix = prefix.rstrip("/")

    def put(self, archive: bytes) -> str:
        """Keep the archive; writing it again changes nothing."""
        digest = digest_of(archive)
        with self._system.open_output_stream(f"{self._prefix}/{_name_of(digest)}") as stream:
            stream.write(archive)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the archive, verified."""
        try:
            with self._system.open_input_stream(f"{self._prefix}/{_name_of(digest)}") as stream:
                return _verified(stream.read(ARCHIVE_BYTES_MAX + 1), digest)
        except FileNotFoundError as error:
            raise MissingArchiveError(f"{digest} is not in the store") from error
