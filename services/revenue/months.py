"""The rules of months: what a statement comes to, and when a month may be closed.

A month is closed once, after those before it, when revenue has applied exactly what the ledger
attested and everything that is kept agrees with itself. Everything that stands in the way is told
at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, assert_never

from services.revenue.month_facts import (
    Applied,
    MonthAttested,
    MonthClosed,
    MonthFact,
    MonthState,
    ReasonCode,
    Statement,
    StatementClosed,
    StatementState,
)

PAYEES_MAX: Final = 10_000
"""Statements that are sealed together at most, in one transaction."""


@dataclass(frozen=True)
class Reason:
    """Why a month cannot be closed."""

    code: ReasonCode
    message: str


@dataclass(frozen=True, kw_only=True)
class PayeeFigures:
    """What a payee's lines up to a month's end come to, in minor units.

    `before_minor` is the sum of all lines before the month, `paid_minor` of all earlier statements
    what was payable, and `opening_minor` what the last of them carried forward.
    """

    payee_id: str
    currency: str
    before_minor: int
    paid_minor: int
    opening_minor: int
    accrued_minor: int
    reversed_minor: int
    adjustments_minor: int
    disputed_minor: int
    lines: int
    first_sequence: int
    last_sequence: int
    lines_digest: str


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was found when a month was to be closed."""

    period: str
    applied: Applied
    open_before: tuple[str, ...] = ()
    waiting: int = 0
    misfits: tuple[Reason, ...] = ()
    payees: tuple[PayeeFigures, ...] = field(default=())
    verified_facts: int = 0


def reasons(examined: Examined, state: MonthState) -> list[Reason]:
    """Return all that stands in the way of closing a month; nothing where it fits."""
    if state.closed:
        return [Reason("ALREADY_CLOSED", f"{examined.period} is closed")]
    found = [
        Reason("EARLIER_MONTH_OPEN", f"{period} is not closed") for period in examined.open_before
    ]
    if state.attested is None:
        text = f"the ledger has not attested {examined.period}, which it does when it is over"
        return [Reason("NOT_ATTESTED", text), *found]
    if examined.waiting:
        text = f"{examined.waiting} messages of the ledger wait to be applied"
        found.append(Reason("MESSAGES_WAIT", text))
    found += _differences(state.attested.ledger, examined.applied)
    found += examined.misfits
    if len(examined.payees) > PAYEES_MAX:
        text = f"{len(examined.payees)} payees are more than {PAYEES_MAX}"
        found.append(Reason("TOO_MANY_PAYEES", text))
    return [*found, *unbalanced(examined.payees)]


def unbalanced(payees: Sequence[PayeeFigures]) -> list[Reason]:
    """Return whose earlier statements are not what they had earned before the month."""
    return [
        Reason(
            "BALANCES_DIFFER",
            f"{payee.payee_id} had earned {payee.before_minor} before the month, and "
            f"{payee.paid_minor} were payable and {payee.opening_minor} carried forward",
        )
        for payee in payees
        if payee.before_minor != payee.paid_minor + payee.opening_minor
    ]


def _differences(attested: Applied, applied: Applied) -> list[Reason]:
    kinds = sorted({*attested.facts, *applied.facts})
    found = [
        Reason(
            "FACTS_DIFFER",
            f"{applied.facts.get(kind, 0)} of {attested.facts.get(kind, 0)} {kind} were applied",
        )
        for kind in kinds
        if attested.facts.get(kind, 0) != applied.facts.get(kind, 0)
    ]
    for what, there, here in (
        ("recognised", attested.recognized_minor, applied.recognized_minor),
        ("reversed", attested.reversed_minor, applied.reversed_minor),
    ):
        if there != here:
            text = f"{here} minor units were {what} here, and {there} by the ledger"
            found.append(Reason("AMOUNTS_DIFFER", text))
    return found


def statement_of(payee: PayeeFigures, period: str) -> Statement:
    """Return what a payee is due of a month.

    What is disputed is held back, and never more than there is; a negative balance is carried on.
    """
    balance = (
        payee.opening_minor + payee.accrued_minor + payee.reversed_minor + payee.adjustments_minor
    )
    disputed = max(0, payee.disputed_minor)
    payable = max(0, balance - disputed)
    return Statement(
        statement_id=f"{period}-{payee.payee_id}",
        payee_id=payee.payee_id,
        period=period,
        currency=payee.currency,
        opening_minor=payee.opening_minor,
        accrued_minor=payee.accrued_minor,
        reversed_minor=payee.reversed_minor,
        adjustments_minor=payee.adjustments_minor,
        balance_minor=balance,
        disputed_minor=disputed,
        payable_minor=payable,
        carried_forward_minor=balance - payable,
        lines=payee.lines,
        first_sequence=payee.first_sequence,
        last_sequence=payee.last_sequence,
        lines_digest=payee.lines_digest,
    )


def decide_close(
    examined: Examined, statements: Sequence[Statement], state: MonthState, *, closed_by: str
) -> MonthClosed:
    """Return the fact that closes a month; whoever calls has found no reason against it."""
    if state.closed or state.attested is None or reasons(examined, state):
        raise ValueError(f"{examined.period} cannot be closed")
    return MonthClosed(
        period=examined.period,
        statements=len(statements),
        payable_minor=sum(each.payable_minor for each in statements),
        applied=examined.applied,
        verified_facts=examined.verified_facts,
        closed_by=closed_by,
    )


def decide_attested(attested: MonthAttested, state: MonthState) -> list[MonthFact]:
    """Return that a month was attested, once."""
    return [] if state.attested is not None else [attested]


def evolve_month(state: MonthState, fact: MonthFact) -> MonthState:
    """Return how a month stands after a fact."""
    match fact:
        case MonthAttested():
            return MonthState(attested=fact, closed=state.closed)
        case MonthClosed():
            return MonthState(attested=state.attested, closed=True)
        case _:
            assert_never(fact)


def evolve_statement(state: StatementState, fact: StatementClosed) -> StatementState:  # noqa: ARG001 - a statement is sealed once
    """Return that the statement is sealed."""
    return StatementState(closed=True)


def bounds(period: str) -> tuple[datetime, datetime]:
    """Return the first instant of a month such as `2026-11`, and that of the next."""
    year, number = int(period[:4]), int(period[5:])
    since = datetime(year, number, 1, tzinfo=UTC)
    after = (year + 1, 1) if number == 12 else (year, number + 1)  # noqa: PLR2004 - December
    return since, datetime(*after, 1, tzinfo=UTC)
