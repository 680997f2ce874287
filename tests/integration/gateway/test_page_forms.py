"""What is sent to pages and is no form of ours, or names nothing, is refused; nothing breaks."""

import asyncio
from typing import Any, Final
from urllib.parse import quote

from contracts.gateway.v1 import AwardRequested, LedgerVerificationRequested
from contracts.ledger.v1 import RequestRefused
from services.gateway.web.looking import LOOKS_MAX
from services.gateway.web.routes import page_routes
from tests.integration.gateway.api import Api, Person, running_api
from tests.integration.gateway.neighbours import ROLES
from tests.integration.gateway.test_ledger import verified
from tests.integration.gateway.test_statements import closed
from tests.integration.gateway.wallets import Ledger
from tests.support.environment import Database

ACCEPT: Final = {"Accept": "text/html"}
NO_IDS: Final = [
    quote(each, safe="").replace(".", "%2E")
    for each in ("stats", "a b", "..", "x" * 65, "ä", "a?scope=all", "a#b", "a\n", "{}", "None")
]
AWARD: Final = {"credits": "5", "reason": "thanks"}


async def shown(person: Person, path: str, *, status: int) -> str:
    answer = await person.asks("GET", path, headers=ACCEPT)
    assert answer.status_code == status, f"{path}: {answer.text}"
    return " ".join(answer.text.split())


async def sent(person: Person, path: str, *, status: int, **fields: Any) -> str:
    answer = await person.asks("POST", path, data=fields, headers=ACCEPT)
    assert answer.status_code == status, f"{path}: {answer.text}"
    return " ".join(answer.text.split())


async def test_a_purchase_is_confirmed_in_the_currency_of_the_platform(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    path = f"/billing/credits/{ada.id}/purchase"
    form = {"credits": "5", "reference": "INV-1"}
    for currency, price, said in (("JPY", "1200", "1,200 JPY"), ("KWD", "1.234", "1.234 KWD")):
        changed = await admin.asks("PATCH", "/api/settings", {"currency": currency})
        assert changed.status_code == 200, changed.text
        page = await sent(admin, path, status=200, **form, price=price)
        assert "This is what will be done" in page
        assert said in page
        page = await sent(admin, path, status=422, **form, price="1.23456")
        assert f"is no amount of {currency}" in page
    await admin.asks("PATCH", "/api/settings", {"currency": "JPY"})
    assert "is no amount of JPY" in await sent(admin, path, status=422, **form, price="1.50")


async def test_a_day_that_is_none_is_told_before_anything_is_confirmed(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    path = f"/billing/credits/{ada.id}/award"
    for day in ("tomorrow", "2030-02-30", "2030-12-31T00:00:00Z", "20301231", "2030-12-31\n\n1"):
        page = await sent(finance, path, status=422, **AWARD, expires_at=day)
        assert "is no date: 2026-12-31" in page
    page = await sent(finance, path, status=200, **AWARD, expires_at="2030-12-31")
    assert "is gone on 31 December 2030" in page
    form = {**AWARD, "expires_at": "2030-12-31", "confirmed": "yes"}
    asking = asyncio.create_task(sent(finance, path, status=303, **form))
    request = await api.asked(AwardRequested)
    assert (request.data.credits, request.data.user_id) == (5, ada.id)
    await Ledger(api, ada.id).awards(5, correlation_id=request.correlationid)
    await asking


async def test_what_is_no_id_is_a_page_that_is_not_there(api: Api) -> None:
    everybody = await api.person(*ROLES)
    tried = 0
    for route in page_routes():
        names = [name for name in route.param_convertors if name.endswith(("id", "module"))]
        if not names or "user_id" in names or route.path.startswith("/static/"):
            continue
        for bad in NO_IDS:
            path = route.path.format(
                **dict.fromkeys(names, quote(bad, safe="").replace(".", "%2E"))
            )
            tried += 1
            if "GET" in (route.methods or ()):
                await shown(everybody, path, status=404)
            else:
                await sent(everybody, path, status=404, what="activate")
    assert tried > 100


async def test_a_refund_is_of_a_deployment_of_that_user(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    path = f"/billing/credits/{ada.id}/refund"
    for deployment_id in ("stats", "../users", "x?scope=all", "no-such"):
        form = {"deployment_id": deployment_id, "reason": "it was down"}
        for confirmed in ({}, {"confirmed": "yes"}):
            page = await sent(finance, path, status=422, **form, **confirmed)
            assert "is no deployment of this user" in page


async def test_a_user_is_deactivated_only_where_the_form_says_so(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    path = f"/users/{ada.id}"
    for what in ({}, {"what": ""}, {"what": "roless"}):
        await sent(admin, path, status=422, **what)
    assert (await admin.gets(f"/api/users/{ada.id}"))["active"] is True
    await sent(admin, path, status=303, what="deactivate")
    assert (await admin.gets(f"/api/users/{ada.id}"))["active"] is False


async def test_what_others_are_to_call_has_the_platforms_own_address(
    gateway_database: Database,
) -> None:
    public = "http://tollgate.example.org"
    async with running_api(gateway_database, public_url=public) as api:
        person = await api.person("admin", "agent")
        assert f"{public}/api/hooks/github" in await shown(person, "/settings", status=200)
        assert f"{public}/signup?ref=" in await shown(person, "/profile", status=200)


async def test_a_page_that_waits_for_a_verification_stops_looking_by_itself(api: Api) -> None:
    finance = await api.person("finance")
    answer = await finance.asks("POST", "/ledger/verify", data={"key": "once"})
    path = answer.headers["location"]
    first = await shown(finance, path, status=200)
    assert f'hx-get="{path}&amp;look=1" hx-trigger="load delay:2s"' in first
    last = await shown(finance, f"{path}&look={LOOKS_MAX}", status=200)
    assert "hx-trigger" not in last[last.index('id="verification"') :]
    assert f'has stopped looking by itself. <a href="{path}">Look again</a>' in last


async def test_a_verification_that_is_done_at_once_is_shown_at_once(api: Api) -> None:
    finance = await api.person("finance")
    path = "/ledger/verify"
    assert "Verify the ledger" in await shown(finance, path, status=200)
    asking = asyncio.create_task(sent(finance, path, status=200, key="once"))
    request_id = (await api.asked(LedgerVerificationRequested)).correlationid
    await api.tells(f"verification-{request_id}", verified(request_id), correlation_id=request_id)
    assert "Everything fits." in await asking

    asking = asyncio.create_task(sent(finance, path, status=409, key="twice"))
    request_id = (await api.asked(LedgerVerificationRequested, after=1)).correlationid
    refusal = RequestRefused(request_id=request_id, code="NOT_NOW", detail="later", details={})
    await api.tells(f"refusal-{request_id}", refusal, correlation_id=request_id)
    assert "later" in await asking


async def test_a_month_is_found_however_long_ago_it_was(api: Api) -> None:
    finance = await api.person("finance")
    months = [f"{year}-{month:02}" for year in range(2010, 2020) for month in range(1, 13)]
    for period in months[:101]:
        await api.tells(f"month-{period}", closed(period))
    assert "1.30 USD" in await shown(finance, f"/billing/close/{months[0]}", status=200)
    found = await finance.gets("/api/revenue/periods", period=months[0])
    assert [each["period"] for each in found["items"]] == [months[0]]
    assert (await finance.gets("/api/revenue/periods", period="2035-01"))["items"] == []
