"""An ordinary user to run things as: ourselves, or as root one with a Python that it can reach."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from devkit.identity import NOBODY
from devkit.program import as_user


@dataclass(frozen=True)
class OrdinaryUser:
    """A Python of this version, the environment to run it in, and as whom (None: as we are)."""

    python: str
    environment: dict[str, str]
    uid: int | None


def ordinary_user(home: Path) -> OrdinaryUser:
    """Return an ordinary user whose home this folder is; skips where there is no Python for one."""
    paths = [str(Path(__file__).resolve().parents[2]), *(path for path in sys.path if path)]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if os.geteuid() != 0:
        return OrdinaryUser(sys.executable, environment, None)
    os.chown(home, NOBODY, NOBODY)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            subprocess.run(
                [python, "--version"], check=True, capture_output=True, **as_user(NOBODY)
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return OrdinaryUser(python, environment, NOBODY)
    pytest.skip(f"an ordinary user can reach no {version} here")
