"""Users of builds' own: a module's code runs as somebody who may touch nothing of ours.

That takes root, and a work folder that such a user can reach. Where there is neither, builds run
with the deployer's own rights, which has to be allowed and is for development only.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import structlog

PROBE_SECONDS_MAX: Final = 30
_OTHERS_MAY_WRITE: Final = 0o022


class WorkFolderError(Exception):
    """The work folder is not the deployer's own."""


def prepare_work_folder(folder: Path) -> None:
    """Make the folder that builds' folders are made in; `WorkFolderError` where it is another's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        raise WorkFolderError(f"{folder} belongs to another user, or others may write in it")
    if os.geteuid() == 0:
        folder.chmod(0o711)


def first_build_user(folder: Path, uid: int, program: str | None) -> int | None:
    """Return `uid` where builds can run as it and as those after it, else nothing.

    It is tried: that user goes to a folder like a build's, by its whole path, and runs the program
    there. This blocks.
    """
    if os.geteuid() != 0:
        return None
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
            return None
    return uid
