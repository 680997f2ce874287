"""Credits: what the wallet tells is what is read, and what is asked for is answered."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from contracts.gateway.v1 import AdjustmentRequested, AwardRequested, PurchaseRequested
from contracts.ledger.v1 import RequestRefused
from services.gateway.times import rfc_3339
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.wallets import Ledger, awarded_slice, purchased_slice


async def test_the_balance_lots_and_history_follow_the_wallet(api: Api) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    awarded = await wallet.awards(30)
    bought = await wallet.sells(100, 10_000)
    slices = (awarded_slice(awarded, 0, 30, 30), purchased_slice(bought, 0, 20, 100, 10_000))
    hold = await wallet.holds("d-1", slices)
    held = await ada.gets("/api/credits/balance")
    await wallet.settles(hold)
    settled = await ada.gets("/api/credits/balance")

    lots = {lot["id"]: lot for lot in (await ada.gets("/api/credits/lots"))["items"]}
    history = (await ada.gets("/api/credits/history"))["items"]

    assert {k: held[k] for k in ("awarded", "purchased", "total", "held", "available")} == {
        "awarded": 30, "purchased": 100, "total": 130, "held": 50, "available": 80,
    }  # fmt: skip
    assert held["available_purchased"] == 80
    assert (settled["awarded"], settled["purchased"], settled["held"]) == (0, 80, 0)
    assert (lots[awarded]["remaining"], lots[awarded]["status"]) == (0, "SPENT")
    assert (lots[bought]["remaining"], lots[bought]["held"]) == (80, 0)
    assert lots[bought]["price"] == {"amount_minor": 10_000, "currency": "USD"}
    assert [(line["type"], line["credits"], line["balance_after"]) for line in history] == [
        ("SPEND", -50, 80),
        ("HOLD", -50, 130),
        ("PURCHASE", 100, 130),
        ("AWARD", 30, 30),
    ]
    assert sum(line["awarded_delta"] for line in history) == settled["awarded"]
    assert sum(line["purchased_delta"] for line in history) == settled["purchased"]
    assert history[0]["deployment_id"] == "d-1"


async def test_lots_that_expire_soon_are_found_among_however_many(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    wallet = Ledger(api, ada.id)
    now = api.running.clock.now()
    soon = now + timedelta(days=3)
    spent = await wallet.awards(4, lot_id="spent", expires_at=soon)
    await wallet.adjusts(awarded_slice(spent, 0, 4, 4))
    held = await wallet.awards(3, lot_id="held", expires_at=soon)
    await wallet.holds("d-1", (awarded_slice(held, 0, 3, 3),))
    await wallet.awards(5, lot_id="second", expires_at=soon + timedelta(days=1))
    await wallet.awards(6, lot_id="first", expires_at=soon)
    await wallet.awards(7, lot_id="later", expires_at=now + timedelta(days=15))
    # Of these the list's first page is full.
    for number in range(101):
        await wallet.awards(1, lot_id=f"ever-{number}")

    async def expiring(**parameters: Any) -> list[str]:
        found = await ada.gets("/api/credits/lots", **parameters)
        return [lot["id"] for lot in found["items"]]

    until = rfc_3339(now + timedelta(days=14))
    page = await ada.gets("/api/credits/lots", expires_before=until, limit=1)
    assert [lot["id"] for lot in page["items"]] == ["first"]
    assert await expiring(expires_before=until, cursor=page["next_cursor"]) == ["second"]
    assert await expiring(expires_before=rfc_3339(soon)) == []
    await ada.is_refused(
        "GET", "/api/credits/lots?expires_before=soon", status=422, code="INVALID_INPUT"
    )
    shown = (await ada.asks("GET", "/credits")).text
    assert shown.count("Spend them before") == 2
    assert shown.index("6 award credits") < shown.index("5 award credits")
    assert "Spend them before" not in (await bob.asks("GET", "/credits")).text


async def test_what_is_released_adjusted_and_expired_is_shown_as_that(api: Api) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    lot = await wallet.awards(30)
    hold = await wallet.holds("d-1", (awarded_slice(lot, 0, 10, 30),))
    await wallet.releases(hold)
    await wallet.adjusts(awarded_slice(lot, 0, 5, 30))
    await wallet.expires(awarded_slice(lot, 5, 30, 30))

    [shown] = (await ada.gets("/api/credits/lots"))["items"]
    history = (await ada.gets("/api/credits/history"))["items"]

    assert (shown["remaining"], shown["held"], shown["status"]) == (0, 0, "EXPIRED")
    assert [(line["type"], line["credits"], line["reason"]) for line in history[:3]] == [
        ("EXPIRY", -25, None),
        ("ADJUSTMENT", -5, "by mistake"),
        ("RELEASE", 10, "FAILED"),
    ]


async def test_history_is_filtered_and_paged_and_a_balance_is_as_it_was(api: Api) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    before = api.running.clock.now().isoformat()
    for credits_given in (1, 2, 3):
        await wallet.awards(credits_given)

    awards = await ada.gets("/api/credits/history", type="AWARD", limit=2)
    rest = await ada.gets(
        "/api/credits/history", type="AWARD", limit=2, cursor=awards["next_cursor"]
    )
    then = awards["items"][1]["at"]

    assert [line["credits"] for line in awards["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    assert (await ada.gets("/api/credits/history", type="SPEND"))["items"] == []
    assert (await ada.gets("/api/credits/history", **{"from": "2999-01-01"}))["items"] == []
    assert (await ada.gets("/api/credits/balance", as_of=then))["awarded"] == 3
    assert (await ada.gets("/api/credits/balance", as_of=before))["awarded"] == 0
    await ada.is_refused(
        "GET", f"/api/credits/history?type=SPEND&cursor={awards['next_cursor']}",
        status=422, code="INVALID_CURSOR",
    )  # fmt: skip


async def test_others_credits_are_finances_and_admins_to_read(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    finance, admin = await api.person("finance"), await api.person("admin")
    support = await api.person("support")
    await Ledger(api, ada.id).awards(30)
    for path in ("balance", "lots", "history"):
        for reader in (finance, admin):
            await reader.gets(f"/api/credits/{path}", user_id=ada.id)
        for stranger in (bob, support):
            for user_id in (ada.id, "nobody"):
                await stranger.is_refused(
                    "GET", f"/api/credits/{path}?user_id={user_id}", status=403, code="FORBIDDEN"
                )
    await finance.is_refused(
        "GET", "/api/credits/balance?user_id=nobody", status=404, code="NOT_FOUND"
    )


async def test_an_award_is_answered_when_the_wallet_has_it(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    body = {"user_id": ada.id, "credits": 30, "reason": "welcome", "kind": "award.goodwill"}

    asking = asyncio.create_task(finance.asks("POST", "/api/credits/awards", body))
    request = await api.asked(AwardRequested)
    await Ledger(api, ada.id).awards(30, correlation_id=request.correlationid)
    answer = await asking

    assert answer.status_code == 201, answer.text
    assert (answer.json()["user_id"], answer.json()["credits"]) == (ada.id, 30)
    assert (request.data.award_kind, request.data.requested_by) == ("award.goodwill", finance.id)
    assert f"user-{ada.id}=1" in request.seen
    assert "settings=1" in request.seen


async def test_a_purchase_and_an_adjustment_are_answered_likewise(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    wallet = Ledger(api, ada.id)
    price = {"amount_minor": 10_000, "currency": "USD"}
    body = {"user_id": ada.id, "credits": 100, "price": price, "reference": "invoice 7"}

    asking = asyncio.create_task(finance.posts("/api/credits/purchases", body))
    bought = await api.asked(PurchaseRequested)
    lot_id = await wallet.sells(100, 10_000, correlation_id=bought.correlationid)
    lot = await asking
    body = {"user_id": ada.id, "credits": -5, "reason": "by mistake"}
    asking = asyncio.create_task(finance.posts("/api/credits/adjustments", body))
    taken = await api.asked(AdjustmentRequested)
    await wallet.adjusts(
        purchased_slice(lot_id, 0, 5, 100, 10_000), correlation_id=taken.correlationid
    )
    line = await asking

    assert (lot["kind"], lot["price"]) == ("purchase", price)
    assert (bought.data.reference, taken.data.credits) == ("invoice 7", 5)
    assert (line["type"], line["credits"], line["balance_after"]) == ("ADJUSTMENT", -5, 95)


async def test_what_the_ledger_refuses_is_told_with_its_figures(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    body = {"user_id": ada.id, "credits": -5, "reason": "by mistake"}

    asking = asyncio.create_task(finance.asks("POST", "/api/credits/adjustments", body))
    request = await api.asked(AdjustmentRequested)
    await api.tells(
        f"refusal-{request.correlationid}",
        RequestRefused(
            request_id=request.correlationid,
            code="INSUFFICIENT_TOTAL_CREDITS",
            detail="there are not that many",
            details={"required": 5, "available": 0},
        ),
        correlation_id=request.correlationid,
    )
    answer = await asking

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (402, "INSUFFICIENT_TOTAL_CREDITS")
    assert (problem["required"], problem["available"]) == (5, 0)
    asked = await finance.gets(f"/api/requests/{request.correlationid}")
    assert (asked["status"], asked["problem"]["status"]) == ("REFUSED", 402)


async def test_an_answer_that_takes_long_is_asked_after_by_who_may_still_see_it(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    body = {"user_id": ada.id, "credits": 30, "reason": "welcome"}

    answer = await finance.asks("POST", "/api/credits/awards", body)
    location = answer.headers["location"]
    pending = await finance.gets(location)
    request = await api.asked(AwardRequested)
    await Ledger(api, ada.id).awards(30, correlation_id=request.correlationid)
    done = await finance.gets(location)

    assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")
    assert (pending["status"], pending["result"]) == ("PENDING", None)
    assert (done["status"], done["result"]["credits"]) == ("DONE", 30)
    await ada.is_refused("GET", location, status=404, code="NOT_FOUND")

    admin = await api.person("admin")
    await admin.asks("PATCH", f"/api/users/{finance.id}", {"roles": []})
    await finance.is_refused("GET", location, status=403, code="FORBIDDEN")


PATHS: list[tuple[str, dict[str, Any]]] = [
    ("awards", {"credits": 5, "reason": "x"}),
    ("adjustments", {"credits": -5, "reason": "x"}),
    (
        "purchases",
        {"credits": 5, "price": {"amount_minor": 1, "currency": "USD"}, "reference": "x"},
    ),
]


@pytest.mark.parametrize(("path", "body"), PATHS)
async def test_nobody_moves_their_own_credits_and_others_may_not_at_all(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    admin, ada = await api.person("admin"), await api.person()
    where = f"/api/credits/{path}"

    await admin.is_refused(
        "POST", where, {**body, "user_id": admin.id}, status=403, code="SELF_AWARD"
    )
    await ada.is_refused("POST", where, {**body, "user_id": ada.id}, status=403, code="FORBIDDEN")
    problem = await admin.is_refused(
        "POST", where, {**body, "user_id": "nobody"}, status=422, code="UNKNOWN_USER"
    )
    assert problem["errors"][0]["pointer"] == "/user_id"
    assert await api.running.pool.fetchval("select count(*) from requests") == 0


AMOUNTS = [0, 1.5, 5.0, "5", True, None, 10**30]


@pytest.mark.parametrize("amount", [*AMOUNTS, -5], ids=repr)
async def test_only_whole_positive_credits_are_given(api: Api, amount: Any) -> None:
    await _is_no_amount(await api.person("admin"), "awards", {"reason": "x"}, amount)


@pytest.mark.parametrize("amount", [*AMOUNTS, 5], ids=repr)
async def test_only_whole_negative_credits_are_taken(api: Api, amount: Any) -> None:
    await _is_no_amount(await api.person("admin"), "adjustments", {"reason": "x"}, amount)


async def _is_no_amount(admin: Person, path: str, body: dict[str, Any], amount: Any) -> None:
    body = {**body, "user_id": "somebody", "credits": amount}
    problem = await admin.is_refused(
        "POST", f"/api/credits/{path}", body, status=422, code="INVALID_INPUT"
    )
    assert [error["pointer"] for error in problem["errors"]] == ["/credits"]
