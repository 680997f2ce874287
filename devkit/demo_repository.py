"""A Git repository of the example modules, for a demo to sync from."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

EXAMPLES: Final = Path(__file__).resolve().parent.parent / "examples" / "modules"
_GIT_SECONDS_MAX: Final = 30.0


class DemoRepositoryError(Exception):
    """The demo repository cannot be made; the message says why."""


def make_repository(folder: Path, source: Path = EXAMPLES) -> str:
    """Return the commit of a repository that holds what `source` holds now, on branch `main`.

    Made if there is none; where the examples have changed since, the change is one more commit.
    """
    if not source.is_dir():
        raise DemoRepositoryError(f"there are no example modules in {source}: is this a checkout?")
    if shutil.which("git") is None:
        raise DemoRepositoryError("git is not in PATH: the demo's modules come from a repository")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        _git(folder, "init", "--quiet", "--initial-branch=main")
    for entry in folder.iterdir():
        if entry.name == ".git":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform"))
    _git(folder, "add", "--all")
    if _git(folder, "status", "--porcelain"):
        _git(folder, "commit", "--quiet", "--message", "Modules of the demo")
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *words: str) -> str:
    """Return what git prints; nobody's configuration, hooks or templates have a say in it."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TEMPLATE_DIR": "",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_NAME": "Tollgate demo" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "demo@demo.example" for role in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        ("git", "-C", str(folder), *words),
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=_GIT_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise DemoRepositoryError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
