"""What the ledger has done by a process of its own: `python -m services.ledger.sealing …`.

`seal` seals what is not sealed yet; `verify` checks everything; `examine 2026-11` does that and
counts a month. What came of it is told as one line of JSON on standard output; exit status 3 says
that another process is sealing, 1 that it could not be done, with the reason on standard error.
"""

import asyncio
import sys
from typing import Any

import msgspec

from runtime.segments.manifest import ManifestError
from runtime.segments.schedule import ELSEWHERE
from runtime.segments.sealer import SealedElsewhereError, SealError, seal
from runtime.segments.setup import checked_place, public_keys, sealing_of
from services.ledger.periods.attesting import NotAttestedError
from services.ledger.periods.examination import examined
from services.ledger.periods.rules import Month
from services.ledger.sealing.origin import ORIGIN
from services.ledger.sealing.verification import verify_all
from services.ledger.sealing.verifying import Found
from services.ledger.settings import LedgerSettings


def main() -> int:
    """Do what the words say, and return the exit status."""
    done: Any
    try:
        match sys.argv[1:]:
            case ["seal"]:
                done = asyncio.run(_seal())
            case ["verify"]:
                done = asyncio.run(_verify())
            case ["examine", name]:
                done = asyncio.run(examined(LedgerSettings(), Month.named(name)))
            case words:
                sys.stderr.write(f"no such work: {words}\n")
                return 2
    except SealedElsewhereError:
        return ELSEWHERE
    except (SealError, ManifestError, NotAttestedError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
    return 0


async def _seal() -> dict[str, int]:
    made = await seal(sealing_of(ORIGIN, LedgerSettings()))
    return {"segments": len(made), "facts": sum(manifest.facts for manifest in made)}


async def _verify() -> Found:
    settings = LedgerSettings()
    dsn = settings.postgres_dsn.get_secret_value()
    result = await verify_all(dsn, checked_place(settings), public_keys(settings))
    bad = result.first_bad
    found = Found(result.events, result.head, result.segments, result.sealed)
    if bad is None:
        return found
    return msgspec.structs.replace(
        found, place=bad.place, stream=bad.stream, version=bad.version, problem=bad.problem
    )


if __name__ == "__main__":
    sys.exit(main())
