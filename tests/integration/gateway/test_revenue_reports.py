"""Reports of revenue: reversals and disputes, sums that are those of the pages, CSV, summaries."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import NOON, earns, loses
from tests.integration.gateway.wallets import Ledger, purchased_slice

APRIL = datetime(2026, 4, 1, tzinfo=UTC)


class Books:
    """Two partners, a user, and what was earned and lost of them."""

    finance: Person
    pia: Person
    paul: Person
    ada: Person
    wallet: Ledger
    lot: str


@pytest_asyncio.fixture
async def books(api: Api) -> Books:
    """Five settlements of 10.00 each, of which one is refunded by half in April."""
    made = Books()
    made.finance, made.ada = await api.person("finance"), await api.person()
    made.pia, made.paul = await api.person("partner"), await api.person("partner")
    made.wallet = Ledger(api, made.ada.id)
    made.lot = await made.wallet.sells(100, 10_000)
    for number in range(5):
        partner = made.pia if number < 3 else made.paul
        hold = await made.wallet.holds(
            f"d-{number}",
            (purchased_slice(made.lot, number * 10, number * 10 + 10, 100, 10_000),),
            partner_id=partner.id,
        )
        await made.wallet.settles(hold)
        await earns(api, hold, true_revenue=1_000, partner_share=300)
        if number == 0:
            await loses(
                api,
                hold,
                true_revenue=-500,
                partner_share=-150,
                purchased=-5,
                left=5,
                at=APRIL + timedelta(hours=1),
            )
    return made


async def all_pages(person: Person, **filters: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(20):
        got = await person.gets("/api/revenue/modules", limit=2, **filters, **cursor)
        items += got["items"]
        assert got["totals"] == (await person.gets("/api/revenue/modules", **filters))["totals"]
        if got["next_cursor"] is None:
            return items
        cursor = {"cursor": got["next_cursor"]}
    raise AssertionError("the pages have no end")


async def test_a_reversal_is_a_row_of_its_own_in_its_own_month(books: Books) -> None:
    march = await books.pia.gets("/api/revenue/modules", to="2026-03-31")
    april = await books.pia.gets("/api/revenue/modules", **{"from": "2026-04-01"})

    assert march["totals"]["revenue"]["amount_minor"] == 900
    [row] = april["items"]
    assert (row["deployment_id"], row["line"], row["reverses"]) == ("d-0", 2, 1)
    assert (row["kind"], row["status"]) == ("settlement_refunded", "PAYABLE")
    assert row["true_revenue"]["amount_minor"] == -500
    assert april["totals"]["revenue"]["amount_minor"] == -150


FILTERS = [
    {},
    {"from": "2026-03-01", "to": "2026-03-31"},
    {"from": "2026-03-01T11:59:59Z", "to": "2026-03-01T12:00:01Z"},
    {"from": "2026-03-01T12:00:00Z", "to": "2026-04-01T00:30:00Z"},
    {"from": "2026-03-01T12:00:01Z", "to": "2026-04-30"},
    {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:00:00Z"},
    {"module_id": "m-1"},
    {"module_id": "m-9"},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
async def test_totals_are_the_sums_of_all_pages(books: Books, filters: dict[str, str]) -> None:
    for person in (books.finance, books.pia):
        rows = await all_pages(person, **filters)
        totals = (await person.gets("/api/revenue/modules", **filters))["totals"]

        assert totals["lines"] == len(rows)
        for name in ("credit_cost", "purchased_credits"):
            assert totals[name] == sum(row[name] for row in rows)
        for name in ("true_revenue", "revenue"):
            assert totals[name]["amount_minor"] == sum(row[name]["amount_minor"] for row in rows)


async def test_what_a_disputed_purchase_earned_is_not_payable_until_it_is_won(
    books: Books,
) -> None:
    await books.wallet.disputed(books.lot)
    during = await books.finance.gets("/api/revenue/modules")
    await books.wallet.cleared(books.lot)
    after = await books.finance.gets("/api/revenue/modules")

    assert {row["status"] for row in during["items"]} == {"DISPUTED"}
    assert {row["status"] for row in after["items"]} == {"PAYABLE"}
    assert during["totals"] == after["totals"]


async def test_a_line_of_which_nothing_is_left_is_reversed_and_so_is_what_took_it(
    api: Api, books: Books
) -> None:
    hold = await books.wallet.holds(
        "d-9", (purchased_slice(books.lot, 60, 70, 100, 10_000),), partner_id=books.pia.id
    )
    await books.wallet.settles(hold)
    await earns(api, hold, true_revenue=1_000, partner_share=300)
    await loses(api, hold, true_revenue=-1_000, partner_share=-300, purchased=-10, left=0)

    rows = (await books.pia.gets("/api/revenue/modules"))["items"]
    assert {row["status"] for row in rows if row["deployment_id"] == "d-9"} == {"REVERSED"}
    assert {row["status"] for row in rows if row["deployment_id"] != "d-9"} == {"PAYABLE"}


async def csv_of(person: Person, path: str, **parameters: str) -> list[dict[str, str]]:
    answer = await person.asks("GET", path, params=parameters, headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    text = answer.content.decode()
    assert text.count("\n") == text.count("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_csv_has_all_lines_that_the_filters_leave(books: Books) -> None:
    everything = await csv_of(books.finance, "/api/revenue/modules")
    own = await csv_of(books.pia, "/api/revenue/modules", to="2026-03-31")
    hidden = await csv_of(books.pia, "/api/revenue/modules", partner_id=books.paul.id)

    assert len(everything) == 6
    assert sum(int(row["true_revenue_minor"]) for row in everything) == 4_500
    assert [row["deployment_id"] for row in own] == ["d-0", "d-1", "d-2"]
    assert own[0]["recognized_at"] == f"{NOON:%Y-%m-%dT%H:%M:%S}Z"
    assert own[0]["reverses"] == ""
    assert hidden == []


async def test_no_cell_of_text_is_a_formula_and_negative_numbers_stay_numbers(
    api: Api, books: Books
) -> None:
    await api.running.pool.execute(
        """update revenue_lines set module_name = '=cmd|'' /C calc''!A0, "x"' || chr(10) || 'y'
           where deployment_id = 'd-0'"""
    )
    await books.ada.asks("PATCH", "/api/me", {"name": "@SUM(A1)"})
    rows = await csv_of(books.finance, "/api/revenue/modules")

    named = [row for row in rows if row["deployment_id"] == "d-0"]
    assert {row["module_name"] for row in named} == {"'=cmd|' /C calc'!A0, \"x\" y"}
    assert named[-1]["true_revenue_minor"] == "-500"
    users = await csv_of(books.finance, "/api/revenue/users")
    assert "'@SUM(A1)" in {row["name"] for row in users}


async def test_csv_of_users_has_every_user(books: Books) -> None:
    rows = await csv_of(books.finance, "/api/revenue/users")

    assert len(rows) == 4
    assert {row["email"]: row["true_revenue_minor"] for row in rows}[books.ada.email] == "4500"
    assert {row["currency"] for row in rows} == {"USD"}


async def test_a_summary_groups_what_may_be_seen(books: Books) -> None:
    months = await books.finance.gets("/api/revenue/summary", group_by="month")
    partners = await books.finance.gets("/api/revenue/summary", group_by="partner")
    own = await books.pia.gets("/api/revenue/summary", group_by="day")

    assert [(g["key"], g["true_revenue"]["amount_minor"]) for g in months["items"]] == [
        ("2026-04", -500),
        ("2026-03", 5_000),
    ]
    assert [(g["key"], g["share"]["amount_minor"]) for g in partners["items"]] == [
        (books.pia.id, 750),
        (books.paul.id, 600),
    ]
    assert [(g["key"], g["share"]["amount_minor"]) for g in own["items"]] == [
        ("2026-04-01", -150),
        ("2026-03-01", 900),
    ]
    assert own["totals"]["share"]["amount_minor"] == 750
    assert own["totals"]["agent_share"] is None


async def test_groups_of_others_are_nobody_elses_business(api: Api, books: Books) -> None:
    agent = await api.person("agent")
    for person, group_by in (
        *((books.ada, "month"), (books.pia, "agent")),
        *((agent, "partner"), (agent, "module")),
    ):
        await person.is_refused(
            "GET", f"/api/revenue/summary?group_by={group_by}", status=403, code="FORBIDDEN"
        )
    own = await books.pia.gets("/api/revenue/summary", group_by="partner")
    assert [group["key"] for group in own["items"]] == [books.pia.id]


async def test_a_summary_is_of_one_module_or_partner_where_asked(api: Api, books: Books) -> None:
    modules = (await books.pia.gets("/api/revenue/summary", group_by="module"))["items"]
    of_module = {"group_by": "day", "module_id": modules[0]["key"]}
    agent = await api.person("agent")

    async def lines(person: Person, **filters: Any) -> int:
        found: int = (await person.gets("/api/revenue/summary", **filters))["totals"]["lines"]
        return found

    assert await lines(books.pia, **of_module) == modules[0]["lines"] == 4
    assert await lines(books.finance, partner_id=books.paul.id) == 2
    assert await lines(books.finance, module_id="another") == 0
    assert await lines(books.pia, partner_id=books.paul.id) == 0
    assert await lines(agent, **of_module) == 0
    partners = (await books.finance.gets("/api/revenue/summary", group_by="partner"))["items"]
    assert [group["name"] for group in partners] == [books.pia.email, books.paul.email]


@pytest.mark.parametrize("path", ["modules", "users", "summary"])
async def test_a_period_that_ends_before_it_begins_is_refused(books: Books, path: str) -> None:
    for day in ("2026-05-02", "2026-05-03"):
        address = f"/api/revenue/{path}?from={day}&to=2026-05-01"
        await books.finance.is_refused("GET", address, status=422, code="INVALID_INPUT")
