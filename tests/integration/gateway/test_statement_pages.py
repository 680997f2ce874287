"""Statements and closed months as pages: what nobody can wait for in a browser, a month's end."""

import asyncio

from contracts.events import Problem
from contracts.gateway.v1 import PeriodCloseRequested
from contracts.revenue import v1 as revenue
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.test_statements import (
    MONTH,
    a_share_and_half_of_it_taken_back,
    closed,
    seals,
)


async def page(person: Person, path: str, *, status: int = 200) -> str:
    answer = await person.asks("GET", path, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text
    return " ".join(answer.text.split())


async def test_a_payee_reads_a_statement_with_its_lines_and_another_does_not(api: Api) -> None:
    partner, other = await api.person("partner"), await api.person("partner")
    await a_share_and_half_of_it_taken_back(api, partner)
    statement_id = await seals(api, partner.id)

    listed = await page(partner, "/revenue/statements")
    shown = await page(partner, f"/revenue/statements/{statement_id}")
    file = await partner.asks("GET", f"/revenue/statements/{statement_id}.csv")

    assert f'href="/revenue/statements/{statement_id}">{MONTH}</a>' in listed
    assert '<th scope="row">Payable</th><td class="amount">1.30 USD</td>' in shown
    assert "takes back of line 1" in shown
    assert "3.00 USD" in shown
    assert file.headers["content-type"].startswith("text/csv")
    assert file.headers["content-disposition"] == (
        f'attachment; filename="statement-{statement_id}.csv"'
    )
    assert len(file.text.splitlines()) == 3
    assert "There is no such page" in await page(
        other, f"/revenue/statements/{statement_id}", status=404
    )
    refused = await other.asks("GET", f"/revenue/statements/{statement_id}.csv")
    assert (refused.status_code, refused.headers["content-type"]) == (
        404,
        "text/html; charset=utf-8",
    )


async def test_a_month_is_closed_only_once_that_is_confirmed(api: Api) -> None:
    finance, partner = await api.person("finance"), await api.person("partner")
    form = {"period": MONTH, "key": "close"}
    first = await finance.asks("POST", "/billing/close", data=form)
    assert first.status_code == 200
    assert "nothing changes" in first.text

    confirmed = form | {"confirmed": "yes"}
    asking = asyncio.create_task(finance.asks("POST", "/billing/close", data=confirmed))
    request = await api.asked(PeriodCloseRequested)
    await seals(api, partner.id)
    await api.tells(f"month-{MONTH}", closed(), correlation_id=request.correlationid)
    answer = await asking

    assert (answer.status_code, answer.headers["location"]) == (303, f"/billing/close/{MONTH}")
    shown = await page(finance, f"/billing/close/{MONTH}")
    assert "1.30 USD" in shown
    assert f"/revenue/statements/{MONTH}-{partner.id}" in shown


async def test_an_examination_that_takes_long_is_followed_to_what_stands_in_the_way(
    api: Api,
) -> None:
    finance = await api.person("finance")
    form = {"period": MONTH, "key": "close", "confirmed": "yes"}
    asked = await finance.asks("POST", "/billing/close", data=form)
    path = asked.headers["location"]
    assert (asked.status_code, path.partition("&")[0]) == (303, f"/billing/close?period={MONTH}")
    waiting = await page(finance, path)
    assert f"{MONTH} is being examined" in waiting
    assert "look=1" in waiting
    last = await page(finance, f"{path}&look=60")
    assert "has stopped looking by itself" in last
    assert "look=61" not in last

    request_id = (await api.asked(PeriodCloseRequested)).correlationid
    refused = revenue.RequestRefused(
        request_id=request_id,
        code="PERIOD_NOT_CLOSABLE",
        detail="it cannot be closed",
        errors=(Problem(pointer="/period", message="1 message waits", code="MESSAGES_WAIT"),),
        details={},
    )
    await api.tells(f"refusal-{request_id}", refused, correlation_id=request_id)
    told = await page(finance, path)
    assert f"{MONTH} cannot be closed yet." in told
    assert "1 message waits" in told
    assert "is being examined" not in told
    assert "look=1" not in told
