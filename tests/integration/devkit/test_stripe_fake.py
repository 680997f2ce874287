"""The fake of Stripe, as Stripe's own SDK sees it over HTTP."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import stripe
import stripe.checkout
from typing_extensions import override

from tests.support.stripe_fake import API_KEY, WEBHOOK_SECRET, StripeFake, running_stripe_fake

HEARD_SECONDS_MAX = 20.0
OBJECTS: Any = (
    ("checkout.session", stripe.checkout.Session),
    ("payment_intent", stripe.PaymentIntent),
    ("charge", stripe.Charge),
    ("refund", stripe.Refund),
    ("dispute", stripe.Dispute),
    ("event", stripe.Event),
)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[StripeFake]:
    with running_stripe_fake(tmp_path / "stripe.sqlite") as running:
        yield running


@pytest.fixture
def sdk(fake: StripeFake) -> stripe.StripeClient:
    return client_of(fake)


def client_of(fake: StripeFake, key: str = API_KEY) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": fake.url}, max_network_retries=0)


def bought(sdk: stripe.StripeClient, amount: int = 1500, **more: Any) -> stripe.checkout.Session:
    params: Any = {
        "mode": "payment",
        "line_items": [
            {
                "price_data": {
                    "currency": "usd",
                    "unit_amount": amount,
                    "product_data": {"name": "150 credits"},
                },
                "quantity": 1,
            }
        ],
        "success_url": "http://127.0.0.1:1/back",
        "metadata": {"checkout_id": "c-1"},
        **more,
    }
    return sdk.v1.checkout.sessions.create(params, {"idempotency_key": "c-1"})


def paid_charge(fake: StripeFake, sdk: stripe.StripeClient, session_id: str) -> stripe.Charge:
    fake.session(session_id, "pay")
    session = sdk.v1.checkout.sessions.retrieve(
        session_id, {"expand": ["payment_intent.latest_charge"]}
    )
    intent = session.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


def test_a_session_is_bought_once_under_one_key(sdk: stripe.StripeClient) -> None:
    first, again = bought(sdk), bought(sdk)
    assert first.id == again.id
    assert (first.status, first.payment_status, first.amount_total) == ("open", "unpaid", 1500)
    assert first.metadata is not None
    assert first.metadata["checkout_id"] == "c-1"
    with pytest.raises(stripe.IdempotencyError):
        bought(sdk, amount=1600)


def test_its_objects_have_every_field_that_the_sdk_says_is_always_there(
    fake: StripeFake, sdk: stripe.StripeClient
) -> None:
    charge = paid_charge(fake, sdk, bought(sdk).id)
    fake.charge(charge.id, "refund", 100)
    fake.charge(charge.id, "dispute")
    lists: dict[str, Any] = {
        "checkout.session": sdk.v1.checkout.sessions,
        "payment_intent": sdk.v1.payment_intents,
        "charge": sdk.v1.charges,
        "refund": sdk.v1.refunds,
        "dispute": sdk.v1.disputes,
        "event": sdk.v1.events,
    }
    for kind, type_ in OBJECTS:
        found = lists[kind].list().data[0]
        assert isinstance(found, type_)
        always = {
            name
            for name, annotation in type_.__annotations__.items()
            if "Optional" not in str(annotation) and "ClassVar" not in str(annotation)
        }
        assert always <= set(found.to_dict()), kind


def test_a_session_is_paid_declined_or_expired(fake: StripeFake, sdk: stripe.StripeClient) -> None:
    session = bought(sdk)
    fake.session(session.id, "decline")
    declined = sdk.v1.checkout.sessions.retrieve(session.id)
    assert (declined.status, declined.payment_status) == ("open", "unpaid")
    charge = paid_charge(fake, sdk, session.id)
    assert (charge.paid, charge.amount, charge.amount_refunded) == (True, 1500, 0)
    with pytest.raises(stripe.InvalidRequestError):
        sdk.v1.checkout.sessions.expire(session.id)


def test_a_payment_that_takes_days_arrives_or_bounces(
    fake: StripeFake, sdk: stripe.StripeClient
) -> None:
    session = bought(sdk)
    fake.session(session.id, "pay_later")
    waiting = sdk.v1.checkout.sessions.retrieve(session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    fake.session(session.id, "arrive")
    assert sdk.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    types = [event.type for event in sdk.v1.events.list().data]
    assert types == [
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
    ]


def test_refunds_add_up_and_never_exceed_the_charge(
    fake: StripeFake, sdk: stripe.StripeClient
) -> None:
    charge = paid_charge(fake, sdk, bought(sdk).id)
    sdk.v1.refunds.create({"charge": charge.id, "amount": 400})
    sdk.v1.refunds.create({"charge": charge.id, "amount": 500})
    assert sdk.v1.charges.retrieve(charge.id).amount_refunded == 900
    with pytest.raises(stripe.InvalidRequestError, match="greater than"):
        sdk.v1.refunds.create({"charge": charge.id, "amount": 601})
    sdk.v1.refunds.create({"charge": charge.id})
    assert sdk.v1.charges.retrieve(charge.id).refunded


def test_disputes_are_won_and_lost(fake: StripeFake, sdk: stripe.StripeClient) -> None:
    charge = paid_charge(fake, sdk, bought(sdk).id)
    dispute = fake.charge(charge.id, "dispute")
    assert sdk.v1.disputes.retrieve(dispute["id"]).status == "needs_response"
    fake.close_dispute(dispute["id"], "win")
    assert sdk.v1.disputes.retrieve(dispute["id"]).status == "won"
    assert sdk.v1.charges.retrieve(charge.id).disputed


def test_lists_come_in_pages_the_newest_first(fake: StripeFake, sdk: stripe.StripeClient) -> None:
    charge = paid_charge(fake, sdk, bought(sdk).id)
    made = [sdk.v1.refunds.create({"charge": charge.id, "amount": 1}).id for _ in range(25)]
    listed = [each.id for each in sdk.v1.refunds.list({"limit": 10}).auto_paging_iter()]
    assert listed == made[::-1]
    none = sdk.v1.refunds.list({"created": {"gt": int(time.time()) + 60}})  # noqa: TID251 - Stripe's clock is the machine's
    assert none.data == []


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"fail_next": 1}, stripe.APIError),
        ({"limit_next": 1}, stripe.RateLimitError),
    ],
)
def test_it_misbehaves_as_it_is_told(
    fake: StripeFake, sdk: stripe.StripeClient, behaviour: Any, error: type[Exception]
) -> None:
    fake.behave(**behaviour)
    with pytest.raises(error):
        bought(sdk)
    assert bought(sdk).status == "open"


def test_an_answer_that_was_lost_is_given_again(fake: StripeFake, sdk: stripe.StripeClient) -> None:
    fake.behave(fail_next=1, fail_after=True)
    with pytest.raises(stripe.APIError):
        bought(sdk)
    bought(sdk)
    assert len(sdk.v1.checkout.sessions.list().data) == 1


def test_what_is_wrong_is_refused_in_stripes_words(
    fake: StripeFake, sdk: stripe.StripeClient
) -> None:
    with pytest.raises(stripe.AuthenticationError):
        bought(client_of(fake, "sk_test_another"))
    with pytest.raises(stripe.InvalidRequestError) as refused:
        bought(sdk, amount=49)
    assert refused.value.code == "amount_too_small"
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        sdk.v1.checkout.sessions.retrieve("cs_test_none")
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter"):
        bought(sdk, colour="red")


def test_what_it_knows_outlives_it(tmp_path: Path) -> None:
    with running_stripe_fake(tmp_path / "kept.sqlite") as before:
        session_id = bought(client_of(before)).id
    with running_stripe_fake(tmp_path / "kept.sqlite") as after:
        assert client_of(after).v1.checkout.sessions.retrieve(session_id).status == "open"


def test_people_pay_on_its_page(fake: StripeFake, sdk: stripe.StripeClient) -> None:
    session = bought(sdk)
    assert session.url is not None
    assert b"Pay 15.00 USD" in seen(session.url)
    fake.session(session.id, "pay")
    assert b"Refund" in seen(fake.url)


def seen(url: str) -> bytes:
    with urlopen(url) as page:  # noqa: S310 - the fake's own address
        content: bytes = page.read()
    return content


class Hook:
    """An address that refuses each webhook once, and keeps what it took."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.taken: list[stripe.Event] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = stripe.Webhook.construct_event(
                    body, self.headers["Stripe-Signature"], WEBHOOK_SECRET
                )
                known = event.id in hook.refused
                hook.refused.add(event.id)
                if known:
                    hook.taken.append(event)
                self.send_response(200 if known else 500)
                self.end_headers()

            @override
            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, count: int) -> list[str]:
        deadline = time.monotonic() + HEARD_SECONDS_MAX
        while len(self.taken) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return [event.type for event in self.taken]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_webhooks_are_signed_and_sent_until_they_are_taken(
    fake: StripeFake, sdk: stripe.StripeClient, hook: Hook
) -> None:
    fake.send_webhooks_to(hook.url)
    fake.session(bought(sdk).id, "pay")
    assert set(hook.until(2)) == {"checkout.session.completed", "payment_intent.succeeded"}
    assert {each["status"] for each in fake.deliveries()} == {"TAKEN"}


def test_webhooks_are_doubled_dropped_and_turned_round(
    fake: StripeFake, sdk: stripe.StripeClient, hook: Hook
) -> None:
    fake.behave(drop_next=2)
    charge = paid_charge(fake, sdk, bought(sdk).id)
    assert fake.deliveries() == []
    fake.behave(copies=2, hold=True)
    fake.charge(charge.id, "refund")
    assert len(fake.deliveries()) == 4
    fake.send_webhooks_to(hook.url)
    fake.ask("POST", "/control/webhooks/release", {"reverse": True})
    assert hook.until(2)[0] == "charge.refunded"
