"""`python -m services.deployer.runner.try_room FOLDER UID PROGRAM…`: runs a program in a room.

The status is the program's own; 1 and a line that says why where there can be no room. `UID` may be
empty: the program then runs as who we are. For the deployer, which tries this before any build.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from services.deployer.runner.namespaces import Listeners, Room
from services.deployer.runner.program import Bounds, Program
from services.deployer.runner.usage import Limits

CPU_SECONDS_MAX: Final = 30


async def _try(folder: Path, uid: int | None, words: list[str], readable: tuple[Path, ...]) -> int:
    home, temporary, mount_point = (folder / name for name in ("home", "tmp", "room"))
    for path in (home, temporary, mount_point):
        path.mkdir()
    if uid is not None:
        for path in (home, temporary):
            os.chown(path, uid, uid)
    program = Program(
        words,
        folder=home,
        home=home,
        scratch=folder,
        environment={
            "HOME": str(home),
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
        },
        # The room ends what runs in it. Its user is not ended: a build may run as the same one, of
        # this deployer before it was started again, or of another on this machine.
        bounds=Bounds(None, CPU_SECONDS_MAX, Limits(None, None)),
        room=Room(
            home=home,
            temporary=temporary,
            readable=readable,
            mount_point=mount_point,
            uid=uid,
        ),
        serve=_close,
    )
    return await program.run(print)


@asynccontextmanager
async def _close(listeners: Listeners) -> AsyncIterator[None]:
    """Answer nobody."""
    listeners.state.close()
    listeners.way_out.close()
    yield


def main() -> int:
    """Try it, and say why not."""
    folder, uid, *words = sys.argv[1:]
    readable = (Path(words[0]), Path(words[0]).resolve())
    try:
        return asyncio.run(_try(Path(folder), int(uid) if uid else None, words, readable))
    except OSError as error:
        print(error)  # noqa: T201 - the standard output is where it is looked for
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
