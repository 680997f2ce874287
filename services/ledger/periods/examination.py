"""Reads the ledger up to a month's end: is all as it was written, and what does it come to?"""

from datetime import timedelta

import msgspec

from runtime.segments.chain import BadFact, ChainCheck
from runtime.segments.places import Place
from runtime.segments.reader import read_facts, snapshot
from runtime.segments.setup import checked_place, public_keys
from runtime.signing import PublicKeys
from services.ledger.periods.attesting import NotAttestedError
from services.ledger.periods.figures import MonthFigures
from services.ledger.periods.rules import Month, PeriodAttested
from services.ledger.sealing.verification import verify_all
from services.ledger.settings import LedgerSettings


class Examination(msgspec.Struct, frozen=True):
    """What a month came to; no attestation where something does not fit, which is named."""

    attestation: PeriodAttested | None
    first_bad: str | None


async def examine(dsn: str, place: Place | None, keys: PublicKeys, month: Month) -> Examination:
    """Return what a month came to that is closed for new facts, after verifying everything."""
    verified = await verify_all(dsn, place, keys)
    if verified.first_bad is not None:
        return _unfit(verified.first_bad)
    figures, check = MonthFigures(month), ChainCheck()
    async with snapshot(dsn) as connection:
        async for rows in read_facts(connection, month.until - timedelta(microseconds=1)):
            for row in rows:
                check.take(row)
                figures.take(row)
        before = await check.finish(connection, whole=False)
    if before.first_bad is not None:
        return _unfit(before.first_bad)
    attestation = PeriodAttested(
        period=month.name,
        since=month.since,
        until=month.until,
        facts=figures.facts,
        facts_by_kind=dict(sorted(figures.facts_by_kind.items())),
        recognized_minor=figures.recognized_minor,
        reversed_minor=figures.reversed_minor,
        ledger_facts=before.events,
        ledger_streams=check.streams,
        head=before.head,
        verified_facts=verified.events,
    )
    return Examination(attestation, None)


async def examined(settings: LedgerSettings, month: Month) -> PeriodAttested:
    """Return what a month came to, by the settings; else `NotAttestedError`."""
    dsn = settings.postgres_dsn.get_secret_value()
    found = await examine(dsn, checked_place(settings), public_keys(settings), month)
    if found.attestation is None:
        raise NotAttestedError(f"{month.name} is not attested: {found.first_bad}")
    return found.attestation


def _unfit(bad: BadFact) -> Examination:
    return Examination(None, bad.described())
