"""Months are closed on a real database: sealed once, refused with reasons, adjusted later."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from services.revenue.closing import Examine, NotExaminedError, close_wanted
from services.revenue.examination import examine
from services.revenue.months import Examined
from tests.integration.revenue.conftest import Revenue
from tests.integration.revenue.settlements import (
    EMPTY,
    JUNE,
    MAY,
    Wallet,
    hold,
    purchased,
    settled,
)

JULY = datetime(2026, 7, 4, 12, tzinfo=UTC)
AHEAD = timedelta(hours=1)


@dataclass
class Finance:
    """Attests months as the ledger does, and asks for them to be closed."""

    revenue: Revenue
    asked: int = 0
    told: set[str] = field(default_factory=set)

    async def attest(
        self, period: str, *, recognized: int, reversed_: int = 0, **facts: int
    ) -> None:
        """Say what a month came to; with the facts that concern nobody here."""
        since = datetime.fromisoformat(f"{period}-01").replace(tzinfo=UTC)
        await self.revenue.take(
            Wallet(period, kind="period").says(
                ledger.PeriodAttested(
                    period=period,
                    since=since,
                    until=since + timedelta(days=31),
                    facts=sum(facts.values()) + 7,
                    facts_by_kind=facts | {"hold_placed": 7},
                    recognized_minor=recognized,
                    reversed_minor=reversed_,
                    ledger_facts=20,
                    ledger_streams=2,
                    head=f"sha256:{'0' * 64}",
                    verified_facts=20,
                    attested_at=since + timedelta(days=31),
                )
            )
        )

    async def close(
        self, period: str, *, in_time: bool = True, examining: Examine | None = None
    ) -> list[dict[str, Any]]:
        """Ask for a month to be closed, and return what is published upon it."""
        self.asked += 1
        now = self.revenue.running.clock.now()
        request = gateway.PeriodCloseRequested(
            request_id=f"close-{self.asked}",
            requested_by="fred",
            requested_at=now,
            expires_at=now + AHEAD if in_time else now,
            period=period,
        )
        before = len(await self.revenue.published())
        await self.revenue.take(Wallet(request.request_id, kind="request").says(request))
        how = examining or partial(examine, self.revenue.dsn)
        await close_wanted(self.revenue.running, how)
        return (await self.revenue.published())[before:]


@pytest.fixture
def finance(revenue: Revenue) -> Finance:
    return Finance(revenue)


def refunded(record: ledger.Hold, start: int, end: int, at: datetime) -> ledger.SettlementRefunded:
    return ledger.SettlementRefunded(
        user_id=record.user_id,
        balance=EMPTY,
        refund_id=f"refund-{start}-{end}",
        hold=record,
        slices=(purchased(start, end),),
        debt_cancelled=(),
        credits=Credits(end - start),
        refunded_total=Credits(end - start),
        reason="it broke",
        refunded_by="fred",
        refunded_at=at,
    )


def minor(message: dict[str, Any], *names: str) -> list[int]:
    return [message["data"][name]["amount_minor"] for name in names]


def codes(messages: list[dict[str, Any]]) -> list[str]:
    [refusal] = messages
    assert refusal["data"]["code"] == "PERIOD_NOT_CLOSABLE"
    return [error["code"] for error in refusal["data"]["errors"]]


async def test_a_month_is_closed_with_a_statement_for_each_payee(
    revenue: Revenue, finance: Finance
) -> None:
    wallet = Wallet()
    record = hold(purchased(0, 20), deployment="d1", partner="pia", agent="arno")
    await revenue.take(
        wallet.says(settled(record)),
        wallet.says(settled(hold(purchased(20, 30), deployment="d2", partner="pia"), at=JUNE)),
    )
    await finance.attest("2026-05", recognized=2_000, hold_settled=1)

    *statements, closed = await finance.close("2026-05")

    assert [m["subject"] for m in statements] == ["statement-2026-05-arno", "statement-2026-05-pia"]
    assert minor(statements[1], "opening", "accrued", "payable", "carried_forward") == [
        *(0, 600, 600, 0),
    ]
    assert closed["subject"] == "month-2026-05"
    assert (closed["data"]["statements"], closed["data"]["payable_minor"]) == (2, 701)
    assert closed["data"]["closed_by"] == "fred"


async def test_what_stands_in_the_way_is_told_and_nothing_changes(
    revenue: Revenue, finance: Finance
) -> None:
    wallet = Wallet()
    await revenue.take(wallet.says(settled(hold(purchased(0, 20), deployment="d1", partner="pia"))))

    assert codes(await finance.close("2026-05")) == ["NOT_ATTESTED"]
    await finance.attest("2026-05", recognized=3_000, hold_settled=2)
    assert codes(await finance.close("2026-05")) == ["FACTS_DIFFER", "AMOUNTS_DIFFER"]
    await revenue.take(
        wallet.says(settled(hold(purchased(20, 30), deployment="d2", partner="pia"), at=MAY))
    )
    assert len(await finance.close("2026-05")) == 2


async def test_a_month_is_closed_once_and_after_those_before(
    revenue: Revenue, finance: Finance
) -> None:
    await finance.attest("2026-05", recognized=0)
    await finance.attest("2026-06", recognized=0)

    assert codes(await finance.close("2026-06")) == ["EARLIER_MONTH_OPEN"]
    assert len(await finance.close("2026-05")) == 1
    assert codes(await finance.close("2026-05")) == ["ALREADY_CLOSED"]
    assert len(await finance.close("2026-06")) == 1
    await close_wanted(revenue.running, partial(examine, revenue.dsn))
    assert [m["subject"] for m in await revenue.published() if "closed" in m["type"]] == [
        *("month-2026-05", "month-2026-06"),
    ]


@pytest.mark.parametrize("period", ["0000-01", "9999-12"])
async def test_what_no_calendar_has_cannot_be_closed(finance: Finance, period: str) -> None:
    assert codes(await finance.close(period)) == ["NOT_ATTESTED"]


async def test_a_request_that_comes_too_late_is_refused_without_looking(
    finance: Finance,
) -> None:
    async def never(_: str) -> Examined:
        raise AssertionError

    await finance.attest("2026-05", recognized=0)
    [refusal] = await finance.close("2026-05", in_time=False, examining=never)
    assert refusal["data"]["code"] == "REQUEST_EXPIRED"


async def test_a_month_that_cannot_be_examined_is_asked_for_again(finance: Finance) -> None:
    async def fails(_: str) -> Examined:
        raise NotExaminedError("no memory")

    await finance.attest("2026-05", recognized=0)
    with pytest.raises(NotExaminedError):
        await finance.close("2026-05", examining=fails)
    dsn = finance.revenue.dsn
    before = len(await finance.revenue.published())
    await close_wanted(finance.revenue.running, partial(examine, dsn))
    [closed] = (await finance.revenue.published())[before:]
    assert closed["type"] == "tollgate.revenue.period_closed.v1"


async def test_what_is_taken_back_later_is_an_adjustment_and_a_debt_is_carried_on(
    revenue: Revenue, finance: Finance
) -> None:
    wallet = Wallet()
    record = hold(purchased(0, 20), deployment="d1", partner="pia")
    await revenue.take(wallet.says(settled(record)))
    await finance.attest("2026-05", recognized=2_000, hold_settled=1)
    may = await finance.close("2026-05")

    second = hold(purchased(20, 30), deployment="d2", partner="pia")
    await revenue.take(
        wallet.says(refunded(record, 0, 20, JUNE)),
        wallet.says(settled(second, at=JUNE)),
        wallet.says(refunded(second, 25, 30, JUNE)),
    )
    await finance.attest(
        "2026-06", recognized=1_000, reversed_=2_500, hold_settled=1, settlement_refunded=2
    )
    june = await finance.close("2026-06")
    third = hold(purchased(30, 70), deployment="d3", partner="pia")
    await revenue.take(wallet.says(settled(third, at=JULY)))
    await finance.attest("2026-07", recognized=4_000, hold_settled=1)
    july = await finance.close("2026-07")

    names = ("opening", "accrued", "reversed", "adjustments", "payable", "carried_forward")
    assert minor(may[0], *names) == [0, 600, 0, 0, 600, 0]
    assert minor(june[0], *names) == [0, 300, -150, -600, 0, -450]
    assert minor(july[0], *names) == [-450, 1_200, 0, 0, 750, 0]
    assert june[0]["data"]["lines"] == 3


async def test_what_is_disputed_is_held_back_until_the_dispute_ends(
    revenue: Revenue, finance: Finance
) -> None:
    wallet = Wallet()
    record = hold(purchased(0, 20), deployment="d1", partner="pia")
    dispute: dict[str, Any] = {"user_id": "ursula", "balance": EMPTY, "dispute_id": "dp-1"}
    await revenue.take(
        wallet.says(settled(record)),
        wallet.says(
            ledger.DisputeOpened(
                **dispute,
                lot_id="lot-1",
                bonus_lot_id=None,
                amount_minor=10_000,
                currency="USD",
                slices=(),
                payment_id=None,
                reason="fraudulent",
            )
        ),
    )
    await finance.attest("2026-05", recognized=2_000, hold_settled=1, dispute_opened=1)
    may = await finance.close("2026-05")
    await revenue.take(
        wallet.says(
            ledger.DisputeClosed(
                **dispute, lot_id="lot-1", bonus_lot_id=None, outcome="WON", slices=()
            ),
            at=JUNE,
        )
    )
    await finance.attest("2026-06", recognized=0, dispute_closed=1)
    june = await finance.close("2026-06")

    names = ("opening", "disputed", "payable", "carried_forward")
    assert minor(may[0], *names) == [0, 600, 0, 600]
    assert minor(june[0], *names) == [600, 0, 600, 0]


@pytest.mark.parametrize(
    ("forgery", "code"),
    [
        (
            "update facts set body = replace(body, '2000', '2001') where stream = 'revenue-d1'",
            "CHAIN_BROKEN",
        ),
        ("delete from facts where stream = 'payee-pia' and version = 1", "CHAIN_BROKEN"),
        ("update payee_totals set total_minor = total_minor + 1", "LINES_DIFFER"),
        ("update payee_lines set share_minor = share_minor + 1 where sequence = 1", "LINES_DIFFER"),
        (
            "update revenue_lines set true_revenue_minor = 1 where deployment_id = 'd2'",
            "LINES_DIFFER",
        ),
    ],
)
async def test_what_was_changed_by_hand_keeps_a_month_open(
    revenue: Revenue, finance: Finance, forgery: str, code: str
) -> None:
    wallet = Wallet()
    await revenue.take(
        wallet.says(settled(hold(purchased(0, 20), deployment="d1", partner="pia"))),
        wallet.says(settled(hold(purchased(20, 30), deployment="d2", partner="pia"), at=JUNE)),
    )
    await finance.attest("2026-05", recognized=2_000, hold_settled=1)
    await revenue.forge(forgery)

    assert code in codes(await finance.close("2026-05"))
