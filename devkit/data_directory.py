"""The folder that `tollgate up` keeps everything in, and the lock on it.

`tollgate.json` says which layout the folder has, so that an older release does not touch what a
newer one wrote.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from runtime.clock import monotonic_seconds

LAYOUT: Final = 1
"""Raised whenever an older release could not work with what this one writes here."""

_LEFTOVER_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.1
_PID_BYTES_MAX: Final = 32


class DataDirectoryError(Exception):
    """The folder cannot be used, and the message says what to do."""


@dataclass(frozen=True)
class DataDirectory:
    """Where each thing is."""

    path: Path

    @property
    def marker(self) -> Path:
        """The file that says that this is such a folder, and of which layout."""
        return self.path / "tollgate.json"

    @property
    def endpoints(self) -> Path:
        """Where the running system can be reached; there only while it runs."""
        return self.path / "endpoints.json"

    @property
    def secrets(self) -> Path:
        """Every password and key."""
        return self.path / "secrets.json"

    @property
    def demo(self) -> Path:
        """The demo accounts."""
        return self.path / "demo.json"

    def log(self, name: str) -> Path:
        """Return the log file of a part."""
        return self.path / "logs" / f"{name}.log"

    def work(self, service: str) -> Path:
        """Return a service's own working folder."""
        return self.path / "work" / service

    @property
    def archive(self) -> Path:
        """Sources of modules, by digest."""
        return self.path / "archive"

    @property
    def stripe_fake(self) -> Path:
        """What the fake of Stripe keeps."""
        return self.path / "stripe" / "fake.sqlite"

    def segments(self, service: str) -> Path:
        """Return where a service seals to; the ledger was the first that did."""
        return self.path / ("segments" if service == "ledger" else f"segments-{service}")


def lock(path: Path, tell: Callable[[str], None]) -> int:
    """Return the descriptor that holds the lock on a data directory, made if there is none.

    A watchdog that still ends what a killed `tollgate up` left holds the lock too: it is waited
    for. `DataDirectoryError` where another `tollgate up` is running.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
        descriptor = os.open(path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be used: {error.strerror}") from error
    deadline = monotonic_seconds() + _LEFTOVER_SECONDS_MAX
    told = False
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, _PID_BYTES_MAX, 0).decode().strip()
        if (holder.isdigit() and psutil.pid_exists(int(holder))) or monotonic_seconds() > deadline:
            os.close(descriptor)
            raise DataDirectoryError(
                f"another `tollgate up` (process {holder}) uses {path}: "
                "stop it, or choose another --data-dir"
            )
        if not told:
            tell(f"waiting until what process {holder} left running has ended")
            told = True
        time.sleep(_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def open_data_directory(path: Path, *, version: str) -> DataDirectory:
    """Return the folder, marked as ours; the caller holds its lock.

    `DataDirectoryError` where it belongs to something else, or to a newer release.
    """
    directory = DataDirectory(path)
    if directory.marker.exists():
        _check_layout(directory)
        return directory
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name != "up.lock")
    if strangers:
        raise DataDirectoryError(
            f"{path} is not empty ({', '.join(strangers[:3])}) and no data directory of Tollgate: "
            "choose another --data-dir"
        )
    write_json(directory.marker, {"layout": LAYOUT, "made_by": version})
    return directory


def write_json(path: Path, value: Any) -> None:
    """Write a file that only we can read, at once or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    with unfinished.open("w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file of ours holds; `DataDirectoryError` where it is damaged."""
    try:
        value = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise DataDirectoryError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise DataDirectoryError(f"{path} holds no object")
    return value


def _check_layout(directory: DataDirectory) -> None:
    marker = read_json(directory.marker)
    layout = marker.get("layout")
    if not isinstance(layout, int) or layout < 1:
        raise DataDirectoryError(f"{directory.marker} does not say which layout the folder has")
    if layout > LAYOUT:
        raise DataDirectoryError(
            f"{directory.path} was written by a newer Tollgate ({marker.get('made_by')}, layout "
            f"{layout}; this release knows {LAYOUT}): use that release, or another --data-dir"
        )


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
