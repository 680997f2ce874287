"""What happens to money: somebody pays or does not, it is given back, disputed, won, lost.

Each is one transaction that changes the objects concerned and adds the events that Stripe sends
for it, which are then due for delivery.
"""

from typing import Any, Final

from devkit.stripe_fake import objects
from devkit.stripe_fake.behaviour import Behaviour
from devkit.stripe_fake.errors import invalid, missing
from devkit.stripe_fake.store import Store
from runtime.clock import Clock

Object = dict[str, Any]
OPEN_DISPUTES: Final = ("needs_response", "under_review")
CHARGED_BACK: Final = (*OPEN_DISPUTES, "lost")
"""Disputes during and after which a charge cannot be refunded."""


class Payments:
    """The money side of the fake."""

    def __init__(self, store: Store, behaviour: Behaviour, clock: Clock) -> None:
        self._store = store
        self._behaviour = behaviour
        self._clock = clock

    @property
    def now(self) -> int:
        """The present, in Unix seconds."""
        return int(self._clock.now().timestamp())

    def pay(self, session_id: str) -> None:
        """Pay a session by card: it is complete, and paid."""
        session, intent = self._attempt(session_id, "card")
        with self._store.transaction():
            self._charge(intent, "succeeded")
            self._complete(session, intent, "paid")

    def decline(self, session_id: str) -> None:
        """Try a card that is declined: the session stays open."""
        session, intent = self._attempt(session_id, "card")
        with self._store.transaction():
            self._charge(intent, "failed")
            self._store.put(session | {"payment_intent": intent["id"]})
            self._tell("payment_intent.payment_failed", intent)

    def pay_later(self, session_id: str) -> None:
        """Pay by a method that takes days: the session is complete, and not paid yet."""
        session, intent = self._attempt(session_id, "sepa_debit")
        with self._store.transaction():
            self._charge(intent, "pending")
            self._complete(session, intent, "unpaid")

    def arrive(self, session_id: str) -> None:
        """Let a payment that takes days succeed."""
        session, intent = self._processing(session_id)
        with self._store.transaction():
            self._charge(intent, "succeeded")
            session = self._store.put(session | {"payment_status": "paid"})
            self._tell("checkout.session.async_payment_succeeded", session)

    def bounce(self, session_id: str) -> None:
        """Let a payment that takes days fail."""
        session, intent = self._processing(session_id)
        with self._store.transaction():
            self._charge(intent, "failed")
            self._tell("checkout.session.async_payment_failed", session)

    def expire(self, session_id: str) -> Object:
        """Close an open session that nobody paid."""
        session = self.session(session_id)
        if session["status"] != "open":
            raise invalid('Only Checkout Sessions with a status in ["open"] can be expired.')
        with self._store.transaction():
            session = self._store.put(session | {"status": "expired", "url": None})
            self._tell("checkout.session.expired", session)
        return session

    def refund(self, charge_id: str, amount: int | None, reason: str | None = None) -> Object:
        """Give a charge back, wholly or so much of it."""
        charge = self._of_kind(charge_id, "charge")
        left = charge["amount_captured"] - charge["amount_refunded"]
        wanted = left if amount is None else amount
        if not charge["paid"] or left == 0:
            raise invalid(
                f"Charge {charge_id} has already been refunded.", code="charge_already_refunded"
            )
        if self._disputed(charge_id, CHARGED_BACK):
            raise invalid(f"Charge {charge_id} has been charged back.", code="charge_disputed")
        if not 0 < wanted <= left:
            raise invalid(
                f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        with self._store.transaction():
            refund = self._store.put(
                objects.refund(now=self.now, charge=charge, amount=wanted, reason=reason)
            )
            refunded = charge["amount_refunded"] + wanted
            charge = self._store.put(
                charge
                | {"amount_refunded": refunded, "refunded": refunded == charge["amount_captured"]}
            )
            self._tell("refund.created", refund)
            self._tell("charge.refunded", charge)
        return refund

    def fail_refund(self, refund_id: str) -> Object:
        """Let a refund that was made come back, as from an account that was closed."""
        refund = self._of_kind(refund_id, "refund")
        if refund["status"] != "succeeded":
            raise invalid(f"Refund {refund_id} is {refund['status']}.")
        charge = self._of_kind(refund["charge"], "charge")
        with self._store.transaction():
            refund = self._store.put(refund | {"status": "failed"})
            refunded = charge["amount_refunded"] - refund["amount"]
            self._store.put(charge | {"amount_refunded": refunded, "refunded": False})
            self._tell("refund.failed", refund)
        return refund

    def dispute(self, charge_id: str, amount: int | None, reason: str = "fraudulent") -> Object:
        """Have the customer's bank dispute a charge, wholly or so much of it."""
        charge = self._of_kind(charge_id, "charge")
        left = charge["amount_captured"] - charge["amount_refunded"]
        wanted = left if amount is None else amount
        if not 0 < wanted <= left or self._disputed(charge_id, OPEN_DISPUTES):
            raise invalid(f"Charge {charge_id} cannot be disputed for {wanted}.", param="amount")
        with self._store.transaction():
            dispute = self._store.put(
                objects.dispute(now=self.now, charge=charge, amount=wanted, reason=reason)
            )
            self._store.put(charge | {"disputed": True})
            self._tell("charge.dispute.created", dispute)
        return dispute

    def close_dispute(self, dispute_id: str, *, won: bool) -> Object:
        """End a dispute, for us or against us."""
        dispute = self._of_kind(dispute_id, "dispute")
        if dispute["status"] not in OPEN_DISPUTES:
            raise invalid("This dispute is already closed.", code="dispute_already_closed")
        with self._store.transaction():
            dispute = self._store.put(dispute | {"status": "won" if won else "lost"})
            self._tell("charge.dispute.closed", dispute)
        return dispute

    def expire_overdue(self) -> None:
        """Close the open sessions whose time is over."""
        for session in self._store.newest_first("checkout.session"):
            if session["status"] == "open" and session["expires_at"] <= self.now:
                self.expire(session["id"])

    def session(self, session_id: str) -> Object:
        """Return a session."""
        return self._of_kind(session_id, "checkout.session")

    def resend(self, event_id: str) -> None:
        """Tell an event once more."""
        self._of_kind(event_id, "event")
        self._store.deliver(event_id, self._clock.now().timestamp())

    def _attempt(self, session_id: str, method: str) -> tuple[Object, Object]:
        session = self.session(session_id)
        if session["status"] != "open":
            raise invalid(f"This Checkout Session is {session['status']}.")
        made = session["payment_intent"]
        if made is None:
            return session, objects.payment_intent(now=self.now, session=session, method=method)
        return session, self._of_kind(made, "payment_intent") | {"payment_method_types": [method]}

    def _processing(self, session_id: str) -> tuple[Object, Object]:
        session = self.session(session_id)
        intent = self._store.get(session["payment_intent"] or "")
        if intent is None or intent["status"] != "processing":
            raise invalid("No payment of this Checkout Session is on its way.")
        return session, intent

    def _charge(self, intent: Object, status: str) -> None:
        """Charge an intent, or bring the charge that is on its way to its end."""
        after = {"succeeded": "succeeded", "pending": "processing"}.get(
            status, "requires_payment_method"
        )
        charge = objects.charge(now=self.now, intent=intent, status=status)
        if intent["status"] == "processing":
            charge |= {"id": intent["latest_charge"]}
        intent |= {
            "status": after,
            "latest_charge": charge["id"],
            "amount_received": intent["amount"] if status == "succeeded" else 0,
        }
        self._store.put(intent)
        self._store.put(charge)

    def _complete(self, session: Object, intent: Object, payment_status: str) -> None:
        changed = {
            "status": "complete",
            "payment_status": payment_status,
            "payment_intent": intent["id"],
            "url": None,
        }
        self._tell("checkout.session.completed", self._store.put(session | changed))
        if payment_status == "paid":
            self._tell("payment_intent.succeeded", intent)

    def _tell(self, type_: str, about: Object) -> None:
        event = self._store.put(objects.event(now=self.now, type_=type_, about=about))
        for due_at in self._behaviour.deliveries(self._clock.now().timestamp()):
            self._store.deliver(event["id"], due_at)

    def _disputed(self, charge_id: str, stands: tuple[str, ...]) -> bool:
        return any(
            each["charge"] == charge_id and each["status"] in stands
            for each in self._store.newest_first("dispute")
        )

    def _of_kind(self, id_: str, kind: str) -> Object:
        found = self._store.get(id_)
        if found is None or found["object"] != kind:
            raise missing(kind, id_)
        return found
