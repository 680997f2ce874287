"""Brings checkouts up to what Stripe says of them: the one way in which money becomes credits.

Every step may be repeated, and is skipped where it was done: the purchase is booked under the
checkout's id, a refund and a dispute under Stripe's. So it does not matter how often, in which
order and by whom it is asked for, nor where a process is killed.
"""

from dataclasses import dataclass

import structlog

from runtime.outbox import last_traceparent
from runtime.process import Running
from runtime.refusal import Refusal
from runtime.spans import linked
from services.ledger import spenders
from services.ledger.checkouts.comparing import stand_of
from services.ledger.checkouts.handlers import ChangeCheckout
from services.ledger.checkouts.known import (
    KnownCheckout,
    Misfit,
    Problem,
    checkout_by_id,
    checkout_by_payment,
    forget_session,
    misfit,
    refunds_of,
    settle_problems,
    tell_problem,
)
from services.ledger.checkouts.publishing import checkout_stream
from services.ledger.checkouts.rules import CheckoutCommand, End, Pay
from services.ledger.commands import CloseDispute, OpenDispute, RecordPurchase, RefundPurchase
from services.ledger.handlers import ChangePurchase
from services.ledger.stripe_gateway import Dispute, Payment, Refund, Session, StripeGateway

STRIPE = "stripe"
"""Who books what Stripe says."""


@dataclass
class Syncing:
    """Stripe on the one side, the ledger on the other."""

    running: Running
    stripe: StripeGateway

    async def follow(self, object_type: str, object_id: str, correlation_id: str) -> None:
        """Bring the checkout up to date that an object of Stripe's belongs to, if any does."""
        session = await self._session_about(object_type, object_id)
        if session is None or session.checkout_id is None:
            structlog.get_logger().info("stripe.not_ours", type=object_type, id=object_id)
            return
        known = await self._known(session.checkout_id)
        if known is not None:
            await self._bring_up(known, session, correlation_id)
        elif session.given_back:
            async with self.running.pool.acquire() as connection:
                await forget_session(connection, session.session_id)
        elif session.paid:
            why = Misfit("UNKNOWN_CHECKOUT", f"{session.checkout_id} was never asked for")
            await self._tell(session.session_id, session.checkout_id, why)

    async def check(self, checkout_id: str, correlation_id: str) -> None:
        """Bring a checkout up to date."""
        known = await self._known(checkout_id)
        if known is None or known.session_id is None:
            return
        session = await self.stripe.session(known.session_id)
        if session is None:
            why = Misfit("SESSION_GONE", f"Stripe has no session {known.session_id}")
            await self._tell(known.session_id, checkout_id, why)
            return
        await self._bring_up(known, session, correlation_id)

    async def _session_about(self, object_type: str, object_id: str) -> Session | None:
        if object_type == "checkout.session":
            return await self.stripe.session(object_id)
        payment_id = await self.stripe.payment_of(object_type, object_id)
        if payment_id is None:
            return None
        async with self.running.pool.acquire() as connection:
            known = await checkout_by_payment(connection, payment_id)
        if known is not None and known.session_id is not None:
            return await self.stripe.session(known.session_id)
        return await self.stripe.session_of_payment(payment_id)

    async def _bring_up(self, known: KnownCheckout, session: Session, correlation_id: str) -> None:
        """Do what Stripe says; it links what the checkout last told, which may be long ago."""
        stream = checkout_stream(known.checkout_id)
        with linked([await last_traceparent(self.running.pool, stream)]):
            await self._do_as_told(known, session, correlation_id)

    async def _do_as_told(
        self, known: KnownCheckout, session: Session, correlation_id: str
    ) -> None:
        why = misfit(known, session) if session.paid else None
        if why is not None and session.given_back and known.status != "PAID":
            await self._let_go(known, session, correlation_id)
            return
        if session.paid:
            why = why or await self._book(known, session, correlation_id)
        elif known.session_id not in (None, session.session_id):
            return  # it pretends to be this checkout's: while nobody pays it, that is nothing
        else:
            why = await self._end_unpaid(known, session, correlation_id)
        problems = [] if why is None else [(session.session_id, why)]
        if session.payment is not None and session.paid and why is None:
            problems = await self._take_back(known, session.payment, correlation_id)
        async with self.running.pool.acquire() as connection:
            await settle_problems(connection, known, problems, self.running.clock.now())

    async def _let_go(self, known: KnownCheckout, session: Session, correlation_id: str) -> None:
        """Be done with a payment that did not fit, was not booked, and was given back."""
        if known.session_id == session.session_id:
            failure = ("PAYMENT_RETURNED", "what was paid did not fit, and was given back")
            await self._change(known, End(failure=failure), correlation_id)
        async with self.running.pool.acquire() as connection:
            await forget_session(connection, session.session_id)

    async def _end_unpaid(
        self, known: KnownCheckout, session: Session, correlation_id: str
    ) -> Misfit | None:
        """End a checkout that can no longer be paid; one that can, or is on its way, stays."""
        stand = stand_of(session)
        if known.status == "PAID":
            return Misfit("NOT_PAID", "what was booked as paid is not, says Stripe")
        if stand == "EXPIRED":
            await self._change(known, End(failure=None), correlation_id)
        elif stand == "FAILED":
            failure = ("PAYMENT_FAILED", "the payment did not arrive")
            await self._change(known, End(failure=failure), correlation_id)
        return None

    async def _book(
        self, known: KnownCheckout, session: Session, correlation_id: str
    ) -> Misfit | None:
        """Book the purchase, once, and then say that it is paid."""
        if session.payment is None:
            return Misfit("NO_PAYMENT", "the session is paid and names no payment")
        payment_id = session.payment.payment_id
        purchase = RecordPurchase(
            user_id=known.user_id,
            lot_id=known.checkout_id,
            credits=known.credits,
            bonus_credits=known.bonus,
            price_minor=known.price_minor,
            currency=known.currency,
            source=f"stripe:{payment_id}",
            recorded_by=STRIPE,
            payment_id=payment_id,
            checkout_id=known.checkout_id,
        )
        if known.status != "PAID":
            try:
                await self.running.processor.execute(
                    ChangePurchase(actor=STRIPE, correlation_id=correlation_id, change=purchase)
                )
            except Refusal as refusal:
                return Misfit("BOOKING_REFUSED", f"{refusal.code}: {refusal.detail}")
        paid = Pay(session_id=session.session_id, payment_id=payment_id)
        await self._change(known, paid, correlation_id)
        return None

    async def _take_back(
        self, known: KnownCheckout, payment: Payment, correlation_id: str
    ) -> list[Problem]:
        """Apply what was refunded and disputed; return what does not fit of it."""
        found: dict[str, Misfit | None] = {}
        async with self.running.pool.acquire() as connection:
            booked = (await refunds_of(connection, [known.checkout_id]))[known.checkout_id]
        if payment.refunded_minor or booked:
            refunds = await self.stripe.refunds(payment.payment_id)
            final = [refund for refund in refunds if refund.final]
            for refund_id in booked.keys() - {refund.refund_id for refund in final}:
                found[refund_id] = Misfit("REFUND_NOT_MADE", "is booked, and Stripe made none")
            for refund in final:
                found[refund.refund_id] = await self._refund(known, refund, correlation_id)
        if payment.disputed:
            for dispute in await self.stripe.disputes(payment.payment_id):
                if dispute.stand != "NONE":
                    why = await self._dispute(known, dispute, correlation_id)
                    found[dispute.dispute_id] = why
        return [(id_, why) for id_, why in found.items() if why is not None]

    async def _refund(
        self, known: KnownCheckout, refund: Refund, correlation_id: str
    ) -> Misfit | None:
        command = RefundPurchase(
            user_id=known.user_id,
            lot_id=known.checkout_id,
            refund_id=refund.refund_id,
            amount_minor=refund.amount_minor,
            currency=refund.currency,
            reason="refunded through Stripe",
            refunded_by=STRIPE,
            spending=None,
        )
        return await self._unwind(command, refund.refund_id, correlation_id)

    async def _dispute(
        self, known: KnownCheckout, dispute: Dispute, correlation_id: str
    ) -> Misfit | None:
        opened = OpenDispute(
            user_id=known.user_id,
            lot_id=known.checkout_id,
            dispute_id=dispute.dispute_id,
            amount_minor=dispute.amount_minor,
            currency=dispute.currency,
            reason=dispute.reason,
            spending=None,
        )
        why = await self._unwind(opened, dispute.dispute_id, correlation_id)
        if why is not None or dispute.stand not in ("WON", "LOST"):
            return why
        closed = CloseDispute(
            user_id=known.user_id,
            lot_id=known.checkout_id,
            dispute_id=dispute.dispute_id,
            outcome=dispute.stand,
            reason=f"the dispute was {dispute.stand.lower()}",
            closed_by=STRIPE,
            spending=None,
        )
        return await self._unwind(closed, dispute.dispute_id, correlation_id)

    async def _unwind(
        self,
        command: RefundPurchase | OpenDispute | CloseDispute,
        object_id: str,
        correlation_id: str,
    ) -> Misfit | None:
        try:
            await spenders.change(
                self.running, command, actor=STRIPE, correlation_id=correlation_id
            )
        except Refusal as refusal:
            refused = f"{type(command).__name__} {object_id} {refusal.code}: {refusal.detail}"
            return Misfit("CHANGE_REFUSED", refused)
        return None

    async def _change(
        self, known: KnownCheckout, change: CheckoutCommand, correlation_id: str
    ) -> None:
        await self.running.processor.execute(
            ChangeCheckout(
                actor=STRIPE,
                correlation_id=correlation_id,
                checkout_id=known.checkout_id,
                change=change,
            )
        )

    async def _known(self, checkout_id: str) -> KnownCheckout | None:
        async with self.running.pool.acquire() as connection:
            return await checkout_by_id(connection, checkout_id)

    async def _tell(self, object_id: str, checkout_id: str | None, why: Misfit) -> None:
        async with self.running.pool.acquire() as connection:
            await tell_problem(connection, object_id, checkout_id, why, self.running.clock.now())
