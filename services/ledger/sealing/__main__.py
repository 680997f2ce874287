"""What the ledger has done by a process of its own: `python -m services.ledger.sealing seal`.

What came of it is told as one line of JSON on standard output; exit status 3 says that another
process is sealing, 1 that it could not be done, with the reason on standard error.
"""

import asyncio
import sys

import msgspec

from services.ledger.sealing.schedule import ELSEWHERE
from services.ledger.sealing.sealer import SealedElsewhereError, SealError, seal
from services.ledger.sealing.setup import sealing_of
from services.ledger.settings import LedgerSettings


def main() -> int:
    """Do what the words say, and return the exit status."""
    if sys.argv[1:] != ["seal"]:
        sys.stderr.write(f"no such work: {sys.argv[1:]}\n")
        return 2
    try:
        made = asyncio.run(seal(sealing_of(LedgerSettings())))
    except SealedElsewhereError:
        return ELSEWHERE
    except SealError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sealed = {"segments": len(made), "facts": sum(manifest.facts for manifest in made)}
    sys.stdout.buffer.write(msgspec.json.encode(sealed) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
