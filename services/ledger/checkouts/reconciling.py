"""Compares all that Stripe says of a time with the ledger: `tollgate ledger reconcile`.

Both sides move on while they are read. So whatever differs is read once more, Stripe first, and
counts only if it still does. Nothing is changed, unless it is asked to have the differing
checkouts looked at again: then there is a job for each, as of a webhook. What a person has seen to
and cannot be changed is accepted, with a reason, and no longer counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from runtime.connection import Connection
from runtime.refusal import Refusal
from services.ledger.checkouts.comparing import (
    Book,
    Difference,
    View,
    differences,
    gone,
    unknown,
)
from services.ledger.checkouts.jobs import put_job
from services.ledger.checkouts.known import known_of, refunds_of
from services.ledger.stripe_gateway import LIST_MAX, Session, StripeGateway

CHUNK: Final = 500
OPENED_WITHIN: Final = timedelta(minutes=10)
"""A session comes to be at most so long after its checkout was asked for: then nobody waits."""

_BY_TIME: Final = """
    select session_id from checkouts
    where requested_at >= $1 and requested_at < $2 and session_id is not null limit $3"""
_CHECKOUTS: Final = """
    select c.*, l.credits as lot_credits, l.price_minor as lot_price_minor,
           l.currency as lot_currency
    from checkouts c left join lots l on l.lot_id = c.checkout_id
    where c.checkout_id = any ($1::text[]) or c.session_id = any ($2::text[])"""
_DISPUTES: Final = """
    select lot_id, dispute_id, outcome from purchase_disputes where lot_id = any ($1::text[])"""


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """What the ledger was told by Stripe and did not book, and why: it waits for a person."""

    object_id: str
    code: str
    checkout_id: str | None
    detail: str
    first_at: datetime
    last_at: datetime
    times: int


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A difference that stays, as somebody has said; `note` is why it may."""

    object_id: str
    code: str
    note: str
    at: datetime


@dataclass(kw_only=True)
class Reconciled:
    """What was compared, and what came of it; `jobs` is how much is still to be done meanwhile.

    What was accepted is not among the differences, nor among what was set aside.
    """

    sessions: int = 0
    foreign: int = 0
    jobs: int = 0
    differences: list[Difference] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)

    def accept(self, every: Sequence[Accepted]) -> None:
        """Take what was accepted off both lists."""
        known = {(each.object_id, each.code): each for each in every}
        listed: list[Difference | SetAside] = [*self.differences, *self.set_aside]
        met = {(each.object_id, each.code) for each in listed} & known.keys()
        self.accepted += [known[each] for each in sorted(met)]
        self.differences = [e for e in self.differences if (e.object_id, e.code) not in met]
        self.set_aside = [e for e in self.set_aside if (e.object_id, e.code) not in met]

    @property
    def ok(self) -> bool:
        """Whether both sides say the same."""
        return not self.differences and not self.set_aside


@dataclass
class Reconciling:
    """Stripe on the one side, the ledger's database on the other."""

    connection: Connection
    stripe: StripeGateway

    async def reconcile(
        self,
        since: datetime,
        until: datetime,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Reconciled:
        """Compare the sessions that were opened in a time, and all that became of them.

        At most 100,000 sessions and as many checkouts, or `StripeUnavailableError` is raised.
        What was set aside is listed whenever it came.
        """
        found = Reconciled()
        sessions = await self.stripe.sessions_between(since, until)
        suspects: set[str] = set()
        met: set[str] = set()
        for chunk in _chunks(sessions):
            for session, book in await self._paired(chunk):
                if book is None and session.checkout_id is None:
                    found.foreign += 1
                    continue
                found.sessions += 1
                met.add(session.session_id)
                if await self._differences(session, book):
                    suspects.add(session.session_id)
                if progress is not None:
                    progress(found.sessions + found.foreign, len(sessions))
        rows = await self.connection.fetch(_BY_TIME, since, until - OPENED_WITHIN, LIST_MAX)
        suspects |= {row["session_id"] for row in rows} - met
        for session_id in sorted(suspects):
            found.differences += await self._look_again(session_id)
        found.set_aside = await self._set_aside()
        found.accept(await self._accepted())
        found.jobs = await self.connection.fetchval("select count(*) from stripe_jobs")
        return found

    async def accept(self, found: Reconciled, object_id: str, *, note: str, at: datetime) -> None:
        """Write down that what was found to differ of an object may stay so, and why.

        Refuses, as `NOTHING_DIFFERS`, an object of which nothing does.
        """
        listed: list[Difference | SetAside] = [*found.differences, *found.set_aside]
        codes = {each.code for each in listed if each.object_id == object_id}
        if not codes:
            raise Refusal("NOTHING_DIFFERS", f"nothing is listed of {object_id}")
        every = [Accepted(object_id=object_id, code=code, note=note, at=at) for code in codes]
        await self.connection.executemany(
            "insert into accepted_differences (object_id, code, note, at) values ($1, $2, $3, $4)",
            [(each.object_id, each.code, each.note, each.at) for each in every],
        )
        found.accept(every)

    async def have_followed(self, found: Reconciled, *, correlation_id: str, at: datetime) -> int:
        """Have the running ledger look again at whatever differs; return at how many sessions."""
        ids = {each.checkout_id for each in found.differences}
        ids |= {each.checkout_id for each in found.set_aside}
        rows = await self.connection.fetch(
            """select session_id from checkouts
               where checkout_id = any ($1::text[]) and session_id is not null""",
            list(ids),
        )
        for row in rows:
            key = f"checkout.session {row['session_id']}"
            await put_job(self.connection, "follow", key, correlation_id=correlation_id, at=at)
        return len(rows)

    async def _paired(self, sessions: Sequence[Session]) -> list[tuple[Session, Book | None]]:
        """Return each session with its book: the one that knows the session, or that it names."""
        ids = [session.checkout_id for session in sessions if session.checkout_id is not None]
        books = await self._books(ids, [session.session_id for session in sessions])
        by_session = {book.checkout.session_id: book for book in books}
        by_id = {book.checkout.checkout_id: book for book in books}
        return [
            (each, by_session.get(each.session_id) or by_id.get(each.checkout_id or ""))
            for each in sessions
        ]

    async def _differences(self, session: Session, book: Book | None) -> list[Difference]:
        if book is None:
            why = None if session.checkout_id is None else unknown(session)
            return [] if why is None else [why]
        return list(differences(await self._view(session, book), book))

    async def _look_again(self, session_id: str) -> list[Difference]:
        session = await self.stripe.session(session_id)
        if session is None:
            return [gone(book.checkout) for book in await self._books((), [session_id])]
        [(_, book)] = await self._paired([session])
        return await self._differences(session, book)

    async def _view(self, session: Session, book: Book) -> View:
        """Read what became of a payment, where either side says that something did."""
        payment = session.payment
        if payment is None:
            return View(session=session)
        refunded = payment.refunded_minor or book.refunds
        disputed = payment.disputed or book.disputes
        return View(
            session=session,
            refunds=await self.stripe.refunds(payment.payment_id) if refunded else (),
            disputes=await self.stripe.disputes(payment.payment_id) if disputed else (),
        )

    async def _books(self, ids: Sequence[str], session_ids: Sequence[str]) -> list[Book]:
        """Return what the ledger says of checkouts, by their ids or their sessions'."""
        rows = await self.connection.fetch(_CHECKOUTS, list(ids), list(session_ids))
        lots = [row["checkout_id"] for row in rows]
        refunds = await refunds_of(self.connection, lots)
        disputes: dict[str, dict[str, str | None]] = {lot: {} for lot in lots}
        for each in await self.connection.fetch(_DISPUTES, lots):
            disputes[each["lot_id"]][each["dispute_id"]] = each["outcome"]
        return [
            Book(
                checkout=known_of(row), lot=_lot(row), refunds=refunds[lot], disputes=disputes[lot]
            )
            for lot, row in zip(lots, rows, strict=True)
        ]

    async def _accepted(self) -> list[Accepted]:
        rows = await self.connection.fetch(
            "select object_id, code, note, at from accepted_differences order by at limit $1",
            LIST_MAX,
        )
        return [Accepted(**dict(row)) for row in rows]

    async def _set_aside(self) -> list[SetAside]:
        rows = await self.connection.fetch(
            """select object_id, code, checkout_id, detail, first_at, last_at, times
               from stripe_problems order by first_at limit $1""",
            LIST_MAX,
        )
        return [SetAside(**dict(row)) for row in rows]


def _chunks(sessions: Sequence[Session]) -> Iterator[Sequence[Session]]:
    for start in range(0, len(sessions), CHUNK):
        yield sessions[start : start + CHUNK]


def _lot(row: Any) -> tuple[int, int, str] | None:
    if row["lot_credits"] is None:
        return None
    return row["lot_credits"], row["lot_price_minor"], row["lot_currency"]
