"""A machine of its own, where everything is where the image has it and names lead to ourselves.

It is run as root of new mount, network and process namespaces; nobody outside sees any of it.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.deploy.manifests import ROOT

CODE: Final = Path("/opt/tollgate")
"""Where the image has the code, with its environment in `.venv`."""
PYTHON: Final = CODE / ".venv" / "bin" / "python3"
STATE: Final = Path("/srv")
"""In memory: what servers keep, volumes, secrets."""

_NAMES: Final = "127.0.0.1 localhost nats nats-headless.tollgate.svc tollgate-db-rw\n"
_POSTGRES_UID: Final = 26
_USERS: Final = f"root:x:0:0::/:/bin/sh\npostgres:x:{_POSTGRES_UID}:{_POSTGRES_UID}::/:/bin/sh\n"
_SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS
_UP: Final = 1


def furnish(folder: Path) -> None:
    """Make this process's machine one that pods run on; `folder` is for small files of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    _let_everybody_in(Path(sys.base_prefix), folder / "python")
    for place in (str(CODE.parent), "/run", str(STATE), "/var/lib"):
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", place)
    CODE.mkdir()
    _mount("--bind", str(ROOT), str(CODE))
    Path("/run/tollgate").mkdir()
    for name in _folders():
        Path("/var/lib/tollgate", name).mkdir(parents=True)
    for path, content in (("/etc/hosts", _NAMES), ("/etc/passwd", _USERS)):
        written = folder / Path(path).name
        written.write_text(content)
        written.chmod(0o644)
        _mount("--bind", str(written), path)


def image_environment() -> dict[str, str]:
    """Return what the image sets."""
    text = (ROOT / "Dockerfile").read_text().rpartition("\nENV ")[2].partition("\nUSER ")[0]
    pairs = (word.partition("=") for word in text.replace("\\\n", " ").split())
    return {name: value for name, _, value in pairs}


def in_place(path: Path) -> str:
    """Return where a file of ours is on this machine."""
    return str(CODE / path.relative_to(ROOT))


def as_user(uid: int) -> tuple[str, ...]:
    """Return the words that run a server as the user of its image."""
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--")


def _folders() -> tuple[str, ...]:
    """Return the folders that the image makes for volumes."""
    [line] = [
        each for each in (ROOT / "Dockerfile").read_text().splitlines() if "for folder" in each
    ]
    return tuple(line.removesuffix("\\").split(" in ")[1].split())


def _let_everybody_in(folder: Path, kept: Path) -> None:
    """Have Python itself within reach of every user, wherever it was installed."""
    closed = [each for each in reversed(folder.parents) if not each.stat().st_mode & 0o001]
    if not closed:
        return
    kept.mkdir()
    _mount("--bind", str(folder), str(kept))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed[0]))
    folder.mkdir(parents=True, mode=0o755)
    _mount("--bind", str(kept), str(folder))


def _mount(*words: str) -> None:
    subprocess.run(("mount", *words), check=True, env={"PATH": os.environ["PATH"]})
