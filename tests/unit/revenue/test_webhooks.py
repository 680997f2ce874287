"""The rules of webhooks: the schedule, when an endpoint is disabled, and what is signed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.webhook_rules import ENDPOINTS_MAX
from services.revenue.webhooks.bodies import signature
from services.revenue.webhooks.decider import (
    RETRY_AFTER,
    Attempt,
    Attempts,
    Change,
    Register,
    Remove,
    Rotate,
    Test,
    WebhookRefusal,
    decide_webhook,
    evolve_webhook,
    next_attempt_at,
)
from services.revenue.webhooks.facts import (
    AttemptFailed,
    Delivered,
    EndpointDisabled,
    Endpoints,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
URL = "https://hooks.partner.dev/"


def register(webhook_id: str = "w-1", url: str = URL) -> Register:
    return Register(
        webhook_id=webhook_id,
        url=url,
        event_types=("revenue.share_accrued",),
        description=None,
        allow_loopback=False,
    )


def attempt(number: int = 1, *, status: int | None = 500, **changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "delivery_id": "d-1",
        "event_type": "revenue.share_accrued",
        "event_sequence": 1,
        "attempt": number,
        "answer_status": status,
        "error": None if status == 200 else "it failed",
        "duration_ms": 5,
        "queued_at": NOON,
        "retry_after_seconds": None,
        "chance": 0.0,
    }
    return Attempt(**(values | changes))


def given_(*commands: Any, at: datetime = NOON) -> Endpoints:
    state = Endpoints()
    for command in commands:
        for fact in decide_webhook(command, state, at):
            state = evolve_webhook(state, fact)
    return state


def tried(*attempts: Attempt) -> Attempts:
    return Attempts(webhook_id="w-1", attempts=attempts)


def test_the_public_test_vector_is_signed_as_everybody_signs_it() -> None:
    signed = signature(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        content=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_ten_attempts_are_spread_over_three_days() -> None:
    waits = [next_attempt_at(attempt(number), NOON) for number in range(1, 11)]
    seconds = [None if at is None else (at - NOON).total_seconds() for at in waits]
    hour = 3_600
    assert seconds == [
        *(5, 300, 1_800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour),
        None,
    ]


@given(
    number=st.integers(1, 9),
    chance=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, 10**7),
)
def test_a_retry_is_never_early_and_never_late_without_bound(
    number: int, chance: float, asked: float | None
) -> None:
    at = next_attempt_at(attempt(number, chance=chance, retry_after_seconds=asked), NOON)
    assert at is not None
    wait = at - NOON
    assert wait >= RETRY_AFTER[number - 1]
    assert wait >= min(timedelta(seconds=asked or 0), timedelta(hours=24))
    assert wait <= max(RETRY_AFTER[number - 1] * 1.1, timedelta(hours=24)) + timedelta(seconds=1)


def test_an_owner_has_so_many_endpoints_and_no_more() -> None:
    state = given_(*(register(f"w-{n}") for n in range(ENDPOINTS_MAX)))
    with pytest.raises(WebhookRefusal, match="TOO_MANY_WEBHOOKS"):
        decide_webhook(register("one-more"), state, NOON)
    fewer = evolve_webhook(state, *decide_webhook(Remove(webhook_id="w-3"), state, NOON))
    assert decide_webhook(register("one-more"), fewer, NOON) != []
    assert decide_webhook(register("w-1"), state, NOON) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Remove(webhook_id="w-2"), "UNKNOWN_WEBHOOK"),
        (Rotate(webhook_id="w-2"), "UNKNOWN_WEBHOOK"),
        (register("w-2", "https://10.0.0.1/"), "INVALID_WEBHOOK_URL"),
        (
            Change(
                webhook_id="w-1",
                url="http://hooks.partner.dev/",
                event_types=None,
                description=None,
                enabled=None,
                allow_loopback=False,
            ),
            "INVALID_WEBHOOK_URL",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(command: Any, code: str) -> None:
    with pytest.raises(WebhookRefusal, match=code):
        decide_webhook(command, given_(register()), NOON)


def test_a_disabled_endpoint_is_tested_once_it_is_enabled() -> None:
    off = Change(
        webhook_id="w-1",
        url=None,
        event_types=None,
        description=None,
        enabled=False,
        allow_loopback=False,
    )
    state = given_(register(), off)
    with pytest.raises(WebhookRefusal, match="WEBHOOK_DISABLED"):
        decide_webhook(Test(webhook_id="w-1", delivery_id="d-1"), state, NOON)


def test_an_endpoint_that_is_gone_is_disabled_at_once_and_its_delivery_waits() -> None:
    facts = decide_webhook(tried(attempt(status=410)), given_(register()), NOON)
    assert [type(fact) for fact in facts] == [AttemptFailed, EndpointDisabled]
    assert isinstance(facts[0], AttemptFailed)
    assert facts[0].next_attempt_at == NOON


@pytest.mark.parametrize(
    ("later", "disabled"),
    [(timedelta(days=5), True), (timedelta(days=5) - timedelta(seconds=1), False)],
)
def test_five_days_of_nothing_but_failures_disable(later: timedelta, disabled: bool) -> None:
    state = given_(register(), tried(attempt()))
    facts = decide_webhook(tried(attempt(2)), state, NOON + later)
    assert any(isinstance(fact, EndpointDisabled) for fact in facts) is disabled


def test_one_success_begins_the_five_days_anew() -> None:
    state = given_(register(), tried(attempt()), tried(attempt(status=200)))
    facts = decide_webhook(tried(attempt()), state, NOON + timedelta(days=9))
    assert [type(fact) for fact in facts] == [AttemptFailed]


def test_of_an_endpoint_that_was_removed_meanwhile_nothing_is_recorded() -> None:
    state = given_(register(), Remove(webhook_id="w-1"))
    assert decide_webhook(tried(attempt(status=200)), state, NOON) == []
    kept = decide_webhook(tried(attempt(status=200)), given_(register()), NOON)
    assert [type(fact) for fact in kept] == [Delivered]
