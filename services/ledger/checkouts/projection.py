"""Each checkout as it stands, and what of its purchase was refunded or disputed: from the facts."""

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.ledger.checkouts.rules import (
    CheckoutExpired,
    CheckoutFailed,
    CheckoutOpened,
    CheckoutPaid,
    CheckoutRequested,
)
from services.ledger.events import DisputeClosed, DisputeOpened, PurchaseRefunded

_REQUESTED = """
    insert into checkouts (checkout_id, user_id, status, credits, bonus, price_minor, currency,
                           success_path, cancel_path, requested_at, request_expires_at)
    values ($1, $2, 'REQUESTED', $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (checkout_id) do nothing"""
_OPENED = """
    update checkouts set status = 'OPEN', session_id = $2, session_expires_at = $3
    where checkout_id = $1"""
_PAID = """
    update checkouts set status = 'PAID', session_id = $2, payment_id = $3, ended_at = $4
    where checkout_id = $1"""
_ENDED = "update checkouts set status = $2, ended_at = $3 where checkout_id = $1"
_REFUNDED = """
    insert into purchase_refunds (lot_id, refund_id, amount_minor, at) values ($1, $2, $3, $4)
    on conflict do nothing"""
_DISPUTED = """
    insert into purchase_disputes (lot_id, dispute_id, amount_minor, opened_at)
    values ($1, $2, $3, $4)
    on conflict do nothing"""
_DECIDED = """
    update purchase_disputes set outcome = $3, closed_at = $4
    where lot_id = $1 and dispute_id = $2"""

Statement = tuple[str, tuple[Any, ...]]


class Checkouts:
    """One row for each checkout, refund and dispute."""

    name = "checkouts"
    tables = ("checkouts", "purchase_refunds", "purchase_disputes")

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Run the statements of each fact, in order."""
        for change in changes:
            if isinstance(change, Recorded):
                for sql, arguments in _statements(change):
                    await connection.execute(sql, *arguments)


def _statements(record: Recorded[Any]) -> Iterator[Statement]:
    id_ = record.stream.partition("-")[2]
    match record.fact:
        case CheckoutRequested() as fact:
            offer = (fact.credits, fact.bonus, fact.price_minor, fact.currency)
            paths = (fact.success_path, fact.cancel_path)
            yield _REQUESTED, (
                id_, fact.user_id, *offer, *paths, record.at, fact.request_expires_at
            )  # fmt: skip
        case CheckoutOpened() as fact:
            yield _OPENED, (id_, fact.session_id, fact.session_expires_at)
        case CheckoutPaid() as fact:
            yield _PAID, (id_, fact.session_id, fact.payment_id, record.at)
        case CheckoutExpired():
            yield _ENDED, (id_, "EXPIRED", record.at)
        case CheckoutFailed():
            yield _ENDED, (id_, "FAILED", record.at)
        case PurchaseRefunded() as fact:
            yield _REFUNDED, (fact.lot_id, fact.refund_id, fact.amount_minor, record.at)
        case DisputeOpened() as fact:
            yield _DISPUTED, (fact.lot_id, fact.dispute_id, fact.amount_minor, record.at)
        case DisputeClosed() as fact:
            yield _DECIDED, (fact.lot_id, fact.dispute_id, fact.outcome, record.at)
        case _:
            return
