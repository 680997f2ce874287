"""Months, closed by finance, and what each payee is due of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from starlette.responses import Response

from services.gateway.asking import ask
from services.gateway.events import CloseAsked
from services.gateway.gateway import Gateway
from services.gateway.http.access import only
from services.gateway.http.csv_download import DOCUMENTED, csv_response, wants_csv
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import (
    Asker,
    IdInPath,
    IdInQuery,
    OperationId,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.revenue import SEE_ALL, Accept, LineKind
from services.gateway.http.route import resource
from services.gateway.http.shapes import Amount, Output, page
from services.gateway.queries.settings import current_settings
from services.gateway.queries.statements import (
    copy_statement_lines,
    list_months,
    list_statement_lines,
    list_statements,
    month_by_period,
    statement_by_id,
)

router = resource("Revenue")

WORTH_DOING_FOR: Final = timedelta(hours=1)

_PERIOD: Final = r"^[12][0-9]{3}-(0[1-9]|1[0-2])$"
PeriodInPath = Annotated[str, Path(pattern=_PERIOD, description="A month in UTC: 2026-01.")]
PeriodInQuery = Annotated[str | None, Query(pattern=_PERIOD)]


class Statement(Output):
    """What a payee is due of a closed month.

    `opening` is what the statement before carried forward, `accrued` the month's shares, `reversed`
    what of the same month was taken back, `adjustments` what was taken back of earlier months; the
    `balance` is their sum. What is `disputed` is held back: `payable` is the rest, or 0 where that
    is negative, and `carried_forward` what is not payable. `lines_digest` is the SHA-256 of
    `<sequence> <hash of the fact>` and a line feed for each of the month's lines.
    """

    id: str
    payee_id: str
    period: str
    since: datetime
    until: datetime
    opening: Amount
    accrued: Amount
    reversed: Amount
    adjustments: Amount
    balance: Amount
    disputed: Amount
    payable: Amount
    carried_forward: Amount
    line_count: int
    lines_digest: str
    fact_hash: str | None
    closed_at: datetime


class StatementsPage(Output):
    """A part of the list."""

    items: list[Statement]
    next_cursor: str | None


class StatementLine(Output):
    """A share, or with `reverses` what of one was taken back."""

    sequence: int
    deployment_id: str
    line: int
    payee_role: Literal["partner", "agent"]
    kind: LineKind
    reverses: int | None
    module_id: str
    module_name: str
    recognized_at: datetime
    true_revenue: Amount
    share: Amount
    running_total: Amount


class StatementWithLines(Statement):
    """A statement, and a page of its lines."""

    lines: list[StatementLine]
    next_cursor: str | None


class Month(Output):
    """A month that is over; it is closed where `closed_at` says when."""

    period: str
    attested_at: datetime | None
    recognized: Amount
    reversed: Amount
    statements: int | None
    payable: Amount | None
    verified_facts: int | None
    closed_by: str | None
    closed_at: datetime | None


class MonthsPage(Output):
    """A part of the list."""

    items: list[Month]
    next_cursor: str | None


@router.get("/api/revenue/statements")
@only("partner", "agent", "finance", "admin")
async def statements(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    period: PeriodInQuery = None,
    payee_id: IdInQuery = None,
) -> StatementsPage:
    """List statements, those of the latest month first; partners and agents see their own."""
    if not asker.has(*SEE_ALL):
        # To filter by somebody else finds nothing, whether they are there or not.
        if payee_id not in (None, asker.user_id):
            return StatementsPage(items=[], next_cursor=None)
        payee_id = asker.user_id
    scope = {"list": "statements", "period": period, "payee_id": payee_id}
    key = cursors.read(scope, paging.cursor, (str, str))
    async with gateway.connection() as connection:
        rows = await list_statements(
            connection, payee_id=payee_id, period=period, after=key, limit=paging.limit + 1
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["period"], row["payee_id"]),
        item=lambda row: Statement(**_figures(row)),
    )
    return StatementsPage(items=items, next_cursor=cursor)


@router.get(
    "/api/revenue/statements/{statement_id}",
    response_model=StatementWithLines,
    responses=DOCUMENTED,
)
@only("partner", "agent", "finance", "admin")
async def statement(
    *,
    gateway: TheGateway,
    asker: Asker,
    statement_id: IdInPath,
    cursors: TheCursors,
    paging: ThePaging,
    accept: Accept = "application/json",
) -> StatementWithLines | Response:
    """Show a statement and a page of its lines; as CSV all lines, amounts in minor units."""
    async with gateway.connection() as connection:
        row = await statement_by_id(connection, statement_id)
        if row is None or not (asker.has(*SEE_ALL) or row["payee_id"] == asker.user_id):
            raise ProblemError("NOT_FOUND")
    if wants_csv(accept):
        return await csv_response(
            gateway,
            f"statement-{statement_id}",
            lambda c, take: copy_statement_lines(c, row, take),
        )
    scope = {"list": "statement", "id": statement_id}
    after = cursors.read(scope, paging.cursor, (int,))
    async with gateway.connection() as connection:
        rows = await list_statement_lines(
            connection, row, after=after and after[0], limit=paging.limit + 1
        )
    lines, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda line: (line["sequence"],),
        item=_line,
    )
    return StatementWithLines(**_figures(row), lines=lines, next_cursor=cursor)


@router.get("/api/revenue/periods")
@only("finance", "admin")
async def months(
    *, gateway: TheGateway, cursors: TheCursors, paging: ThePaging, period: PeriodInQuery = None
) -> MonthsPage:
    """List the months that are over, or the one of `period`; the latest first, how each closed."""
    scope = {"list": "months", "period": period}
    key = cursors.read(scope, paging.cursor, (str,))
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
        rows = await list_months(
            connection, period=period, before=key and key[0], limit=paging.limit + 1
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["period"],),
        item=lambda row: _month(row, currency),
    )
    return MonthsPage(items=items, next_cursor=cursor)


@router.post(
    "/api/revenue/periods/{period}/close",
    status_code=201,
    responses=PENDING,
    response_model=Month,
)
@only("finance", "admin")
async def close_month(
    period: PeriodInPath, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Month | Response:
    """Close a month: seal a statement for each payee, or tell all that stands in the way."""
    asked = CloseAsked(expires_at=gateway.now + WORTH_DOING_FOR, period=period)
    answer = await ask(gateway, asker, request_id, asked)
    result: Month | Response = await conclude(gateway, asker, answer)
    return result


async def shown_month(gateway: Gateway, period: str) -> Month:
    """Return a month as it was closed."""
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
        row = await month_by_period(connection, period)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return _month(row, currency)


def _month(row: Mapping[str, Any], currency: str) -> Month:
    same = ("period", "attested_at", "statements", "verified_facts", "closed_by", "closed_at")
    payable = row["payable_minor"]
    return Month(
        **{name: row[name] for name in same},
        recognized=Amount(amount_minor=row["recognized_minor"], currency=currency),
        reversed=Amount(amount_minor=row["reversed_minor"], currency=currency),
        payable=None if payable is None else Amount(amount_minor=payable, currency=currency),
    )


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    same = ("payee_id", "period", "since", "until", "lines_digest", "fact_hash", "closed_at")
    amounts = (
        *("opening", "accrued", "reversed", "adjustments", "balance", "disputed", "payable"),
        "carried_forward",
    )
    return {
        "id": row["statement_id"],
        "line_count": row["lines"],
        **{name: row[name] for name in same},
        **{
            name: Amount(amount_minor=row[f"{name}_minor"], currency=row["currency"])
            for name in amounts
        },
    }


def _line(row: Mapping[str, Any]) -> StatementLine:
    same = (
        *("sequence", "deployment_id", "line", "payee_role", "kind", "reverses", "module_id"),
        *("module_name", "recognized_at"),
    )
    return StatementLine(
        **{name: row[name] for name in same},
        **{
            name: Amount(amount_minor=row[f"{name}_minor"], currency=row["currency"])
            for name in ("true_revenue", "share", "running_total")
        },
    )
