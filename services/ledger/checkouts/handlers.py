"""What the ledger does with a message about a checkout: decides, and writes down what is to do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from contracts.envelope import Envelope
from contracts.gateway import v1 as gateway
from contracts.ledger.v1 import RequestRefused
from runtime.connection import Connection
from runtime.refusal import Refusal
from runtime.spans import current_traceparent
from runtime.work import Command, Message, Needs, Work
from services.ledger.checkouts.jobs import JobKind, put_job
from services.ledger.checkouts.publishing import checkout_stream
from services.ledger.checkouts.rules import (
    Checkout,
    CheckoutCommand,
    CheckoutRequested,
    End,
    Request,
    decide_checkout,
)
from services.ledger.handlers import ACQUAINTANCE, UnknownUserError
from services.ledger.knowledge import SETTINGS, USERS, Settings, User

NOT_CONFIGURED: Final = "STRIPE_NOT_CONFIGURED"


@dataclass(frozen=True, kw_only=True)
class ChangeCheckout(Command):
    """Have a checkout opened, paid or ended, as Stripe says."""

    checkout_id: str
    change: CheckoutCommand


CheckoutRequest = (
    gateway.CheckoutRequested | gateway.CheckoutCheckRequested | gateway.StripeEventReceived
)


class CheckoutHandlers:
    """Turns messages into commands for checkouts, and into jobs; `wake` is called once they are."""

    def __init__(self, *, configured: bool, wake: Callable[[], None]) -> None:
        self._configured = configured
        self._wake = wake

    def takes(self, message: Message) -> bool:
        """Return whether a message is about checkouts."""
        if isinstance(message, Envelope):
            return isinstance(message.data, CheckoutRequest)
        return isinstance(message, ChangeCheckout)

    def needs(self, message: Message) -> Needs:
        """Return the checkout to lock, and what the decision rests on."""
        if isinstance(message, ChangeCheckout):
            return Needs((checkout_stream(message.checkout_id),))
        match getattr(message, "data", None):
            case gateway.CheckoutRequested() as request:
                return Needs(
                    (checkout_stream(request.checkout_id),), (SETTINGS, (USERS, request.user_id))
                )
            case gateway.CheckoutCheckRequested(checkout_id=checkout_id):
                return Needs((checkout_stream(checkout_id),))
            case _:
                return Needs()

    def handle(self, message: Message, work: Work) -> None:
        """Carry the message out."""
        if isinstance(message, ChangeCheckout):
            self._change(message, work)
            return
        match getattr(message, "data", None):
            case gateway.CheckoutRequested() as request:
                self._request(request, work)
            case gateway.CheckoutCheckRequested() as request:
                self._check(request, work)
            case gateway.StripeEventReceived() as event:
                self._follow(event, work)
            case _:
                raise TypeError(f"{type(message).__name__} is not about checkouts")

    def _request(self, request: gateway.CheckoutRequested, work: Work) -> None:
        stream = checkout_stream(request.checkout_id)
        try:
            _refuse_unanswerable(request, work, configured=self._configured)
            facts = decide_checkout(_request_of(request, work), work.state(stream))
        except Refusal as refusal:
            work.refuse(refusal.code, refusal.detail, errors=(), **refusal.fields)
            return
        if facts:
            work.append(stream, facts, actor=request.requested_by)
            self._put(
                work, "open", request.checkout_id, correlation_id=request.request_id, at=work.now
            )

    def _check(self, request: gateway.CheckoutCheckRequested, work: Work) -> None:
        checkout: Checkout = work.state(checkout_stream(request.checkout_id))
        if checkout.status == "OPEN":
            self._put(
                work, "check", request.checkout_id, correlation_id=request.request_id, at=work.now
            )

    def _follow(self, event: gateway.StripeEventReceived, work: Work) -> None:
        now = work.now

        async def write(connection: asyncpg.Connection) -> None:
            await note_followed(connection, event.event_id, now)

        work.alongside(write)
        key = f"{event.object_type} {event.object_id}"
        self._put(work, "follow", key, correlation_id=event.event_id, at=now)

    def _change(self, command: ChangeCheckout, work: Work) -> None:
        stream = checkout_stream(command.checkout_id)
        facts = decide_checkout(command.change, work.state(stream))
        if not facts:
            return
        waited_for = work.state(stream).status == "REQUESTED"
        work.append(stream, facts)
        match command.change:
            case End(failure=(code, detail)) if waited_for:
                work.publish(
                    f"refusal-{command.correlation_id}",
                    RequestRefused(
                        request_id=command.correlation_id,
                        code=code,
                        detail=detail,
                        errors=(),
                        details={},
                    ),
                )
            case _:
                pass

    def _put(
        self, work: Work, kind: JobKind, key: str, *, correlation_id: str, at: datetime
    ) -> None:
        traceparent = current_traceparent()

        async def write(connection: asyncpg.Connection) -> None:
            await put_job(
                *(connection, kind, key),
                correlation_id=correlation_id,
                at=at,
                traceparent=traceparent,
            )

        work.alongside(write)
        work.effect(self._wake)


def _refuse_unanswerable(
    request: gateway.CheckoutRequested, work: Work, *, configured: bool
) -> None:
    if not configured:
        raise Refusal(NOT_CONFIGURED, "no key of Stripe's is set: credits are not sold")
    if work.now >= request.expires_at:
        raise Refusal("REQUEST_EXPIRED", "the request came too late to be carried out")
    if work.document(USERS, request.user_id, User) is None:
        if work.now < request.requested_at + ACQUAINTANCE:
            raise UnknownUserError(request.user_id)
        raise Refusal("UNKNOWN_USER", "nobody with this id has registered")


async def note_followed(connection: Connection, event_id: str, at: datetime) -> None:
    """Remember that an event of Stripe's is followed."""
    await connection.execute(
        "insert into stripe_events_followed (event_id, at) values ($1, $2) on conflict do nothing",
        event_id,
        at,
    )


def _request_of(request: gateway.CheckoutRequested, work: Work) -> Request:
    settings = work.document(*SETTINGS, Settings) or Settings()
    return Request(
        asked=CheckoutRequested(
            user_id=request.user_id,
            credits=request.credits,
            bonus=request.bonus,
            price_minor=request.price_minor,
            currency=request.currency,
            success_path=request.success_path,
            cancel_path=request.cancel_path,
            request_expires_at=request.expires_at,
        ),
        platform_currency=settings.currency,
    )
