"""The calls of Stripe's API that Tollgate makes, over HTTP, as `/v1/…`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from aiohttp import web

from devkit.stripe_fake import objects
from devkit.stripe_fake.behaviour import Behaviour
from devkit.stripe_fake.errors import StripeError, invalid, missing
from devkit.stripe_fake.forms import metadata_of, nested, only_known, required, whole_number
from devkit.stripe_fake.listing import expanded, page
from devkit.stripe_fake.payments import Payments
from devkit.stripe_fake.store import MadeBefore, Store

Object = dict[str, Any]
Call = Callable[[web.Request, Object], Object]

AMOUNT_MIN: Final = 50
AMOUNT_MAX: Final = 99_999_999
SESSION_SECONDS: Final = (30 * 60, 24 * 3600)
_TOO_MANY: Final = 429
KINDS: Final = {
    "checkout/sessions": "checkout.session",
    "payment_intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "events": "event",
}
SESSION_PARAMETERS: Final = (
    *("mode", "line_items", "success_url", "cancel_url", "client_reference_id", "metadata"),
    *("payment_intent_data", "expires_at", "customer_email", "payment_method_types"),
    "adaptive_pricing",
)


class Api:
    """Stripe's API, as far as it goes here."""

    def __init__(
        self, store: Store, payments: Payments, behaviour: Behaviour, *, api_key: str
    ) -> None:
        self._store = store
        self._payments = payments
        self._behaviour = behaviour
        self._api_key = api_key

    def routes(self) -> list[web.RouteDef]:
        """Return all calls there are."""
        found = [
            web.post("/v1/checkout/sessions", self._answer(self._create_session)),
            web.post("/v1/checkout/sessions/{id}/expire", self._answer(self._expire_session)),
            web.post("/v1/refunds", self._answer(self._create_refund)),
        ]
        for path, kind in KINDS.items():
            found.append(web.get(f"/v1/{path}", self._answer(self._list(kind))))
            found.append(web.get(f"/v1/{path}/{{id}}", self._answer(self._retrieve(kind))))
        return [*found, web.route("*", "/v1/{tail:.*}", self._answer(_no_such_call))]

    def _answer(self, call: Call) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            request_id = objects.new_id("req")
            headers = {"Request-Id": request_id, "Stripe-Version": objects.API_VERSION}
            try:
                if self._behaviour.slow_seconds:
                    await asyncio.sleep(self._behaviour.slow_seconds)
                self._authenticate(request)
                self._behaviour.refuse_call()
                status, body = self._once(request, call, await _parameters(request), headers)
                self._behaviour.lose_answer()
            except StripeError as error:
                status, body = error.status, error.body()
                if status == _TOO_MANY and self._behaviour.pause_seconds:
                    headers["Retry-After"] = str(self._behaviour.pause_seconds)
            return web.json_response(body, status=status, headers=headers)

        return answer

    def _once(
        self, request: web.Request, call: Call, given: Object, headers: dict[str, str]
    ) -> tuple[int, Object]:
        """Carry a call out, or give the first answer again where its key was used before.

        Stripe keeps the answer of a call that began to be carried out, refusals included.
        """
        key = request.headers.get("Idempotency-Key")
        if request.method != "POST" or not key:
            return 200, call(request, given)
        headers["Idempotency-Key"] = key
        canonical = json.dumps([request.path, given], sort_keys=True).encode()
        fingerprint = sha256(canonical).hexdigest()
        before = self._store.made_before(key)
        if before is not None:
            if before.fingerprint != fingerprint:
                raise StripeError(
                    400,
                    "idempotency_error",
                    "Keys for idempotent requests can only be used with the same parameters they "
                    "were first used with.",
                )
            headers["Idempotent-Replayed"] = "true"
            return before.status, before.body
        body = call(request, given)
        self._store.keep_call(key, MadeBefore(fingerprint, 200, body))
        return 200, body

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not compare_digest(given.encode(), self._api_key.encode()):
            raise StripeError(401, "invalid_request_error", "Invalid API Key provided")

    def _create_session(self, request: web.Request, given: Object) -> Object:
        only_known(given, (*SESSION_PARAMETERS, "expand"))
        if required(given, "mode") != "payment":
            raise invalid("Invalid mode: only payment is imitated here", param="mode")
        amount, currency = _total(required(given, "line_items"))
        if not AMOUNT_MIN <= amount <= AMOUNT_MAX:
            small = amount < AMOUNT_MIN
            raise invalid(
                f"The Checkout Session's total amount must be between {AMOUNT_MIN} and"
                f" {AMOUNT_MAX}.",
                code="amount_too_small" if small else "amount_too_large",
            )
        now = self._payments.now
        expires_at = now + SESSION_SECONDS[1]
        if "expires_at" in given:
            expires_at = whole_number(given["expires_at"], "expires_at")
            if not SESSION_SECONDS[0] <= expires_at - now <= SESSION_SECONDS[1]:
                raise invalid(
                    "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.",
                    param="expires_at",
                )
        intent_data = given.get("payment_intent_data", {})
        only_known(intent_data, ("metadata", "description"))
        session = objects.session(
            now=now,
            address=f"{request.scheme}://{request.host}",
            amount=amount,
            currency=currency,
            success_url=required(given, "success_url"),
            cancel_url=given.get("cancel_url"),
            expires_at=expires_at,
            client_reference_id=given.get("client_reference_id"),
            customer_email=given.get("customer_email"),
            metadata=metadata_of(given.get("metadata")),
            payment_intent_metadata=metadata_of(intent_data.get("metadata")),
        )
        with self._store.transaction():
            self._store.put(session)
        return objects.shown(session)

    def _expire_session(self, request: web.Request, _: Object) -> Object:
        return objects.shown(self._payments.expire(request.match_info["id"]))

    def _create_refund(self, _: web.Request, given: Object) -> Object:
        only_known(given, ("charge", "payment_intent", "amount", "reason", "expand"))
        charge_id = given.get("charge")
        if charge_id is None:
            intent_id = required(given, "payment_intent")
            intent = self._store.get(intent_id)
            if intent is None:
                raise missing("payment_intent", intent_id)
            charge_id = intent["latest_charge"]
        amount = given.get("amount")
        wanted = None if amount is None else whole_number(amount, "amount", least=1)
        return self._payments.refund(charge_id, wanted, given.get("reason"))

    def _retrieve(self, kind: str) -> Call:
        def retrieve(request: web.Request, given: Object) -> Object:
            only_known(given, ("expand",))
            self._payments.expire_overdue()
            found = self._store.get(request.match_info["id"])
            if found is None or found["object"] != kind:
                raise missing(kind, request.match_info["id"])
            return expanded(self._store, objects.shown(found), given.get("expand"))

        return retrieve

    def _list(self, kind: str) -> Call:
        def listing(request: web.Request, given: Object) -> Object:
            self._payments.expire_overdue()
            return page(self._store, kind, request.path, given)

        return listing


async def _parameters(request: web.Request) -> Object:
    if request.method == "POST":
        return nested([(name, str(value)) for name, value in (await request.post()).items()])
    return nested(list(request.query.items()))


def _total(line_items: Any) -> tuple[int, str]:
    """Return what all lines come to, and in which currency."""
    if not isinstance(line_items, list):
        raise invalid("Invalid array", param="line_items")
    total, currencies = 0, set()
    for number, line in enumerate(line_items):
        name = f"line_items[{number}]"
        price = line.get("price_data") if isinstance(line, Mapping) else None
        if not isinstance(price, Mapping):
            raise invalid("Missing required param: price_data.", param=name)
        only_known(line, ("price_data", "quantity"))
        only_known(price, ("currency", "unit_amount", "product_data"))
        required(required(price, "product_data"), "name")
        quantity = whole_number(line.get("quantity", "1"), f"{name}[quantity]", least=1)
        total += quantity * whole_number(required(price, "unit_amount"), f"{name}[unit_amount]")
        currencies.add(required(price, "currency").lower())
    if len(currencies) != 1:
        raise invalid("All line items must have the same currency", param="line_items")
    return total, currencies.pop()


def _no_such_call(request: web.Request, _: Object) -> Object:
    raise StripeError(
        404,
        "invalid_request_error",
        f"Unrecognized request URL ({request.method}: {request.path}).",
    )
