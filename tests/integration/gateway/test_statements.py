"""Months are closed over the API, and each payee sees the statements of their own."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.events import Problem
from contracts.gateway.v1 import PeriodCloseRequested
from contracts.ledger.v1 import PeriodAttested
from contracts.revenue import v1 as revenue
from contracts.types import Money
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import NOON, earns, loses
from tests.integration.gateway.wallets import Ledger, purchased_slice

MONTH = f"{NOON:%Y-%m}"
SINCE = datetime(NOON.year, NOON.month, 1, tzinfo=UTC)
UNTIL = datetime(NOON.year, NOON.month + 1, 1, tzinfo=UTC)
DIGEST = f"sha256:{'cd' * 32}"


def usd(amount: int) -> Money:
    return Money(amount_minor=amount, currency="USD")


async def seals(api: Api, payee: str, *, period: str = MONTH, **changes: Any) -> str:
    """Have revenue seal a statement, by default of a share of 3.00 and half of it taken back."""
    statement_id = f"{period}-{payee}"
    values: dict[str, Any] = {
        "opening": usd(-20),
        "accrued": usd(300),
        "reversed": usd(-150),
        "adjustments": usd(0),
        "balance": usd(130),
        "disputed": usd(0),
        "payable": usd(130),
        "carried_forward": usd(0),
        "lines": 2,
        "first_sequence": 1,
        "last_sequence": 2,
    }
    sealed = revenue.StatementClosed(
        statement_id=statement_id,
        payee_id=payee,
        period=period,
        lines_digest=DIGEST,
        closed_by="fred",
        closed_at=NOON,
        **({"since": SINCE, "until": UNTIL} | values | changes),
    )
    await api.tells(f"statement-{statement_id}", sealed)
    return statement_id


async def a_share_and_half_of_it_taken_back(api: Api, partner: Person) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    lot = await wallet.sells(100, 10_000)
    slices = (purchased_slice(lot, 0, 10, 100, 10_000),)
    hold = await wallet.holds("d-1", slices, partner_id=partner.id)
    await wallet.settles(hold)
    await earns(api, hold, true_revenue=1_000, partner_share=300)
    await loses(api, hold, true_revenue=-500, partner_share=-150, purchased=-5, left=5)


def closed(period: str = MONTH) -> revenue.PeriodClosed:
    return revenue.PeriodClosed(
        period=period,
        statements=1,
        payable_minor=130,
        recognized_minor=1_000,
        reversed_minor=500,
        verified_facts=9,
        closed_by="fred",
        closed_at=NOON,
    )


async def test_a_month_is_asked_to_be_closed_and_shown_as_closed(api: Api) -> None:
    finance = await api.person("finance")
    asking = asyncio.create_task(finance.posts(f"/api/revenue/periods/{MONTH}/close", None))
    request = await api.asked(PeriodCloseRequested)
    assert (request.data.period, request.data.requested_by) == (MONTH, finance.id)
    await api.tells(f"month-{MONTH}", closed(), correlation_id=request.correlationid)
    answer = await asking
    assert (answer["period"], answer["statements"], answer["verified_facts"]) == (MONTH, 1, 9)
    assert answer["payable"] == {"amount_minor": 130, "currency": "USD"}
    assert answer["closed_at"] is not None


async def test_all_that_keeps_a_month_open_is_told(api: Api) -> None:
    finance = await api.person("finance")
    path = f"/api/revenue/periods/{MONTH}/close"
    asking = asyncio.create_task(
        finance.is_refused("POST", path, status=409, code="PERIOD_NOT_CLOSABLE")
    )
    request_id = (await api.asked(PeriodCloseRequested)).correlationid
    reasons = [("FACTS_DIFFER", "1 of 2 were applied"), ("MESSAGES_WAIT", "1 message waits")]
    refused = revenue.RequestRefused(
        request_id=request_id,
        code="PERIOD_NOT_CLOSABLE",
        detail="it cannot be closed",
        errors=tuple(Problem(pointer="/period", message=text, code=code) for code, text in reasons),
        details={},
    )
    await api.tells(f"refusal-{request_id}", refused, correlation_id=request_id)
    errors = (await asking)["errors"]
    assert [(each["code"], each["message"]) for each in errors] == reasons


@pytest.mark.parametrize("period", ["2026-13", "0000-01", "9999-12", "2026-1", "26-01", "today"])
async def test_what_is_no_month_cannot_be_closed(api: Api, period: str) -> None:
    admin = await api.person("admin")
    path = f"/api/revenue/periods/{period}/close"
    await admin.is_refused("POST", path, status=422, code="INVALID_INPUT")


async def test_payees_see_their_own_statements_and_finance_all(api: Api) -> None:
    finance, pia, arno = (
        await api.person("finance"),
        await api.person("partner"),
        await api.person("agent"),
    )
    for payee in (pia, arno):
        await seals(api, payee.id)
    await seals(api, pia.id, period="2026-01")

    async def listed(person: Person, **filters: str) -> list[str]:
        page = await person.gets("/api/revenue/statements", **filters)
        return sorted(item["id"] for item in page["items"])

    theirs = sorted([f"{MONTH}-{pia.id}", f"2026-01-{pia.id}"])
    assert await listed(pia) == theirs
    assert await listed(pia, period=MONTH) == [f"{MONTH}-{pia.id}"]
    assert await listed(pia, payee_id=arno.id) == []
    assert await listed(arno) == [f"{MONTH}-{arno.id}"]
    assert len(await listed(finance)) == 3
    assert await listed(finance, payee_id=pia.id) == theirs
    first = await finance.gets("/api/revenue/statements", limit=2)
    rest = await finance.gets("/api/revenue/statements", limit=2, cursor=first["next_cursor"])
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [2, 1, None]
    path = f"/api/revenue/statements/{MONTH}-{arno.id}"
    await pia.is_refused("GET", path, status=404, code="NOT_FOUND")
    nobodys = f"/api/revenue/statements/{MONTH}-nobody"
    await finance.is_refused("GET", nobodys, status=404, code="NOT_FOUND")


async def test_a_statement_opens_to_its_lines_page_by_page_and_as_csv(api: Api) -> None:
    pia = await api.person("partner")
    await a_share_and_half_of_it_taken_back(api, pia)
    path = f"/api/revenue/statements/{await seals(api, pia.id)}"

    shown = await pia.gets(path, limit=1)
    assert (shown["balance"]["amount_minor"], shown["line_count"]) == (130, 2)
    assert shown["lines_digest"] == DIGEST
    rest = await pia.gets(path, limit=1, cursor=shown["next_cursor"])
    lines = [*shown["lines"], *rest["lines"]]
    assert [line["sequence"] for line in lines] == [1, 2]
    assert [line["share"]["amount_minor"] for line in lines] == [300, -150]
    assert [line["reverses"] for line in lines] == [None, 1]
    assert rest["next_cursor"] is None

    answer = await pia.asks("GET", path, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["share_minor"]) for row in rows] == [300, -150]


async def test_lines_of_other_months_are_not_a_statements(api: Api) -> None:
    """Wallets are not ordered among each other: another month's line may stand in between."""
    pia = await api.person("partner")
    await a_share_and_half_of_it_taken_back(api, pia)
    statement_id = f"2026-01-{pia.id}"
    january = datetime(2026, 1, 1, tzinfo=UTC)
    await seals(api, pia.id, period="2026-01", since=january, until=january.replace(month=2))
    assert (await pia.gets(f"/api/revenue/statements/{statement_id}"))["lines"] == []


async def test_months_are_listed_with_how_they_stand(api: Api) -> None:
    finance = await api.person("finance")
    attested = PeriodAttested(
        period=MONTH, since=SINCE, until=UNTIL, facts=3, facts_by_kind={"hold_settled": 3},
        recognized_minor=1_000, reversed_minor=500, ledger_facts=3, ledger_streams=1, head=DIGEST,
        verified_facts=3, attested_at=NOON,
    )  # fmt: skip
    await api.tells(f"period-{MONTH}", attested)
    [open_month] = (await finance.gets("/api/revenue/periods"))["items"]
    assert (open_month["closed_at"], open_month["recognized"]["amount_minor"]) == (None, 1_000)
    await api.tells(f"month-{MONTH}", closed())
    [month] = (await finance.gets("/api/revenue/periods"))["items"]
    assert (month["attested_at"], month["payable"]["amount_minor"]) == (
        open_month["attested_at"],
        130,
    )
