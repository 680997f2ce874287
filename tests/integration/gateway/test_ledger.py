"""The ledger as it is: finance and admins read every message of it, and have it checked."""

import asyncio

import asyncpg
import pytest

from contracts.gateway.v1 import LedgerVerificationRequested
from contracts.ledger import v1 as ledger
from tests.integration.gateway.api import Api
from tests.integration.gateway.neighbours import NOON
from tests.integration.gateway.wallets import Ledger
from tests.support.environment import Database

HEAD = f"sha256:{'ab' * 32}"


def verified(request_id: str, first_bad: ledger.Misfit | None = None) -> ledger.LedgerVerified:
    return ledger.LedgerVerified(
        request_id=request_id,
        events=12,
        head=HEAD,
        segments=1,
        sealed=9,
        ok=first_bad is None,
        first_bad=first_bad,
        verified_at=NOON,
    )


async def test_every_message_of_the_ledger_is_listed_in_its_order_and_page_by_page(
    api: Api,
) -> None:
    finance, ada = await api.person("finance"), await api.person()
    wallet = Ledger(api, ada.id)
    for number in range(1, 6):
        await wallet.awards(number)
    first = await finance.gets("/api/ledger/events", limit=2)
    second = await finance.gets("/api/ledger/events", limit=2, after=first["next_after"])
    third = await finance.gets("/api/ledger/events", limit=2, after=second["next_after"])
    items = [*first["items"], *second["items"], *third["items"]]
    assert [item["data"]["lot"]["credits"] for item in items] == [1, 2, 3, 4, 5]
    assert [item["sequence"] for item in items] == [1, 2, 3, 4, 5]
    assert {item["type"] for item in items} == {"tollgate.ledger.credits_awarded.v1"}
    assert [first["more"], second["more"], third["more"]] == [True, True, False]
    await wallet.awards(6)
    later = await finance.gets("/api/ledger/events", after=third["next_after"])
    assert [item["data"]["lot"]["credits"] for item in later["items"]] == [6]
    assert (await finance.gets("/api/ledger/events", after=later["next_after"]))["items"] == []


async def test_the_messages_of_one_user_are_listed_alone(api: Api) -> None:
    finance, ada, bob = await api.person("finance"), await api.person(), await api.person()
    await Ledger(api, ada.id).awards(1)
    await Ledger(api, bob.id).awards(2)
    items = (await finance.gets("/api/ledger/events", user_id=bob.id))["items"]
    assert [(item["user_id"], item["stream"]) for item in items] == [(bob.id, f"wallet-{bob.id}")]


async def test_an_attested_month_is_among_the_messages(api: Api) -> None:
    finance = await api.person("finance")
    attested = ledger.PeriodAttested(
        period="2026-02", since=NOON, until=NOON, facts=3, facts_by_kind={"hold_settled": 3},
        recognized_minor=5, reversed_minor=0, ledger_facts=3, ledger_streams=1, head=HEAD,
        verified_facts=3, attested_at=NOON,
    )  # fmt: skip
    await api.tells("period-2026-02", attested)
    [item] = (await finance.gets("/api/ledger/events"))["items"]
    assert (item["stream"], item["user_id"], item["data"]["facts"]) == ("period-2026-02", None, 3)


async def test_a_page_ends_before_what_a_transaction_still_open_may_precede(
    api: Api, gateway_database: Database
) -> None:
    """A row that commits late has an earlier position: who went past it would never see it."""
    finance, ada = await api.person("finance"), await api.person()
    slow = await asyncpg.connect(gateway_database.dsn)
    try:
        async with slow.transaction():
            await slow.execute(
                """insert into ledger_events (id, stream, sequence, type, at, correlation_id, data)
                   values ('slow', 'wallet-x', 1, 't', now(), 'c', '{}')"""
            )
            await Ledger(api, ada.id).awards(1)
            assert (await finance.gets("/api/ledger/events"))["items"] == []
    finally:
        await slow.close()
    items = (await finance.gets("/api/ledger/events"))["items"]
    assert items[0]["id"] == "slow"
    assert len(items) == 2


async def test_a_verification_is_asked_for_and_answered(api: Api) -> None:
    finance = await api.person("finance")
    asking = asyncio.create_task(finance.posts("/api/ledger/verify", None, status=200))
    request_id = (await api.asked(LedgerVerificationRequested)).correlationid
    await api.tells(f"verification-{request_id}", verified(request_id), correlation_id=request_id)
    answer = await asking
    assert (answer["ok"], answer["first_bad"]) == (True, None)
    assert (answer["events"], answer["head"]) == (12, HEAD.removeprefix("sha256:"))


async def test_what_does_not_fit_is_named_and_a_long_verification_is_answered_later(
    api: Api,
) -> None:
    finance = await api.person("finance")
    pending = await finance.posts("/api/ledger/verify", None, status=202)
    assert pending["status"] == "PENDING"
    bad = ledger.Misfit(place="facts", stream="wallet-x", version=7, problem="it was changed")
    request_id = pending["id"]
    told = verified(request_id, bad)
    await api.tells(f"verification-{request_id}", told, correlation_id=request_id)
    found = await finance.gets(f"/api/requests/{request_id}")
    assert found["status"] == "DONE"
    assert found["result"]["ok"] is False
    assert found["result"]["first_bad"] == bad.model_dump()


@pytest.mark.parametrize("role", ["user", "partner", "agent", "support"])
@pytest.mark.parametrize("call", ["events", "totals", "verify"])
async def test_nobody_else_may_look_at_the_ledger(api: Api, role: str, call: str) -> None:
    person = await api.person(role)
    method = "POST" if call == "verify" else "GET"
    await person.is_refused(method, f"/api/ledger/{call}", status=403, code="FORBIDDEN")


async def test_what_is_no_event_of_the_ledger_is_refused(api: Api) -> None:
    finance = await api.person("finance")
    path = "/api/ledger/events?after=nothing"
    await finance.is_refused("GET", path, status=422, code="INVALID_INPUT")


async def test_the_totals_of_all_wallets_are_told_as_of_an_instant(api: Api) -> None:
    finance, ada, bob = await api.person("finance"), await api.person(), await api.person()
    await Ledger(api, ada.id).awards(100)
    await Ledger(api, bob.id).sells(50, 5_000)

    now = await finance.gets("/api/ledger/totals")
    before = await finance.gets("/api/ledger/totals", as_of="2020-01-01")

    same = ("wallets", "awarded", "purchased", "total", "held", "available")
    assert [now[name] for name in same] == [2, 100, 50, 150, 0, 150]
    assert [before[name] for name in same] == [0, 0, 0, 0, 0, 0]
    assert before["as_of"] == "2020-01-01T00:00:00Z"
