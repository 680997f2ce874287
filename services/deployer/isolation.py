"""How far builds are kept apart on this machine, which is tried out before any build runs.

Best is a room of their own (`runner/namespaces.py`), as root with a user of their own in it. Where
the kernel makes no rooms, root still has users of builds' own, who can touch no file of ours but
reach our network. Where there is neither, builds run with the deployer's own rights. Both of the
last have to be allowed, and are for development only.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from services.deployer.build_users import reserve_free

PROBE_SECONDS_MAX: Final = 30
PROBE_MODULE: Final = "services.deployer.runner.try_room"
REASON_LENGTH_MAX: Final = 500
_OTHERS_MAY_WRITE: Final = 0o022
_INHERITED: Final = ("PATH", "PYTHONPATH")


class WorkFolderError(Exception):
    """The work folder is not the deployer's own."""


@dataclass(frozen=True)
class Isolation:
    """Whether builds have rooms, and as which users they run: from this one on, or as we do."""

    in_room: bool
    first_build_uid: int | None

    @property
    def consequence(self) -> str:
        """What builds would do here that they should not."""
        if self.first_build_uid is None:
            return "run with the deployer's own rights"
        return "reach the network of the platform's own services"


def prepare_work_folder(folder: Path) -> None:
    """Make the folder that builds' folders are made in; `WorkFolderError` where it is another's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        raise WorkFolderError(f"{folder} belongs to another user, or others may write in it")
    if os.geteuid() == 0:
        folder.chmod(0o711)


def isolation(folder: Path, uid: int, program: str | None) -> Isolation:
    """Return how far builds can be kept apart here, their users from `uid` on. This blocks.

    It is tried as a user that no build has: whoever ends a build kills all that its user runs.
    `OSError` where every user has a build.
    """
    if os.geteuid() != 0:
        return Isolation(in_room=_makes_rooms(folder, None, program), first_build_uid=None)
    tried, reservation = reserve_free(uid)
    with reservation:
        if _makes_rooms(folder, tried, program):
            return Isolation(in_room=True, first_build_uid=uid)
        runs = _runs_as(tried, folder, program)
    return Isolation(in_room=False, first_build_uid=uid if runs else None)


def version_of(program: str) -> str:
    """Return what a program says it is: `Terraform v1.11.4`, `OpenTofu v1.10.6`. This blocks."""
    environment = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    try:
        said = subprocess.run(  # noqa: S603 - the program is named by the settings
            (program, "version"),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=PROBE_SECONDS_MAX,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown: {error!r}"[:REASON_LENGTH_MAX]
    return said.decode(errors="replace").partition("\n")[0][:REASON_LENGTH_MAX]


def _makes_rooms(folder: Path, uid: int | None, program: str | None) -> bool:
    """Return whether the program runs in a room, made in the very way that builds' rooms are."""
    words = ("/bin/true",) if program is None else (program, "version")
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as name:
        try:
            tried = subprocess.run(  # noqa: S603 - the program is named by the settings
                (sys.executable, "-m", PROBE_MODULE, name, str(uid or ""), *words),
                env={each: os.environ[each] for each in _INHERITED if each in os.environ},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=PROBE_SECONDS_MAX,
            )
        except (OSError, subprocess.SubprocessError) as error:
            structlog.get_logger().info("builds.no_rooms", reason=repr(error))
            return False
    if tried.returncode != 0:
        reason = (tried.stdout + tried.stderr).decode(errors="replace").strip()
        structlog.get_logger().info("builds.no_rooms", reason=reason[-REASON_LENGTH_MAX:])
    return tried.returncode == 0


def _runs_as(uid: int, folder: Path, program: str | None) -> bool:
    """Return whether a user can run the program in a folder like a build's, by its whole path."""
    words = ("true",) if program is None else (program, "version")
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as name:
        home = Path(name)
        environment = {"HOME": name, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
        try:
            os.chown(home, uid, uid)
            subprocess.run(  # noqa: S603 - the program is named by the settings
                ("/bin/sh", "-c", 'cd "$0" && exec "$@"', name, *words),
                user=uid,
                group=uid,
                extra_groups=[],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=PROBE_SECONDS_MAX,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            structlog.get_logger().info("builds.no_user_of_their_own", reason=repr(error))
            return False
    return True
