"""`tollgate ledger verify`: segments, tables, and that attested months hold what they held."""

import asyncpg
import msgspec

from runtime.segments import verification
from runtime.segments.chain import VerifyResult
from runtime.segments.places import Place
from runtime.segments.verification import Progress
from runtime.signing import PublicKeys
from services.ledger.periods.check import PeriodCheck, attested_periods
from services.ledger.sealing.origin import ORIGIN


async def verify_all(
    dsn: str, place: Place | None, keys: PublicKeys, *, progress: Progress | None = None
) -> VerifyResult:
    """Return whether everything that the ledger stores fits; without a place, nothing is sealed."""
    return await verification.verify_all(
        ORIGIN, dsn, place, keys, checking=_months, progress=progress
    )


def verify_segments(place: Place, keys: PublicKeys) -> VerifyResult:
    """Return whether the ledger's segments at a place fit, and the unsealed tail beside them."""
    return verification.verify_segments(ORIGIN, place, keys)


async def _months(connection: asyncpg.Connection) -> PeriodCheck:
    """Begin to count attested months; none where they cannot be read, which the chain will tell."""
    try:
        return PeriodCheck(await attested_periods(connection))
    except msgspec.ValidationError:
        return PeriodCheck([])
