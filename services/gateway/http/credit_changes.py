"""What finance does about credits: gives, takes away, records what was invoiced elsewhere.

The ledger decides; each call is answered once the wallet has it, and never about one's own.
"""

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from contracts.types import WHOLE_NUMBER_MAX, AwardKind, Id, Instant, PositiveAmount
from services.gateway.asking import ask
from services.gateway.credentials import Principal
from services.gateway.events import AdjustmentAsked, AwardAsked, PurchaseAsked, user_stream
from services.gateway.gateway import Gateway
from services.gateway.http.access import only
from services.gateway.http.credits import HistoryLine, Lot
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import Asker, OperationId, TheGateway
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input, Price
from services.gateway.queries.settings import current_settings
from services.gateway.queries.users import exists

router = resource("Credits")

WORTH_DOING_FOR: Final = timedelta(minutes=15)
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class Award(Input):
    """Credits that shall be given for free, and to whom."""

    user_id: Id
    credits: PositiveAmount
    reason: Reason
    kind: AwardKind = "award.admin"
    expires_at: Instant | None = None


class Adjustment(Input):
    """Credits that shall be taken away: a negative number."""

    user_id: Id
    credits: Annotated[int, Field(lt=0, ge=-WHOLE_NUMBER_MAX)]
    reason: Reason


class Purchase(Input):
    """A purchase that was invoiced elsewhere; `reference` is the invoice's."""

    user_id: Id
    credits: PositiveAmount
    price: Price
    reference: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


@router.post("/api/credits/awards", status_code=201, responses=PENDING, response_model=Lot)
@only("admin", "finance")
async def award(
    body: Award, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Lot | Response:
    """Give credits for free; never to oneself."""
    await _check_other(gateway, asker, body.user_id)
    now = gateway.now
    if body.expires_at is not None and body.expires_at <= now:
        raise invalid("/expires_at", "must be after now", "NOT_IN_TIME")
    asked = AwardAsked(
        expires_at=now + WORTH_DOING_FOR,
        user_id=body.user_id,
        kind=body.kind,
        credits=body.credits,
        reason=body.reason,
        credits_expire_at=body.expires_at,
    )
    result: Lot | Response = await _move(gateway, asker, request_id, asked)
    return result


@router.post(
    "/api/credits/adjustments", status_code=201, responses=PENDING, response_model=HistoryLine
)
@only("admin", "finance")
async def adjust(
    body: Adjustment, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> HistoryLine | Response:
    """Take available credits away; never from oneself."""
    await _check_other(gateway, asker, body.user_id)
    asked = AdjustmentAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        user_id=body.user_id,
        credits=-body.credits,
        reason=body.reason,
    )
    result: HistoryLine | Response = await _move(gateway, asker, request_id, asked)
    return result


@router.post("/api/credits/purchases", status_code=201, responses=PENDING, response_model=Lot)
@only("admin", "finance")
async def purchase(
    body: Purchase, gateway: TheGateway, asker: Asker, request_id: OperationId
) -> Lot | Response:
    """Record a purchase that was invoiced outside Stripe; never for oneself."""
    await _check_other(gateway, asker, body.user_id)
    async with gateway.connection() as connection:
        currency = (await current_settings(connection)).settings.currency
    if body.price.currency != currency:
        raise invalid(
            "/price/currency", f"the platform's currency is {currency}", "CURRENCY_MISMATCH"
        )
    asked = PurchaseAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        user_id=body.user_id,
        credits=body.credits,
        price_minor=body.price.amount_minor,
        currency=body.price.currency,
        reference=body.reference,
    )
    result: Lot | Response = await _move(gateway, asker, request_id, asked)
    return result


async def _check_other(gateway: Gateway, asker: Principal, user_id: str) -> None:
    if user_id == asker.user_id:
        raise ProblemError("SELF_AWARD")
    async with gateway.connection() as connection:
        if not await exists(connection, user_id):
            error = {"pointer": "/user_id", "message": "is no user", "code": "UNKNOWN_USER"}
            raise ProblemError("UNKNOWN_USER", errors=[error])


async def _move(
    gateway: Gateway,
    asker: Principal,
    request_id: str,
    asked: AwardAsked | AdjustmentAsked | PurchaseAsked,
) -> Any:
    seen = await gateway.sequences("settings", user_stream(asked.user_id))
    answer = await ask(gateway, asker, request_id, asked, seen=seen)
    return await conclude(gateway, asker, answer)
