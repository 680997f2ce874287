"""What is decided of a month: it is attested once, when it is over. Pure.

A month is a half-open interval of UTC, called `2026-11`; its stream is `period-2026-11`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from contracts.events import Event
from contracts.ledger import v1
from runtime.store import Recorded, StreamKind

_NAME: Final = re.compile(r"^([0-9]{4})-(0[1-9]|1[0-2])$")
_MONTHS_A_YEAR: Final = 12
_PREFIX: Final = "period-"


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in UTC."""

    year: int
    number: int

    @classmethod
    def named(cls, name: str) -> "Month":
        """Return the month of a name such as `2026-11`; else `ValueError`."""
        match = _NAME.match(name)
        if match is None or match[1] == "0000":
            raise ValueError(f"{name!r} is no month such as 2026-11")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, at: datetime) -> "Month":
        """Return the month an instant is in."""
        utc = at.astimezone(UTC)
        return cls(utc.year, utc.month)

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def since(self) -> datetime:
        """Return its first instant."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """Return the first instant that is no longer in it."""
        return self.next.since

    @property
    def next(self) -> "Month":
        """Return the month after it."""
        if self.number == _MONTHS_A_YEAR:
            return Month(self.year + 1, 1)
        return Month(self.year, self.number + 1)

    @property
    def stream(self) -> str:
        """Return the name of its stream."""
        return f"{_PREFIX}{self.name}"


class PeriodAttested(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", tag="period_attested",
    forbid_unknown_fields=True,
):  # fmt: skip
    """What a month came to, after everything up to its end was verified.

    `facts` and `facts_by_kind` count what has an `at` in the month, in streams of every kind.
    `recognized_minor` is the value of the purchased slices that were settled or repaid in it,
    `reversed_minor` of those that were refunded or reversed. `ledger_facts`, `ledger_streams` and
    `head` stand for all facts before its end; `head` is made as `tollgate ledger verify` makes it.
    """

    period: str
    since: datetime
    until: datetime
    facts: int
    facts_by_kind: dict[str, int]
    recognized_minor: int
    reversed_minor: int
    ledger_facts: int
    ledger_streams: int
    head: str
    verified_facts: int


PeriodFact = PeriodAttested


class Period(msgspec.Struct, frozen=True):
    """A month's state."""

    attested: bool = False


def decide(attestation: PeriodAttested, period: Period, at: datetime) -> list[PeriodAttested]:
    """Return the month's attestation; nothing where it was attested before.

    To attest a month before its end is a bug of the caller's, not a refusal.
    """
    if at < attestation.until:
        raise ValueError(f"{attestation.period} is not over at {at.isoformat()}")
    return [] if period.attested else [attestation]


def evolve(period: Period, fact: PeriodFact) -> Period:  # noqa: ARG001 - there is one kind of fact
    """Return the state after a fact."""
    return Period(attested=True)


def publish(record: Recorded[PeriodFact]) -> Sequence[Event]:
    """Return the one message that the fact is."""
    fact = record.fact
    return [
        v1.PeriodAttested(
            period=fact.period,
            since=fact.since,
            until=fact.until,
            facts=fact.facts,
            facts_by_kind=fact.facts_by_kind,
            recognized_minor=fact.recognized_minor,
            reversed_minor=fact.reversed_minor,
            ledger_facts=fact.ledger_facts,
            ledger_streams=fact.ledger_streams,
            head=f"sha256:{fact.head}",
            verified_facts=fact.verified_facts,
            attested_at=record.at,
        )
    ]


PERIOD: Final = StreamKind(
    name="period",
    facts=PeriodFact,
    state=Period,
    initial=lambda _: Period(),
    evolve=evolve,
    publish=publish,
)
"""`period-<year>-<month>`: what a month came to."""
