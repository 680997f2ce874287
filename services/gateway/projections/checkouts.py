"""Checkouts: attempts to buy credits, open until they are paid, expire or fail."""

from collections.abc import Iterator

from contracts.ledger.v1 import CheckoutExpired, CheckoutFailed, CheckoutOpened, CheckoutPaid
from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.projections.statements import SqlProjection, Statement

_OPENED = """
    insert into checkouts (checkout_id, user_id, status, credits, bonus, price_minor, currency,
                           url, session_expires_at, opened_at)
    values ($1, $2, 'OPEN', $3, $4, $5, $6, $7, $8, $9)
    on conflict (checkout_id) do nothing"""
_ENDED = "update checkouts set status = $2, url = null, ended_at = $3 where checkout_id = $1"


def _statements(change: Change) -> Iterator[Statement]:
    if isinstance(change, Recorded):
        return
    match change.data:
        case CheckoutOpened() as event:
            yield (
                _OPENED,
                (
                    event.checkout_id,
                    event.user_id,
                    event.credits,
                    event.bonus,
                    event.price_minor,
                    event.currency,
                    event.url,
                    event.session_expires_at,
                    change.time,
                ),
            )
        case CheckoutPaid(checkout_id=checkout_id):
            yield _ENDED, (checkout_id, "PAID", change.time)
        case CheckoutExpired(checkout_id=checkout_id):
            yield _ENDED, (checkout_id, "EXPIRED", change.time)
        case CheckoutFailed(checkout_id=checkout_id):
            yield _ENDED, (checkout_id, "FAILED", change.time)
        case _:
            return


CHECKOUTS = SqlProjection("checkouts", _statements, tables=("checkouts",))
