"""What the ledger does with the commands of a month's end: raise the floor, then attest."""

from dataclasses import dataclass
from typing import Final

from runtime.floor import TimeFloor
from runtime.work import Command, DocumentKey, Needs, Work
from services.ledger.periods.rules import Month, PeriodAttested, decide

FLOOR: Final[DocumentKey] = ("periods", "floor")
"""The document that holds the end of the last month that is closed for new facts."""

_FLOOR_STREAM: Final = "period-floor"
"""Its head is locked by whoever raises the floor; no fact ever stands in it."""


@dataclass(frozen=True, kw_only=True)
class PeriodCommand(Command):
    """The base of what a month can be told."""

    month: Month


@dataclass(frozen=True, kw_only=True)
class CloseForFacts(PeriodCommand):
    """Let no new fact carry an `at` in this month or before it, whatever a replica's clock says."""


@dataclass(frozen=True, kw_only=True)
class AttestMonth(PeriodCommand):
    """Record what a month came to."""

    attestation: PeriodAttested


def needs_of_period(command: PeriodCommand) -> Needs:
    """Return what a command must lock and load."""
    if isinstance(command, CloseForFacts):
        return Needs(streams=(_FLOOR_STREAM,), documents=(FLOOR,))
    return Needs(streams=(command.month.stream,))


def handle_period(command: PeriodCommand, work: Work) -> None:
    """Carry a command out; to repeat one changes nothing."""
    match command:
        case CloseForFacts(month=month):
            floor = work.document(*FLOOR, TimeFloor)
            if floor is None or floor.until < month.until:
                work.put(*FLOOR, TimeFloor(until=month.until))
        case AttestMonth(month=month, attestation=attestation):
            stream = month.stream
            facts = decide(attestation, work.state(stream), work.at(stream))
            if facts:
                work.append(stream, facts)
        case _:
            raise TypeError(f"a month knows no {type(command).__name__}")
