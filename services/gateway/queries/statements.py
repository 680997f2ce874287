"""Months, and the statements of their payees with their lines."""

from typing import Any, Final

from runtime.connection import Connection
from services.gateway.queries.csv_cells import DOWNLOAD_SECONDS_MAX, Take, cell, instant

_MONTH: Final = """
    select period, attested_at, recognized_minor, reversed_minor, statements, payable_minor,
           verified_facts, closed_by, closed_at
    from months"""
_LINES: Final = """
    from revenue_shares s
    join revenue_lines l on l.deployment_id = s.deployment_id and l.line = s.line
    where s.payee_id = $1 and s.sequence >= $2 and s.sequence <= $3
      and l.recognized_at >= $4 and l.recognized_at < $5"""
"""A payee's lines of a month. Between its first and its last may be lines of another month."""


async def list_months(
    connection: Connection, *, period: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return months that were attested, or closed, the latest first; or the one of a period."""
    rows = await connection.fetch(
        f"""{_MONTH} where ($1::text is null or period = $1) and ($2::text is null or period < $2)
            order by period desc limit $3""",
        period,
        before,
        limit,
    )
    return [dict(row) for row in rows]


async def month_by_period(connection: Connection, period: str) -> dict[str, Any] | None:
    """Return a month, if it was attested or closed."""
    row = await connection.fetchrow(f"{_MONTH} where period = $1", period)
    return None if row is None else dict(row)


async def list_statements(
    connection: Connection,
    *,
    payee_id: str | None,
    period: str | None,
    after: tuple[str, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return statements, those of the latest month first."""
    rows = await connection.fetch(
        """select * from statements
           where ($1::text is null or payee_id = $1) and ($2::text is null or period = $2)
             and ($3::text is null or (period, payee_id) < ($3, $4))
           order by period desc, payee_id desc limit $5""",
        payee_id,
        period,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def statement_by_id(connection: Connection, statement_id: str) -> dict[str, Any] | None:
    """Return a statement, if it is there."""
    row = await connection.fetchrow(
        "select * from statements where statement_id = $1", statement_id
    )
    return None if row is None else dict(row)


async def list_statement_lines(
    connection: Connection, statement: dict[str, Any], *, after: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return lines of a statement in the order of the payee's stream, `after` a sequence."""
    rows = await connection.fetch(
        f"""select s.sequence, s.deployment_id, s.line, s.payee_role, l.kind, l.reverses,
                   l.module_id, l.module_name, l.recognized_at, l.true_revenue_minor, l.currency,
                   s.share_minor, s.running_total_minor
            {_LINES} and s.sequence > $6 order by s.sequence limit $7""",  # noqa: S608 - our own constant
        *_arguments(statement),
        after or 0,
        limit,
    )
    return [dict(row) for row in rows]


async def copy_statement_lines(
    connection: Connection, statement: dict[str, Any], take: Take
) -> None:
    """Hand over all lines of a statement as CSV, in pieces; Postgres writes it."""
    await connection.copy_from_query(
        f"""select s.sequence, s.deployment_id, s.line, s.payee_role, l.kind, l.reverses,
                   l.module_id, {cell("l.module_name")} as module_name,
                   {instant("l.recognized_at")} as recognized_at, l.true_revenue_minor,
                   s.share_minor, s.running_total_minor, l.currency
            {_LINES} order by s.sequence""",  # noqa: S608 - only our own constants are put together
        *_arguments(statement),
        output=take,
        format="csv",
        header=True,
        timeout=DOWNLOAD_SECONDS_MAX,
    )


def _arguments(statement: dict[str, Any]) -> tuple[Any, ...]:
    names = ("payee_id", "first_sequence", "last_sequence", "since", "until")
    return tuple(statement[name] for name in names)
