"""The ledger as it is: its messages one by one, and whether all of it fits."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import Response

from contracts.types import Id
from services.gateway.asking import ask
from services.gateway.events import VerificationAsked
from services.gateway.gateway import Gateway
from services.gateway.http.access import only
from services.gateway.http.credits import shown_balance
from services.gateway.http.cursors import LIMIT_DEFAULT, LIMIT_MAX
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import (
    Asker,
    IdInQuery,
    Moment,
    OperationId,
    TheGateway,
    moment,
)
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.shapes import Output
from services.gateway.queries.ledger import (
    list_events,
    position_of,
    totals_as_of,
    verification_by_id,
)

router = resource("Ledger")

WORTH_DOING_FOR: Final = timedelta(hours=6)


class LedgerEvent(Output):
    """One message of the ledger. `sequence` counts those of its stream, without a gap.

    It tells of the stored fact at `fact_version` of its stream, whose chained hash is `fact_hash`.
    """

    id: str
    stream: str
    sequence: int
    type: str
    user_id: str | None
    at: datetime
    correlation_id: str
    causation_id: str | None
    fact_version: int | None
    fact_hash: str | None
    data: Any


class LedgerEvents(Output):
    """Messages in the order in which they came; `next_after` is where to go on, now or later."""

    items: list[LedgerEvent]
    next_after: str | None
    more: bool


class Misfit(Output):
    """The first thing that does not fit; without stream and version no single fact is to blame."""

    place: str
    stream: str | None
    version: int | None
    problem: str


class Verification(Output):
    """What a verification of the whole ledger found; `sealed` facts are in `segments` segments."""

    events: int
    head: str
    ok: bool
    first_bad: Misfit | None
    segments: int
    sealed: int
    verified_at: datetime


@router.get("/api/ledger/events")
@only("finance", "admin")
async def ledger_events(
    gateway: TheGateway,
    user_id: IdInQuery = None,
    after: Annotated[Id | None, Query(description="The last event's id that is known.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="At most so many.")] = (
        LIMIT_DEFAULT
    ),
) -> LedgerEvents:
    """List the ledger's messages, the oldest first, of one user or of all."""
    async with gateway.connection() as connection:
        position = 0 if after is None else await position_of(connection, after)
        if position is None:
            raise invalid("/after", "is no event of the ledger", "UNKNOWN_EVENT")
        rows = await list_events(connection, user_id, position, limit + 1)
    items = [LedgerEvent(**{k: v for k, v in row.items() if k != "position"}) for row in rows]
    shown = items[:limit]
    return LedgerEvents(
        items=shown, next_after=shown[-1].id if shown else after, more=len(items) > limit
    )


class LedgerTotals(Output):
    """What all wallets owned together at an instant; purchased credits are net of `debt`."""

    as_of: datetime
    wallets: int
    awarded: int
    purchased: int
    total: int
    held: int
    frozen: int
    debt: int
    available: int


@router.get("/api/ledger/totals")
@only("finance", "admin")
async def ledger_totals(gateway: TheGateway, as_of: Moment = None) -> LedgerTotals:
    """Add up what all wallets own, now or as it was after all that had happened by an instant."""
    at = moment(as_of, "as_of") or gateway.now
    async with gateway.connection() as connection:
        wallets, all_of_them = await totals_as_of(connection, at)
    balance = shown_balance("", all_of_them)
    same = ("awarded", "purchased", "total", "held", "frozen", "debt", "available", "as_of")
    return LedgerTotals(wallets=wallets, **{name: getattr(balance, name) for name in same})


@router.post("/api/ledger/verify", responses=PENDING, response_model=Verification)
@only("finance", "admin")
async def verify_ledger(
    gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Verification | Response:
    """Have every stored fact, segment and manifest checked, from the first on."""
    asked = VerificationAsked(expires_at=gateway.now + WORTH_DOING_FOR)
    answer = await ask(gateway, asker, request_id, asked)
    result: Verification | Response = await conclude(gateway, asker, answer)
    return result


async def shown_verification(gateway: Gateway, request_id: str) -> Verification:
    """Return what a verification found."""
    async with gateway.connection() as connection:
        row = await verification_by_id(connection, request_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return Verification(**{**row, "head": row["head"].removeprefix("sha256:")})
