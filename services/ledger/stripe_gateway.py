"""All that the ledger asks of Stripe, and the only module that knows its SDK.

Calls run on a few threads of their own, each bounded in time, so that a slow Stripe holds up
nobody but whoever waits for it. What comes back are values of ours; what goes wrong is one of two
errors, and neither carries a key, a header or a body of Stripe's.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Literal, TypeVar

import stripe

T = TypeVar("T")

THREADS: Final = 4
CONNECT_SECONDS_MAX: Final = 3.0
READ_SECONDS_MAX: Final = 10.0
CALL_SECONDS_MAX: Final = 15.0
PAUSE_SECONDS_MAX: Final = 3600
PAGE: Final = 100
LIST_MAX: Final = 100_000
CHECKOUT_ID: Final = "tollgate_checkout_id"
USER_ID: Final = "tollgate_user_id"
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_SESSION: Final = ("payment_intent.latest_charge",)

DisputeStand = Literal["OPEN", "WON", "LOST", "NONE"]


class StripeUnavailableError(Exception):
    """Stripe is away, slow, too busy, or does not accept our key: to be tried again later.

    `after_seconds` is how long Stripe asks to be left alone, if it does: an hour at most.
    """

    def __init__(self, message: str, *, after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class StripeRefusedError(Exception):
    """Stripe understood and says no, and will say it again; `code` is Stripe's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a session is opened for. Amounts are minor units, addresses absolute."""

    checkout_id: str
    user_id: str
    title: str
    price_minor: int
    currency: str
    success_url: str
    cancel_url: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment intent: what was received, and what of it was given back or is disputed."""

    payment_id: str
    status: str
    received_minor: int
    refunded_minor: int
    disputed: bool


@dataclass(frozen=True, kw_only=True)
class Session:
    """A checkout session; `checkout_id` and `user_id` are what we wrote there, if it is ours."""

    session_id: str
    url: str | None
    status: str
    paid: bool
    amount_minor: int
    currency: str
    created_at: datetime
    expires_at: datetime
    checkout_id: str | None
    user_id: str | None
    payment: Payment | None

    @property
    def given_back(self) -> bool:
        """Whether all that was paid has been refunded."""
        payment = self.payment
        return payment is not None and 0 < payment.received_minor <= payment.refunded_minor


@dataclass(frozen=True, kw_only=True)
class Refund:
    """Money given back; `final` once it has arrived, and neither where that failed."""

    refund_id: str
    payment_id: str | None
    amount_minor: int
    currency: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A payment that its payer's bank disputes; an inquiry, which moves no money, stands NONE."""

    dispute_id: str
    payment_id: str | None
    amount_minor: int
    currency: str
    reason: str
    stand: DisputeStand


@dataclass(frozen=True, kw_only=True)
class Happened:
    """That something happened to an object."""

    event_id: str
    object_id: str
    object_type: str
    at: datetime


class StripeGateway:
    """Stripe, as far as purchases need it."""

    def __init__(self, api_key: str, *, url: str | None) -> None:
        stripe.enable_telemetry = False
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={} if url is None else {"api": url},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS_MAX, READ_SECONDS_MAX)),
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stripe")

    def close(self) -> None:
        """Take no more calls; those that are running end by their bound."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open_session(self, order: Order) -> Session:
        """Return the checkout's session: however often it is asked for, it is the same one."""
        described: dict[str, str] = {CHECKOUT_ID: order.checkout_id, USER_ID: order.user_id}
        params: Any = {
            "mode": "payment",
            "line_items": [
                {
                    "price_data": {
                        "currency": order.currency.lower(),
                        "unit_amount": order.price_minor,
                        "product_data": {"name": order.title},
                    },
                    "quantity": 1,
                }
            ],
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
            "client_reference_id": order.checkout_id,
            "metadata": described,
            "payment_intent_data": {"metadata": described},
            "adaptive_pricing": {"enabled": False},
            "expires_at": int(order.expires_at.timestamp()),
        }
        sessions = self._client.v1.checkout.sessions
        options: Any = {"idempotency_key": order.checkout_id}
        return _session(await self._call(lambda: sessions.create(params, options)))

    async def session(self, session_id: str) -> Session | None:
        """Return a session as it is now, or nothing where there is none."""
        sessions = self._client.v1.checkout.sessions
        params: Any = {"expand": list(_SESSION)}
        found = await self._found(lambda: sessions.retrieve(session_id, params))
        return None if found is None else _session(found)

    async def session_of_payment(self, payment_id: str) -> Session | None:
        """Return the session that a payment was made through, if there is one."""
        sessions = self._client.v1.checkout.sessions
        params: Any = {
            "payment_intent": payment_id,
            "limit": 1,
            "expand": [f"data.{each}" for each in _SESSION],
        }
        found = await self._call(lambda: sessions.list(params).data)
        return _session(found[0]) if found else None

    async def payment_of(self, object_type: str, object_id: str) -> str | None:
        """Return which payment a charge, refund or dispute is of, if any."""
        if object_type == "payment_intent":
            return object_id
        v1 = self._client.v1
        reads: dict[str, Callable[[], Any]] = {
            "charge": lambda: v1.charges.retrieve(object_id),
            "refund": lambda: v1.refunds.retrieve(object_id),
            "dispute": lambda: v1.disputes.retrieve(object_id),
        }
        read = reads.get(object_type)
        found = None if read is None else await self._found(read)
        return None if found is None else _id_of(found.payment_intent)

    async def refunds(self, payment_id: str) -> list[Refund]:
        """Return the refunds of a payment, the first first."""
        params: Any = {"payment_intent": payment_id, "limit": PAGE}
        refunds = self._client.v1.refunds
        found = await self._call(lambda: _all(refunds.list(params)))
        return [_refund(each) for each in reversed(found)]

    async def disputes(self, payment_id: str) -> list[Dispute]:
        """Return the disputes of a payment, the first first."""
        params: Any = {"payment_intent": payment_id, "limit": PAGE}
        disputes = self._client.v1.disputes
        found = await self._call(lambda: _all(disputes.list(params)))
        return [_dispute(each) for each in reversed(found)]

    async def sessions_between(self, since: datetime, until: datetime) -> list[Session]:
        """Return the sessions that were opened in a time; at most 100,000."""
        params: Any = _between(since, until) | {"expand": [f"data.{each}" for each in _SESSION]}
        sessions = self._client.v1.checkout.sessions
        return await self._pages(lambda after: sessions.list(params | after), _session)

    async def happened_since(self, since: datetime, types: tuple[str, ...]) -> list[Happened]:
        """Return the events of some types since an instant; Stripe keeps them for 30 days."""
        params: Any = {
            "created": {"gte": int(since.timestamp())},
            "types": list(types),
            "limit": PAGE,
        }
        events = self._client.v1.events
        return await self._pages(lambda after: events.list(params | after), _happened)

    async def _pages(
        self, read: Callable[[Any], stripe.ListObject[Any]], shape: Callable[[Any], T]
    ) -> list[T]:
        """Read a list page by page: each is a call of its own, with a bound of its own."""
        found: list[T] = []
        after: dict[str, str] = {}
        while len(found) < LIST_MAX:
            page = await self._call(lambda after=after: read(after))  # type: ignore[misc]  # binds the loop's value
            found += [shape(each) for each in page.data]
            if not page.has_more or not page.data:
                return found
            after = {"starting_after": page.data[-1].id}
        raise StripeUnavailableError(f"a list of Stripe's has more than {LIST_MAX} entries")

    async def _found(self, call: Callable[[], T]) -> T | None:
        try:
            return await self._call(call)
        except StripeRefusedError as error:
            if error.code == "resource_missing":
                return None
            raise

    async def _call(self, call: Callable[[], T]) -> T:
        """Run a call on a thread; the errors it raises hold nothing of Stripe's objects."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                return await loop.run_in_executor(self._threads, _translated, call)
        except TimeoutError:
            raise StripeUnavailableError(f"no answer within {CALL_SECONDS_MAX:g} s") from None


def _translated(call: Callable[[], T]) -> T:
    """Carry a call out, and turn what Stripe raises into an error of ours that says why."""
    try:
        return call()
    except stripe.StripeError as error:
        problem = _problem(error)
    raise problem


def _problem(error: stripe.StripeError) -> Exception:
    match error:
        case stripe.AuthenticationError() | stripe.PermissionError():
            return StripeUnavailableError("Stripe does not accept the API key for this")
        case stripe.RateLimitError() | stripe.APIConnectionError():
            return StripeUnavailableError(type(error).__name__, after_seconds=_pause(error))
        case stripe.IdempotencyError():
            return StripeRefusedError("idempotency_error", "the checkout was asked for differently")
        case stripe.InvalidRequestError() | stripe.CardError():
            code = error.code or "invalid_request"
            return StripeRefusedError(code, (error.user_message or "")[:300])
        case _:
            what = f"{type(error).__name__} {error.http_status or ''}"
            return StripeUnavailableError(what, after_seconds=_pause(error))


def _pause(error: stripe.StripeError) -> float:
    """Return the seconds in `Retry-After`; 0 where it is missing, or no number of them."""
    headers = error.headers or {}
    text = next((str(headers[name]) for name in headers if name.lower() == "retry-after"), "")
    return float(min(int(text), PAUSE_SECONDS_MAX)) if _SECONDS.fullmatch(text) else 0.0


def _session(found: Any) -> Session:
    metadata = found.metadata or {}
    return Session(
        session_id=found.id,
        url=found.url,
        status=found.status or "",
        paid=found.payment_status == "paid",
        amount_minor=found.amount_total or 0,
        currency=(found.currency or "").upper(),
        created_at=_at(found.created),
        expires_at=_at(found.expires_at),
        checkout_id=_get(metadata, CHECKOUT_ID),
        user_id=_get(metadata, USER_ID),
        payment=_payment(found.payment_intent),
    )


def _payment(found: Any) -> Payment | None:
    """Return an intent that was expanded; a mere id says too little to act on."""
    if found is None or isinstance(found, str):
        return None
    charge = found.latest_charge
    known = None if charge is None or isinstance(charge, str) else charge
    return Payment(
        payment_id=found.id,
        status=found.status,
        received_minor=found.amount_received,
        refunded_minor=0 if known is None else known.amount_refunded,
        disputed=known is not None and bool(known.disputed),
    )


def _refund(found: Any) -> Refund:
    return Refund(
        refund_id=found.id,
        payment_id=_id_of(found.payment_intent),
        amount_minor=found.amount,
        currency=found.currency.upper(),
        final=found.status == "succeeded",
    )


def _dispute(found: Any) -> Dispute:
    stands: dict[str, DisputeStand] = {"won": "WON", "lost": "LOST", "prevented": "NONE"}
    inquiry = found.status.startswith("warning_")
    return Dispute(
        dispute_id=found.id,
        payment_id=_id_of(found.payment_intent),
        amount_minor=found.amount,
        currency=found.currency.upper(),
        reason=found.reason,
        stand="NONE" if inquiry else stands.get(found.status, "OPEN"),
    )


def _happened(found: Any) -> Happened:
    about = found.data.object
    return Happened(
        event_id=found.id,
        object_id=_get(about, "id") or "",
        object_type=_get(about, "object") or "",
        at=_at(found.created),
    )


def _all(page: stripe.ListObject[Any]) -> list[Any]:
    every: Iterator[Any] = iter(page.auto_paging_iter())
    return list(islice(every, LIST_MAX))


def _between(since: datetime, until: datetime) -> dict[str, Any]:
    bounds = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
    return {"created": bounds, "limit": PAGE}


def _get(found: Any, name: str) -> str | None:
    """Return a text of an object of Stripe's, which is no dictionary."""
    value = found[name] if name in found else None  # noqa: SIM401 - it has no `get`
    return value if isinstance(value, str) else None


def _id_of(found: Any) -> str | None:
    return found if found is None or isinstance(found, str) else str(found.id)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
