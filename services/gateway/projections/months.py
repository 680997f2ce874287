"""Months, attested and closed, and the statements of their payees."""

from collections.abc import Iterator
from typing import Any, Final

from contracts.envelope import Envelope
from contracts.ledger.v1 import PeriodAttested
from contracts.revenue.v1 import PeriodClosed, StatementClosed
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_ATTESTED: Final = """
    insert into months (period, attested_at, recognized_minor, reversed_minor)
    values ($1, $2, $3, $4)
    on conflict (period) do update set attested_at = excluded.attested_at"""
_CLOSED: Final = """
    insert into months (period, recognized_minor, reversed_minor, statements, payable_minor,
                        verified_facts, closed_by, closed_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (period) do update
    set recognized_minor = excluded.recognized_minor, reversed_minor = excluded.reversed_minor,
        statements = excluded.statements, payable_minor = excluded.payable_minor,
        verified_facts = excluded.verified_facts, closed_by = excluded.closed_by,
        closed_at = excluded.closed_at"""
_STATEMENT: Final = """
    insert into statements (
        statement_id, payee_id, period, since, until, currency, opening_minor, accrued_minor,
        reversed_minor, adjustments_minor, balance_minor, disputed_minor, payable_minor,
        carried_forward_minor, lines, first_sequence, last_sequence, lines_digest, fact_hash,
        closed_by, closed_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21)
    on conflict (statement_id) do nothing"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope):
        return
    match change.data:
        case PeriodAttested() as month:
            amounts = (month.recognized_minor, month.reversed_minor)
            yield _ATTESTED, (month.period, month.attested_at, *amounts)
        case PeriodClosed() as month:
            amounts = (month.recognized_minor, month.reversed_minor)
            sealed = (month.statements, month.payable_minor, month.verified_facts)
            yield _CLOSED, (month.period, *amounts, *sealed, month.closed_by, month.closed_at)
        case StatementClosed() as statement:
            yield _STATEMENT, _values(statement, change)
        case _:
            return


def _values(statement: StatementClosed, change: Envelope[Any]) -> tuple[object, ...]:
    amounts = (
        *(statement.opening, statement.accrued, statement.reversed, statement.adjustments),
        *(statement.balance, statement.disputed, statement.payable, statement.carried_forward),
    )
    return (
        *(statement.statement_id, statement.payee_id, statement.period),
        *(statement.since, statement.until, statement.balance.currency),
        *(each.amount_minor for each in amounts),
        *(statement.lines, statement.first_sequence, statement.last_sequence),
        *(statement.lines_digest, change.facthash, statement.closed_by, statement.closed_at),
    )


MONTHS = SqlProjection("months", _statements, tables=("months", "statements"))
