"""What the ledger knows of a checkout, as its table has it; and what does not fit, for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from prometheus_client import Counter

from runtime.connection import Connection
from services.ledger.checkouts.rules import Status
from services.ledger.stripe_gateway import Session

PROBLEMS: Final = Counter(
    "tollgate_stripe_problems_total",
    "What Stripe says and the ledger cannot book, by what is wrong",
    ["code"],
)


@dataclass(frozen=True, kw_only=True)
class KnownCheckout:
    """A checkout; amounts in minor units."""

    checkout_id: str
    user_id: str
    status: Status
    credits: int
    bonus: int
    price_minor: int
    currency: str
    success_path: str
    cancel_path: str
    requested_at: datetime
    request_expires_at: datetime
    session_id: str | None
    payment_id: str | None


@dataclass(frozen=True)
class Misfit:
    """Why something of Stripe's is not booked."""

    code: str
    detail: str


Problem = tuple[str, Misfit]
"""An object of Stripe's, and why it is not booked."""

_REFUNDS: Final = """
    select r.lot_id, r.refund_id, r.amount_minor from purchase_refunds r
    where r.lot_id = any ($1::text[]) and not exists (
        select from purchase_disputes d where d.lot_id = r.lot_id and d.dispute_id = r.refund_id)"""
_COLUMNS: Final = ", ".join(KnownCheckout.__dataclass_fields__)


async def checkout_by_id(connection: Connection, checkout_id: str) -> KnownCheckout | None:
    """Return a checkout, or nothing."""
    return await _read(connection, "checkout_id", checkout_id)


async def checkout_by_payment(connection: Connection, payment_id: str) -> KnownCheckout | None:
    """Return the checkout that a payment was made for, or nothing."""
    return await _read(connection, "payment_id", payment_id)


async def _read(connection: Connection, column: str, value: str) -> KnownCheckout | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from checkouts where {column} = $1",  # noqa: S608 - names of ours
        value,
    )
    return None if row is None else KnownCheckout(**dict(row))


def known_of(row: Any) -> KnownCheckout:
    """Return the checkout in a row of the table."""
    return KnownCheckout(**{name: row[name] for name in KnownCheckout.__dataclass_fields__})


async def refunds_of(connection: Connection, lots: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return lot → refund → amount in minor units: those that were made, not lost disputes."""
    found: dict[str, dict[str, int]] = {lot: {} for lot in lots}
    for each in await connection.fetch(_REFUNDS, lots):
        found[each["lot_id"]][each["refund_id"]] = each["amount_minor"]
    return found


def misfit(known: KnownCheckout, session: Session) -> Misfit | None:
    """Return why a session that was paid must not be booked as this checkout, or nothing.

    Of several reasons the first of these: whose session it is, for which checkout and user; then
    the currency, what was asked for, and what was received.
    """
    if session.checkout_id != known.checkout_id or known.session_id not in (
        None,
        session.session_id,
    ):
        return Misfit("SESSION_MISMATCH", f"session {session.session_id} is not the checkout's")
    if session.user_id != known.user_id:
        return Misfit("USER_MISMATCH", f"the session is {session.user_id}'s")
    if session.currency != known.currency:
        return Misfit("CURRENCY_MISMATCH", f"{session.currency} instead of {known.currency}")
    received = None if session.payment is None else session.payment.received_minor
    for what, amount in (("asked", session.amount_minor), ("received", received)):
        if amount is not None and amount != known.price_minor:
            return Misfit("AMOUNT_MISMATCH", f"{amount} {what} instead of {known.price_minor}")
    return None


async def tell_problem(
    connection: Connection, object_id: str, checkout_id: str | None, why: Misfit, at: datetime
) -> None:
    """Put something on the list of what needs a person, and say so aloud."""
    PROBLEMS.labels(code=why.code).inc()
    structlog.get_logger().error(
        "stripe.needs_attention",
        code=why.code,
        detail=why.detail,
        object_id=object_id,
        checkout_id=checkout_id,
    )
    await connection.execute(
        """insert into stripe_problems (object_id, code, checkout_id, detail, first_at, last_at)
           values ($1, $2, $3, $4, $5, $5)
           on conflict (object_id, code) do update
               set times = stripe_problems.times + 1, last_at = excluded.last_at,
                   detail = excluded.detail""",
        object_id,
        why.code,
        checkout_id,
        why.detail[:500],
        at,
    )


async def settle_problems(
    connection: Connection, known: KnownCheckout, found: Sequence[Problem], at: datetime
) -> None:
    """Put what does not fit of a checkout on the list, and take off it what does fit by now.

    What other sessions did that claim to be this checkout's stays there.
    """
    for object_id, why in found:
        await tell_problem(connection, object_id, known.checkout_id, why, at)
    await connection.execute(
        """delete from stripe_problems
           where checkout_id = $1 and (object_id = $2 or not starts_with(object_id, 'cs_'))
             and (object_id, code) not in (select * from unnest($3::text[], $4::text[]))""",
        known.checkout_id,
        known.session_id,
        [object_id for object_id, _ in found],
        [why.code for _, why in found],
    )


async def forget_session(connection: Connection, session_id: str) -> None:
    """Take a session off the list."""
    await connection.execute("delete from stripe_problems where object_id = $1", session_id)
