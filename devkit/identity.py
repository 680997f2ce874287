"""As whom Postgres runs: it refuses to be root, and we may be root.

Two ways out, tried in this order. A user namespace that shows root as an ordinary user: files stay
root's, and a folder that only root can reach will do. Or a real change to an ordinary user id:
works where user namespaces are forbidden (most containers), and needs a folder, and binaries, that
this user can reach.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devkit.program import as_user

NOBODY: Final = 65_534
_PROBE_SECONDS_MAX: Final = 10.0


@dataclass(frozen=True)
class Identity:
    """How to run a program as an ordinary user: words to put before it, or a user id to become."""

    way: str
    prefix: tuple[str, ...] = ()
    uid: int | None = None


class NoIdentityError(Exception):
    """Postgres cannot be run from here as any user that it accepts."""


AS_SELF: Final = Identity("self")
BY_USER_ID: Final = Identity("user id", uid=NOBODY)


def choose_identity(directory: Path, binary: Path) -> Identity:
    """Return the way that works for a binary and its data directory, which must exist.

    A directory in use keeps to the way that its owner shows. `NoIdentityError` where none works.
    """
    if os.geteuid() != 0:
        _refuse_foreign(directory)
        return AS_SELF
    owner = directory.stat().st_uid
    if owner not in {0, NOBODY}:
        raise NoIdentityError(f"{directory} belongs to user {owner}: start as that user")
    candidates = [BY_USER_ID] if owner == NOBODY else [by_namespace()]
    if owner == 0 and not any(directory.iterdir()):
        candidates.append(BY_USER_ID)
    tried = []
    for identity in candidates:
        adopt(identity, directory)
        problem = _probe(identity, directory, binary)
        if problem is None:
            return identity
        tried.append(f"by {identity.way}: {problem}")
    reasons = "; ".join(tried)
    raise NoIdentityError(
        f"Postgres does not run as root, and no way around it works here ({reasons}). "
        f"Start as an ordinary user, or choose a --data-dir that user {NOBODY} can reach"
    )


def by_namespace() -> Identity:
    """Return the way through a user namespace."""
    unshare = shutil.which("unshare") or "/usr/bin/unshare"
    words = (unshare, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
    return Identity("user namespace", prefix=words)


def adopt(identity: Identity, path: Path) -> None:
    """Give a file or folder of ours to the user that will use it."""
    if identity.uid is not None and path.stat().st_uid != identity.uid:
        os.chown(path, identity.uid, identity.uid)


def _refuse_foreign(directory: Path) -> None:
    owner = directory.stat().st_uid
    if owner != os.geteuid():
        whose = "root" if owner == 0 else f"user {owner}"
        raise NoIdentityError(
            f"{directory} belongs to {whose}: start as that user, or choose another --data-dir"
        )


def _probe(identity: Identity, directory: Path, binary: Path) -> str | None:
    """Return why this way does not work, or None."""
    probe = 'cd "$1" && exec "$2" --version'
    words = (*identity.prefix, "/bin/sh", "-c", probe, "sh", str(directory), str(binary))
    try:
        result = subprocess.run(
            words,
            capture_output=True,
            check=False,
            timeout=_PROBE_SECONDS_MAX,
            **as_user(identity.uid),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return None
    return result.stderr.decode(errors="replace").strip() or f"status {result.returncode}"
