"""How tests and demonstrations play Stripe, its customers and its bad days: `/control/…`, JSON."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from devkit.stripe_fake.behaviour import Behaviour
from devkit.stripe_fake.errors import StripeError, invalid
from devkit.stripe_fake.payments import Payments
from devkit.stripe_fake.store import Store
from devkit.stripe_fake.webhooks import Webhooks
from runtime.clock import Clock

Object = dict[str, Any]
DELIVERIES_MAX: Final = 200
TAMPERABLE: Final = ("amount_total", "currency", "metadata", "payment_status", "status")


class Control:
    """The strings."""

    def __init__(
        self,
        store: Store,
        payments: Payments,
        webhooks: Webhooks,
        behaviour: Behaviour,
        clock: Clock,
    ) -> None:
        self._store = store
        self._payments = payments
        self._webhooks = webhooks
        self._behaviour = behaviour
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return what can be pulled."""
        return [
            web.get("/control", self._look),
            web.patch("/control/behaviour", self._answer(self._behave)),
            web.put("/control/webhook", self._answer(self._point)),
            web.post("/control/webhooks/release", self._answer(self._release)),
            web.post("/control/events/{id}/resend", self._answer(self._resend)),
            web.post("/control/sessions/{id}/tamper", self._answer(self._tamper)),
            web.post("/control/sessions/{id}/{act}", self._answer(self._act_on_session)),
            web.post("/control/charges/{id}/{act}", self._answer(self._act_on_charge)),
            web.post("/control/refunds/{id}/fail", self._answer(self._fail_refund)),
            web.post("/control/disputes/{id}/{act}", self._answer(self._act_on_dispute)),
        ]

    def _answer(
        self, act: Callable[[web.Request, Object], Object]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                given = json.loads(await request.read() or b"{}")
                if not isinstance(given, dict):
                    raise invalid("the body must be a JSON object")
                return web.json_response(act(request, given))
            except StripeError as error:
                return web.json_response(error.body(), status=error.status)
            except (ValidationError, ValueError) as error:
                return web.json_response({"error": {"message": str(error)}}, status=400)

        return answer

    async def _look(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "behaviour": self._behaviour.model_dump(),
                "webhook": self._webhooks.url,
                "deliveries": self._store.deliveries(DELIVERIES_MAX),
            }
        )

    def _behave(self, _: web.Request, given: Object) -> Object:
        """Misbehave from now on as it says; what is not named stays as it is."""
        whole = Behaviour.model_validate(self._behaviour.model_dump() | given)
        for name in Behaviour.model_fields:
            setattr(self._behaviour, name, getattr(whole, name))
        return self._behaviour.model_dump()

    def _point(self, _: web.Request, given: Object) -> Object:
        """Send webhooks to this address, or to none."""
        url = given.get("url")
        if url is not None and not str(url).startswith(("http://127.0.0.1:", "http://localhost:")):
            raise invalid("webhooks go to this machine only", param="url")
        self._webhooks.url = url
        return {"webhook": url}

    def _release(self, _: web.Request, given: Object) -> Object:
        """Send all that is held or late now; with `reverse`, the last first."""
        self._behaviour.hold = False
        now = self._clock.now().timestamp()
        return {"released": self._store.release(now, reverse=given.get("reverse") is True)}

    def _resend(self, request: web.Request, _: Object) -> Object:
        self._payments.resend(request.match_info["id"])
        return {}

    def _tamper(self, request: web.Request, given: Object) -> Object:
        """Change a session behind everybody's back, telling nobody."""
        unknown = given.keys() - set(TAMPERABLE)
        if unknown:
            raise invalid(f"cannot be changed: {', '.join(sorted(unknown))}")
        session = self._payments.session(request.match_info["id"])
        return self._store.put(session | given)

    def _act_on_session(self, request: web.Request, _: Object) -> Object:
        acts: dict[str, Callable[[str], Any]] = {
            "pay": self._payments.pay,
            "decline": self._payments.decline,
            "pay_later": self._payments.pay_later,
            "arrive": self._payments.arrive,
            "bounce": self._payments.bounce,
            "expire": self._payments.expire,
        }
        id_ = request.match_info["id"]
        _known(acts, request)(id_)
        return self._payments.session(id_)

    def _act_on_charge(self, request: web.Request, given: Object) -> Object:
        amount = given.get("amount")
        if amount is not None and type(amount) is not int:
            raise invalid("amount must be a whole number", param="amount")
        acts: dict[str, Callable[[str, int | None], Object]] = {
            "refund": self._payments.refund,
            "dispute": self._payments.dispute,
        }
        found: Object = _known(acts, request)(request.match_info["id"], amount)
        return found

    def _fail_refund(self, request: web.Request, _: Object) -> Object:
        return self._payments.fail_refund(request.match_info["id"])

    def _act_on_dispute(self, request: web.Request, _: Object) -> Object:
        acts = {"win": True, "lose": False}
        won = _known(acts, request)
        return self._payments.close_dispute(request.match_info["id"], won=won)


def _known(acts: dict[str, Any], request: web.Request) -> Any:
    name = request.match_info["act"]
    if name not in acts:
        raise invalid(f"nothing is called {name}; there are {', '.join(acts)}")
    return acts[name]
