"""Months and statements, as rows."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.revenue.month_facts import MonthAttested, MonthClosed, StatementClosed

_ATTESTED: Final = """
    insert into months (period, attested_at) values ($1, $2) on conflict (period) do nothing"""
_CLOSED: Final = "update months set closed_at = $2 where period = $1"
_STATEMENT: Final = """
    insert into statements (statement_id, payee_id, period, payable_minor, carried_forward_minor,
                            currency)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (statement_id) do nothing"""


class Months:
    """A row for each month that was attested, and one for each statement."""

    name = "months"
    tables = ("months", "statements")

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Note what was attested, closed and sealed in the batch."""
        for change in changes:
            if not isinstance(change, Recorded):
                continue
            match change.fact:
                case MonthAttested() as fact:
                    await connection.execute(_ATTESTED, fact.period, change.at)
                case MonthClosed() as fact:
                    await connection.execute(_CLOSED, fact.period, change.at)
                case StatementClosed(statement=each):
                    amounts = (each.payable_minor, each.carried_forward_minor, each.currency)
                    about = (each.statement_id, each.payee_id, each.period)
                    await connection.execute(_STATEMENT, *about, *amounts)
                case _:
                    continue
