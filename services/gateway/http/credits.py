"""Credits: what somebody has, where it came from, and where it went."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Query
from starlette.responses import Response

from contracts.types import LotKind
from services.gateway.gateway import Gateway
from services.gateway.http.access import signed_in
from services.gateway.http.csv_download import DOCUMENTED, csv_response, wants_csv
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.parameters import (
    Asker,
    IdInQuery,
    Moment,
    TheCursors,
    TheGateway,
    ThePaging,
    moment,
    period,
    whose,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Amount, Output, Page, by_time, page
from services.gateway.queries.credits import (
    WalletBalance,
    balance_as_of,
    balance_of,
    copy_history,
    line_by_id,
    list_expiring_lots,
    list_history,
    list_lots,
    lot_by_id,
)
from services.gateway.queries.users import exists

router = resource("Credits")

SEE_ALL: Final = ("finance", "admin")
HistoryType = Literal[
    "AWARD", "PURCHASE", "HOLD", "RELEASE", "SPEND", "REFUND", "EXPIRY", "ADJUSTMENT",
    "PURCHASE_REFUND", "REVERSAL", "DEBT_REPAYMENT", "DISPUTE",
]  # fmt: skip
LotStatus = Literal["ACTIVE", "SPENT", "EXPIRED", "REFUNDED", "DISPUTED"]


class Balance(Output):
    """A wallet's credits. `total` is awarded and purchased, `available` what of it can be spent.

    That is what is neither held nor `frozen`, as the free credits of disputed purchases are.
    `debt` are spent credits whose payment was taken back; `purchased` is counted net of it.
    """

    user_id: str
    awarded: int
    purchased: int
    total: int
    held: int
    awarded_held: int
    purchased_held: int
    frozen: int
    debt: int
    available: int
    available_purchased: int
    as_of: datetime


class Lot(Output):
    """Credits that entered at once. `remaining` are those that are not gone, held ones included.

    `frozen` of them cannot be spent while the purchase is disputed; `refunded` are void, because
    their price was given back. A bonus shares the fate of the purchase that it came with.
    """

    id: str
    user_id: str
    kind: LotKind
    credits: int
    remaining: int
    held: int
    frozen: int
    refunded: int
    bonus_of: str | None
    price: Amount
    source: str
    reason: str | None
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    status: LotStatus


class HistoryLine(Output):
    """One movement. `credits` is what it is about; the deltas are of the balance.

    A HOLD and a RELEASE move nothing in or out, so their deltas are 0; SPEND takes what was held.
    A REVERSAL makes spent credits debt, which a later purchase repays (DEBT_REPAYMENT); a DISPUTE
    freezes credits or thaws them.
    """

    id: str
    at: datetime
    type: HistoryType
    credits: int
    awarded_delta: int
    purchased_delta: int
    balance_after: int
    deployment_id: str | None
    lot_id: str | None
    reason: str | None


@router.get("/api/credits/balance")
@signed_in
async def balance(
    gateway: TheGateway, asker: Asker, user_id: IdInQuery = None, as_of: Moment = None
) -> Balance:
    """Read a balance, now or as it was."""
    owner = whose(asker, user_id, *SEE_ALL)
    at = moment(as_of, "as_of")
    async with gateway.connection() as connection:
        if not await exists(connection, owner):
            raise ProblemError("NOT_FOUND")
        found = (
            await balance_of(connection, owner, gateway.now)
            if at is None
            else await balance_as_of(connection, owner, at)
        )
    return shown_balance(owner, found)


@router.get("/api/credits/lots")
@signed_in
async def lots(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    user_id: IdInQuery = None,
    expires_before: Moment = None,
) -> Page[Lot]:
    """List lots, the newest first.

    With `expires_before` only those whose credits can be spent and will be gone before then; what
    goes first is first.
    """
    owner = whose(asker, user_id, *SEE_ALL)
    until = moment(expires_before, "expires_before")
    scope = {"list": "lots", "user": owner, "expires_before": expires_before}
    after = cursors.read(scope, paging.cursor, TIME_AND_ID)
    limit = paging.limit
    async with gateway.connection() as connection:
        if until is None:
            rows = await list_lots(connection, owner, after, limit + 1)
        else:
            rows = await list_expiring_lots(connection, owner, until, after, limit + 1)
    key = by_time("granted_at" if until is None else "expires_at")
    items, cursor = page(rows, limit=limit, cursors=cursors, scope=scope, key=key, item=_lot)
    return Page(items=items, next_cursor=cursor)


@router.get("/api/credits/history", response_model=Page[HistoryLine], responses=DOCUMENTED)
@signed_in
async def history(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    user_id: IdInQuery = None,
    type: Annotated[HistoryType | None, Query()] = None,  # noqa: A002 - the API's name
    begin: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    accept: Annotated[str, Header(max_length=500)] = "",
) -> Page[HistoryLine] | Response:
    """List all that moved, the newest first."""
    owner = whose(asker, user_id, *SEE_ALL)
    scope = {"list": "history", "user": owner, "type": type, "from": begin, "to": end}
    since, until = period(begin, end)
    if wants_csv(accept):
        return await csv_response(
            gateway,
            "credit-history",
            lambda c, take: copy_history(c, owner, take, kind=type, begin=since, end=until),
        )
    key = cursors.read(scope, paging.cursor, (int,))
    async with gateway.connection() as connection:
        rows = await list_history(
            connection,
            owner,
            kind=type,
            begin=since,
            end=until,
            before_sequence=None if key is None else key[0],
            limit=paging.limit + 1,
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: (row["sequence"],),
        item=_line,
    )
    return Page(items=items, next_cursor=cursor)


async def lot_shown(gateway: Gateway, lot_id: str) -> Lot:
    """Return a lot."""
    async with gateway.connection() as connection:
        row = await lot_by_id(connection, lot_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return _lot(row)


async def line_shown(gateway: Gateway, line_id: str) -> HistoryLine:
    """Return a line of history."""
    async with gateway.connection() as connection:
        row = await line_by_id(connection, line_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return _line(row)


def shown_balance(user_id: str, balance: WalletBalance) -> Balance:
    """Return a balance as the API has it."""
    total = balance.awarded + balance.purchased
    held = balance.awarded_held + balance.purchased_held
    return Balance(
        user_id=user_id,
        awarded=balance.awarded,
        purchased=balance.purchased,
        total=total,
        held=held,
        awarded_held=balance.awarded_held,
        purchased_held=balance.purchased_held,
        frozen=balance.awarded_frozen + balance.purchased_frozen,
        debt=balance.debt,
        available=balance.available_awarded + balance.available_purchased,
        available_purchased=balance.available_purchased,
        as_of=balance.as_of,
    )


def _lot(row: Mapping[str, Any]) -> Lot:
    same = (
        *("id", "user_id", "kind", "credits", "remaining", "held", "source", "reason"),
        *("granted_by", "granted_at", "expires_at", "bonus_of"),
    )
    return Lot(
        **{name: row[name] for name in same},
        frozen=row["remaining"] - row["held"] if row["disputes_open"] else 0,
        refunded=row["voided"],
        price=Amount(amount_minor=row["price_minor"], currency=row["currency"]),
        status=_status(row),
    )


def _status(row: Mapping[str, Any]) -> LotStatus:
    if row["disputes_open"]:
        return "DISPUTED"
    if row["remaining"]:
        return "ACTIVE"
    if row["voided"]:
        return "REFUNDED"
    return "EXPIRED" if row["expired"] else "SPENT"


def _line(row: Mapping[str, Any]) -> HistoryLine:
    return HistoryLine(**{name: value for name, value in row.items() if name != "sequence"})
