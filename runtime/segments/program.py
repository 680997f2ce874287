"""What a service does by a process of its own: `python -m services.<service>.sealing WORK …`.

What came of it is told as one line of JSON on standard output. Exit status 3 says that another
process is sealing, 2 that there is no such work, 1 that it could not be done, with the reason on
standard error.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from runtime.segments.manifest import ManifestError
from runtime.segments.origin import Origin
from runtime.segments.schedule import ELSEWHERE
from runtime.segments.sealer import SealedElsewhereError, SealError, seal
from runtime.segments.settings import SegmentSettings
from runtime.segments.setup import sealing_of

Work = Callable[..., Coroutine[Any, Any, Any]]


def work_as_told(works: Mapping[str, Work], expected: type[Exception] = SealError) -> int:
    """Do the work that the command line names, and return the exit status.

    The words after its name are what the work takes. An `expected` error is told as the reason.
    """
    name, *words = sys.argv[1:] or [""]
    if name not in works:
        sys.stderr.write(f"no such work: {name}\n")
        return 2
    try:
        done = asyncio.run(works[name](*words))
    except SealedElsewhereError:
        return ELSEWHERE
    except (SealError, ManifestError, expected) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
    return 0


def sealed_by(origin: Origin, settings: Callable[[], SegmentSettings]) -> Work:
    """Return the work that seals what is not sealed yet; it tells how much that was."""

    async def work() -> dict[str, int]:
        made = await seal(sealing_of(origin, settings()))
        return {"segments": len(made), "facts": sum(manifest.facts for manifest in made)}

    return work
