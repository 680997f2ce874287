"""Programs of Node's that tests ask: each in a folder with a lock file, from which npm installs."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.tools import lacking, program

INSTALL_SECONDS_MAX: Final = 200
RUN_SECONDS_MAX: Final = 120


def installs(folder: Path) -> None:
    """Install what a folder's lock file names, where it is not there; skip the test where none can.

    Nothing of what is installed runs meanwhile.
    """
    npm = program("node", "npm")
    if (folder / "node_modules" / ".package-lock.json").exists():
        return
    words = (npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    done = _run(words, folder, None, INSTALL_SECONDS_MAX)
    if done.returncode != 0:
        lacking("node", f"npm cannot install what {folder.name} needs: {done.stderr[-500:]}")


def runs(folder: Path, *words: str, given: str | None = None) -> str:
    """Return what a program of Node's prints, which must end well."""
    done = _run((program("node"), *words), folder, given, RUN_SECONDS_MAX)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers(folder: Path, script: str, question: Any) -> Any:
    """Return what a script answers, where question and answer are JSON."""
    return json.loads(runs(folder, script, given=json.dumps(question)))


def _run(
    words: Sequence[str], folder: Path, given: str | None, seconds_max: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - programs that tests name
        words,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
