"""What a build uses of memory and disk, measured from outside; nobody has to lend us cgroups.

It is a measurement every `LOOK_SECONDS`, not a wall: between two of them a build can take more.
That each process has a hard bound of its own, and each file, keeps that within reason.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from runtime.clock import monotonic_seconds

LOOK_SECONDS: Final = 0.5
REST_FACTOR: Final = 10
"""A measurement that takes long is made more seldom: this many times what it took lies between."""
BLOCK_BYTES: Final = 512
FILES_MAX: Final = 500_000
MIB: Final = 1024**2
FULL_BYTES: Final = MIB
"""A disk with less left is full: whoever found no room has given up a little since."""
NO_ROOM_LEFT: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where a disk is full."""
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Limits:
    """How much all processes of a build may use together; none: as much as there is."""

    memory_bytes_max: int | None
    disk_bytes_max: int | None


@dataclass(frozen=True)
class Excess:
    """What a build used more of than it may."""

    code: str
    message: str


def excess(limits: Limits, first: int, folders: Sequence[Path]) -> Excess | None:
    """Return what the processes from `first` on, and folders, use too much of. This blocks."""
    most = limits.memory_bytes_max
    if most is not None and memory_bytes(first) > most:
        return Excess("MEMORY_EXCEEDED", f"the build used more memory than {most // MIB} MiB")
    most = limits.disk_bytes_max
    if most is None:
        return None
    size, files = disk_usage(folders)
    if size + unlinked_bytes(first) > most:
        return Excess("DISK_EXCEEDED", f"the build wrote more to disk than {most // MIB} MiB")
    if files > FILES_MAX:
        return Excess("DISK_EXCEEDED", f"the build made more than {FILES_MAX} files")
    return None


def seconds_to_rest(begun_at: float) -> float:
    """Return how long to wait after a measurement that began then."""
    return max(LOOK_SECONDS, REST_FACTOR * (monotonic_seconds() - begun_at))


def descendants(first: int) -> list[psutil.Process]:
    """Return a process and all that come from it, the parents first."""
    try:
        process = psutil.Process(first)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def memory_bytes(first: int) -> int:
    """Return what a process and those that come from it hold of memory for themselves."""
    total = 0
    for process in descendants(first):
        with suppress(OSError, ValueError):
            _, resident, shared, *_ = Path(f"/proc/{process.pid}/statm").read_text().split()
            total += (int(resident) - int(shared)) * _PAGE_BYTES
    return total


def disk_usage(folders: Sequence[Path]) -> tuple[int, int]:
    """Return the bytes that folders take of their disk, and how many files they have."""
    size = files = 0
    for entry in _entries(folders):
        with suppress(OSError):
            size += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
        files += 1
        if files > FILES_MAX:
            break
    return size, files


def is_full(folder: Path) -> bool:
    """Return whether the disk that a folder is on is full."""
    left = os.statvfs(folder)
    return left.f_bavail * left.f_frsize < FULL_BYTES


def unlinked_bytes(first: int) -> int:
    """Return the bytes of files that processes hold open, and that have no name any more."""
    sizes: dict[tuple[int, int], int] = {}
    for process in descendants(first)[1:]:
        with suppress(OSError), os.scandir(f"/proc/{process.pid}/fd") as descriptors:
            for descriptor in descriptors:
                with suppress(OSError):
                    status = descriptor.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        sizes[status.st_dev, status.st_ino] = status.st_blocks * BLOCK_BYTES
    return sum(sizes.values())


def _entries(folders: Sequence[Path]) -> Iterator[os.DirEntry[str]]:
    """Yield what there is below folders; links are not followed."""
    left = [str(folder) for folder in folders]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as found:
            for entry in found:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
