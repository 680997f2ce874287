"""Webhooks reach real receivers, which check them with the public library."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from contracts.gateway import v1 as gateway
from runtime.sealing import seal
from services.revenue.webhooks import posting
from tests.integration.revenue.hooks import (
    ACCRUED,
    PUBLIC,
    REVERSED,
    SECRET,
    Hooks,
    running_hooks,
)
from tests.integration.revenue.receivers import Receiver, answering, receiver
from tests.support.environment import Database

OTHER_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest_asyncio.fixture
async def hooks(database_for: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Hooks]:
    async with running_hooks(await database_for("revenue")) as running:
        yield running


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


async def test_a_line_arrives_with_what_the_payee_may_know_and_nothing_of_the_user(
    hooks: Hooks, here: Receiver
) -> None:
    await hooks.registers(here.url)
    await hooks.registers(here.url, owner="paul")
    await hooks.earns(lines=2)
    async with hooks.sending():
        delivered = await hooks.until("webhook_delivered", 2)

    first, second = sorted((each.event for each in here.sent), key=lambda e: e["sequence"])
    assert first["type"] == ACCRUED
    assert (first["specversion"], first["source"]) == ("1.0", "/tollgate/revenue")
    assert (first["sequence"], first["previous_sequence"]) == (1, None)
    assert (second["sequence"], second["previous_sequence"]) == (2, 1)
    assert first["data"]["share"] == {"amount_minor": 600, "currency": "USD"}
    assert first["data"]["share_percent"] == "30.00"
    assert second["data"]["running_total"] == {"amount_minor": 1_200, "currency": "USD"}
    assert not any(b"ursula" in each.body for each in here.sent)
    assert {each.headers["webhook-id"] for each in here.sent} == {
        each["delivery_id"] for each in delivered
    }
    assert len(here.sent) == 2


async def test_types_that_are_not_wanted_leave_a_gap_that_is_told(
    hooks: Hooks, here: Receiver
) -> None:
    """Whoever wants reversals only sees in `previous_sequence` that nothing is missing."""
    webhook_id = await hooks.registers(here.url, events=(REVERSED,))
    await hooks.earns(lines=2)
    await hooks.asks(
        gateway.WebhookChangeRequested,
        webhook_id=webhook_id,
        url=None,
        event_types=(ACCRUED, REVERSED),
        description=None,
        enabled=None,
    )
    await hooks.earns()
    async with hooks.sending():
        await hooks.until("webhook_delivered")
    [only] = here.sent
    assert (only.event["sequence"], only.event["previous_sequence"]) == (3, None)


@pytest.mark.parametrize(
    ("status", "error"), [(302, "answered 302"), (500, "answered 500"), (404, "answered 404")]
)
async def test_only_success_counts_and_what_failed_is_sent_again_under_the_same_id(
    hooks: Hooks, here: Receiver, status: int, error: str
) -> None:
    here.respond = answering(status, headers={"location": f"{here.url}/elsewhere"})
    await hooks.registers(here.url)
    await hooks.earns()
    async with hooks.sending():
        [failed] = await hooks.until("webhook_attempt_failed")
        here.respond = None
        [delivered] = await hooks.until_later("webhook_delivered", timedelta(seconds=6))
    assert (failed["error"], failed["answer_status"], failed["attempt"]) == (error, status, 1)
    assert (delivered["attempt"], delivered["delivery_id"]) == (2, failed["delivery_id"])
    first, second = here.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_an_endpoint_that_is_gone_is_disabled_and_misses_nothing_once_enabled(
    hooks: Hooks, here: Receiver
) -> None:
    here.respond = answering(410)
    webhook_id = await hooks.registers(here.url)
    await hooks.earns()
    async with hooks.sending():
        [disabled] = await hooks.until("webhook_endpoint_disabled")
        assert (disabled["reason"], disabled["owner_id"]) == ("gone", "pia")
        await hooks.earns(lines=2)
        here.respond = None
        sent = len(here.sent)
        enable: dict[str, Any] = {
            "url": None,
            "event_types": None,
            "description": None,
            "enabled": True,
        }
        await hooks.asks(gateway.WebhookChangeRequested, webhook_id=webhook_id, **enable)
        await hooks.until("webhook_delivered", 3)
    assert sorted(each.event["sequence"] for each in here.sent[sent:]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("asked", "wait_seconds"),
    [
        ("3600", 3600),
        ("Mon, 01 Jun 2026 14:00:00 GMT", 7200),
        ("Mon, 01 Jun 2020 14:00:00 GMT", 5),
        ("soon", 5),
        ("Mon, 01 Jun 99999999999999999999 00:00:00 GMT", 5),
    ],
)
async def test_retry_after_is_honoured_where_it_can_be_read(
    hooks: Hooks, here: Receiver, asked: str, wait_seconds: int
) -> None:
    here.respond = answering(503, headers={"retry-after": asked})
    await hooks.registers(here.url)
    await hooks.earns()
    async with hooks.sending():
        [failed] = await hooks.until("webhook_attempt_failed")
    wait = datetime.fromisoformat(failed["next_attempt_at"]) - datetime(2026, 6, 1, 12, tzinfo=UTC)
    # What is not asked for is up to a tenth more, by chance.
    assert timedelta() <= wait - timedelta(seconds=wait_seconds) <= timedelta(seconds=0.5)


async def test_five_days_of_failures_disable_an_endpoint(hooks: Hooks, here: Receiver) -> None:
    here.respond = answering(500)
    await hooks.registers(here.url)
    await hooks.earns()
    async with hooks.sending():
        await hooks.until("webhook_attempt_failed")
        hooks.clock.advance(timedelta(days=5))
        [disabled] = await hooks.until("webhook_endpoint_disabled")
    assert disabled["reason"] == "failing"
    assert disabled["failing_since"] == "2026-06-01T12:00:00Z"


async def test_two_secrets_sign_for_a_day_after_a_rotation(hooks: Hooks, here: Receiver) -> None:
    from standardwebhooks import Webhook, WebhookVerificationError

    webhook_id = await hooks.registers(here.url)
    await hooks.asks(
        gateway.WebhookRotationRequested,
        webhook_id=webhook_id,
        sealed_secret=seal(OTHER_SECRET.encode(), PUBLIC),
    )
    await hooks.earns()
    async with hooks.sending():
        await hooks.until("webhook_delivered")
        hooks.clock.advance(timedelta(hours=24, seconds=1))
        await hooks.earns()
        await hooks.until("webhook_delivered", 2)
    both, after = (each.headers["webhook-signature"].split(" ") for each in here.sent)
    assert (len(both), len(after)) == (2, 1)
    for secret, signed, good in (
        (SECRET, here.sent[0], True),
        (OTHER_SECRET, here.sent[0], True),
        (SECRET, here.sent[1], False),
        (OTHER_SECRET, here.sent[1], True),
    ):
        verifier = Webhook(secret)
        # The test's clock is not the machine's, which is all that the library would complain of.
        expected = verifier.sign(
            signed.headers["webhook-id"], _at(signed.headers), signed.body.decode()
        )
        assert (expected in signed.headers["webhook-signature"].split(" ")) is good
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(here.sent[0].body, here.sent[0].headers | {"webhook-id": "another"})


def _at(headers: dict[str, str]) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)


async def test_a_test_and_what_was_sent_before_are_sent_when_asked_for(
    hooks: Hooks, here: Receiver
) -> None:
    webhook_id = await hooks.registers(here.url)
    await hooks.earns(lines=2)
    async with hooks.sending():
        [first, _] = await hooks.until("webhook_delivered", 2)
        test_id = await hooks.asks(gateway.WebhookTestRequested, webhook_id=webhook_id)
        await hooks.until("webhook_delivered", 3)
        test = here.sent[2].event
        assert (test["type"], test["id"]) == ("webhook.test", test_id)
        assert (test["sequence"], test["previous_sequence"]) == (None, 2)
        again: dict[str, Any] = {"delivery_id": first["delivery_id"], "since": None}
        await hooks.asks(gateway.WebhookResendRequested, webhook_id=webhook_id, **again)
        await hooks.until("webhook_delivered", 4)
        assert here.sent[3].headers["webhook-id"] == first["delivery_id"]
        since: dict[str, Any] = {
            "delivery_id": None,
            "since": hooks.clock.now() - timedelta(hours=1),
        }
        await hooks.asks(gateway.WebhookResendRequested, webhook_id=webhook_id, **since)
        await hooks.until("webhook_delivered", 7)


async def test_what_another_owns_cannot_be_touched(hooks: Hooks, here: Receiver) -> None:
    webhook_id = await hooks.registers(here.url)
    await hooks.asks(gateway.WebhookRemovalRequested, "paul", webhook_id=webhook_id)
    [refused] = await hooks.told("request_refused")
    assert refused["code"] == "UNKNOWN_WEBHOOK"


async def test_a_removed_endpoint_is_sent_nothing_more(hooks: Hooks, here: Receiver) -> None:
    webhook_id = await hooks.registers(here.url)
    await hooks.earns()
    await hooks.asks(gateway.WebhookRemovalRequested, webhook_id=webhook_id)
    async with receiver() as other:
        await hooks.registers(other.url)
        await hooks.earns()
        async with hooks.sending():
            await hooks.until("webhook_delivered")
    assert here.sent == []
    left = await hooks.running.pool.fetchval(
        "select count(*) from webhook_secrets where webhook_id = $1", webhook_id
    )
    assert left == 0


async def test_an_answer_that_is_too_much_or_too_slow_holds_nobody_up(
    hooks: Hooks, here: Receiver
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with_bound = 2**30 // 65_536
        for _ in range(with_bound):
            await response.write(b"x" * 65_536)
        return response

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(1)

    async def nothing(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    here.respond = nothing
    async with receiver(endless) as large, receiver(drip) as slow, receiver() as good:
        for url in (here.url, large.url, slow.url, good.url):
            await hooks.registers(url)
        await hooks.earns()
        async with hooks.sending():
            await hooks.until("webhook_delivered", 3)
            [failed] = await hooks.until("webhook_attempt_failed")
    assert failed["error"] == f"no answer within {posting.ATTEMPT_SECONDS_MAX:g} seconds"
