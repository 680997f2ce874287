"""What Stripe says of a purchase beside what the ledger says: every difference, by name.

Pure: of one session at a time, with its refunds and disputes, and of one checkout, with its lot.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.ledger.checkouts.known import KnownCheckout, misfit
from services.ledger.checkouts.rules import Status
from services.ledger.stripe_gateway import Dispute, Refund, Session

BOUNCED = ("requires_payment_method", "canceled")
"""How a payment intent stands, once its session is complete, when the money did not arrive."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that differs: of which object of Stripe's, and what each side says."""

    code: str
    object_id: str
    checkout_id: str | None
    user_id: str | None
    stripe: str
    ledger: str


@dataclass(frozen=True, kw_only=True)
class View:
    """What Stripe says: a session, and what was given back or disputed of its payment."""

    session: Session
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()


@dataclass(frozen=True, kw_only=True)
class Book:
    """What the ledger says: a checkout, its lot, refunds by id, disputes by id with outcome.

    The lot is credits, price in minor units and currency. A lost dispute's refund is not among the
    refunds: it bears the dispute's id.
    """

    checkout: KnownCheckout
    lot: tuple[int, int, str] | None = None
    refunds: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, str | None] = field(default_factory=dict)


def stand_of(session: Session) -> Status:
    """Return how a session's checkout ought to stand."""
    if session.paid:
        return "PAID"
    if session.status == "expired":
        return "EXPIRED"
    bounced = (
        session.status == "complete"
        and session.payment is not None
        and session.payment.status in BOUNCED
    )
    return "FAILED" if bounced else "OPEN"


def differences(view: View, book: Book) -> Iterator[Difference]:
    """Return what differs between a session and its checkout: nothing, of most."""
    known, session = book.checkout, view.session

    def differs(code: str, object_id: str, stripe: str, ledger: str) -> Difference:
        return Difference(
            code=code,
            object_id=object_id,
            checkout_id=known.checkout_id,
            user_id=known.user_id,
            stripe=stripe,
            ledger=ledger,
        )

    why = misfit(known, session) if session.paid else None
    if why is not None and session.given_back and known.status != "PAID":
        return  # it was never booked, and nobody's money is kept
    if why is not None:
        yield differs(why.code, session.session_id, why.detail, known.status)
    elif not _stands(known, session):
        code = {"PAID": "NOT_BOOKED"}.get(stand_of(session), "STATUS_DIFFERS")
        code = "NOT_PAID" if known.status == "PAID" else code
        yield differs(code, session.session_id, stand_of(session), known.status)
    if known.status != "PAID" or known.session_id != session.session_id:
        return
    asked = (known.credits, known.price_minor, known.currency)
    if book.lot != asked:
        yield differs("LOT_DIFFERS", session.session_id, _shown(asked), _shown(book.lot))
    final = {each.refund_id: each.amount_minor for each in view.refunds if each.final}
    for id_ in sorted(final.keys() | book.refunds.keys()):
        there, here = final.get(id_), book.refunds.get(id_)
        if there != here:
            code = _code("REFUND", there=there, here=here)
            yield differs(code, id_, _amount(there), _amount(here))
    stands = {each.dispute_id: each.stand for each in view.disputes if each.stand != "NONE"}
    booked = {id_: outcome or "OPEN" for id_, outcome in book.disputes.items()}
    for id_ in sorted(stands.keys() | booked.keys()):
        stand, outcome = stands.get(id_), booked.get(id_)
        if stand != outcome:
            code = _code("DISPUTE", there=stand, here=outcome)
            yield differs(code, id_, stand or "nothing", outcome or "nothing")


def unknown(session: Session) -> Difference | None:
    """Return what there is to say of a session of ours that the ledger has no checkout for.

    One whose money is not kept, and that nobody can pay any more, is nothing.
    """
    if stand_of(session) not in ("PAID", "OPEN") or session.given_back:
        return None
    return Difference(
        code="UNKNOWN_CHECKOUT",
        object_id=session.session_id,
        checkout_id=session.checkout_id,
        user_id=session.user_id,
        stripe=stand_of(session),
        ledger="nothing",
    )


def gone(known: KnownCheckout) -> Difference:
    """Return that Stripe does not have the session of a checkout."""
    return Difference(
        code="SESSION_GONE",
        object_id=known.session_id or "",
        checkout_id=known.checkout_id,
        user_id=known.user_id,
        stripe="nothing",
        ledger=known.status,
    )


def _stands(known: KnownCheckout, session: Session) -> bool:
    """Return whether both agree; a checkout that failed may well have a session that expired."""
    stand = stand_of(session)
    return stand == known.status or (known.status == "FAILED" and stand == "EXPIRED")


def _code(what: str, *, there: object, here: object) -> str:
    if here is None:
        return f"{what}_NOT_BOOKED"
    return f"{what}_NOT_AT_STRIPE" if there is None else f"{what}_DIFFERS"


def _shown(lot: tuple[int, int, str] | None) -> str:
    return "nothing" if lot is None else f"{lot[0]} credits for {lot[1]} {lot[2]}"


def _amount(minor: int | None) -> str:
    return "nothing" if minor is None else str(minor)
