"""What the ledger has done by a process of its own: `python -m services.ledger.sealing …`.

`seal` seals what is not sealed yet; `verify` checks everything; `examine 2026-11` does that and
counts a month.
"""

import sys

import msgspec

from runtime.segments.program import Work, sealed_by, work_as_told
from runtime.segments.setup import checked_place, public_keys
from services.ledger.periods.attesting import NotAttestedError
from services.ledger.periods.examination import examined
from services.ledger.periods.rules import Month, PeriodAttested
from services.ledger.sealing.origin import ORIGIN
from services.ledger.sealing.verification import verify_all
from services.ledger.sealing.verifying import Found
from services.ledger.settings import LedgerSettings


def main() -> int:
    """Do what the words say, and return the exit status."""
    works: dict[str, Work] = {
        "seal": sealed_by(ORIGIN, LedgerSettings),
        "verify": _verify,
        "examine": _examine,
    }
    return work_as_told(works, NotAttestedError)


async def _examine(name: str) -> PeriodAttested:
    return await examined(LedgerSettings(), Month.named(name))


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
