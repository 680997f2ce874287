"""A year of hundreds of users, closed month by month, against books that are kept by hand."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec
import pytest_asyncio

from contracts.types import Credits
from runtime.clock import ManualClock
from runtime.process import assemble
from runtime.signing import PublicKeys
from services.ledger.commands import CloseDispute, OpenDispute, RecordPurchase, RefundPurchase
from services.ledger.handlers import ChangePurchase
from services.ledger.periods.attesting import attest_due
from services.ledger.replay import replay
from services.ledger.replay_formats import summary
from services.revenue.closing import Wanted, close_wanted
from services.revenue.examination import examine
from services.revenue.main import build as build_revenue
from services.revenue.settings import RevenueSettings
from services.revenue.verification import verify
from services.wiring import WIRING
from tests.integration.ledger.driver import START, Ledger, settings_for, shares
from tests.integration.ledger.test_months import DELAY, Examiner
from tests.integration.ledger.year_book import Book, Deployment, Line, Lot
from tests.support.environment import Database

USERS: Final = 200
PARTNERS: Final = 12
AGENTS: Final = 9
MONTHS: Final = 12
DEPLOYING: Final = 60
WORTHS: Final = (70, 83, 99, 100)
SHARES: Final = ((3_000, 505), (3_333, 1), (2_501, 1_099))


@dataclass
class Year:
    """The services, the user's books, and chance."""

    ledger: Ledger
    revenue: Ledger
    clock: ManualClock
    dsn: str
    revenue_dsn: str
    chance: random.Random
    lines: list[Line] = field(default_factory=list)
    books: dict[str, Book] = field(default_factory=dict)
    agents: dict[str, str | None] = field(default_factory=dict)
    shares: tuple[int, int] = SHARES[0]
    position: int = 0
    number: int = 0
    disputes: dict[str, Lot] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """Return a new name."""
        self.number += 1
        return f"{kind}-{self.number}"

    async def change(self, user: str, change: Any) -> None:
        """Have Stripe tell of a purchase."""
        await self.ledger.running.processor.execute(ChangePurchase(actor="stripe", change=change))

    async def buy(self, user: str, credits_bought: int) -> Lot:
        """Sell credits at one of the prices."""
        worth = self.chance.choice(WORTHS)
        lot = self.books[user].add(Lot(self.name("lot"), credits_bought, worth))
        await self.change(
            user,
            RecordPurchase(
                user_id=user,
                lot_id=lot.lot_id,
                credits=credits_bought,
                price_minor=credits_bought * worth,
                currency="USD",
                source=f"pi_{lot.lot_id}",
                recorded_by="stripe",
                bonus_credits=0,
                payment_id=f"pi_{lot.lot_id}",
                checkout_id=lot.lot_id,
            ),
        )
        return lot

    async def award(self, user: str) -> None:
        """Give some credits, of which some expire."""
        days = self.chance.choice((None, 20, 75))
        until = None if days is None else self.clock.now() + timedelta(days=days)
        credits_given = self.chance.randint(3, 25)
        self.books[user].add(Lot(self.name("award"), credits_given, 0, until))
        await self.ledger.award(user, credits_given, credits_expire_at=until)

    async def deploy(self, user: str) -> None:
        """Hold, then settle or release an hour's work; sometimes there are too few credits."""
        partner = self.chance.choice((None, *(f"partner-{n}" for n in range(PARTNERS))))
        due = [(partner, self.shares[0]), (self.agents[user], self.shares[1])]
        deployment = Deployment(
            self.name("d"), [(payee, points) for payee, points in due if payee is not None]
        )
        cost, book = self.chance.randint(1, 40), self.books[user]
        fits = book.spend(deployment, cost, self.clock.now())
        await self.ledger.hold(deployment.name, user, cost, partner_id=partner)
        if fits and self.chance.random() < 0.85:
            await self.ledger.succeed(deployment.name, user)
            book.settle(deployment, self.clock.now())
        elif fits:
            await self.ledger.fail(deployment.name, user)
            book.release(deployment)

    async def refund(self, user: str) -> None:
        """Give back a part of a deployment, or all of it."""
        found = [each for each in self.books[user].deployments if each.refundable]
        if found:
            deployment = self.chance.choice(found)
            cost = sum(part for _, part in deployment.taken)
            back = self.chance.choice((cost, self.chance.randint(1, cost)))
            await self.ledger.refund(deployment.name, user, credits=Credits(back))
            self.books[user].refund(deployment, back, self.clock.now())
            assert deployment.name

    async def take_back(self, user: str, lot: Lot, *, lost: bool = False) -> None:
        """Refund a purchase, or lose a dispute of it; the user then buys enough for the debt."""
        owed = self.books[user].owed(lot)
        about: dict[str, Any] = {"user_id": user, "lot_id": lot.lot_id, "spending": None}
        if lost:
            change: Any = CloseDispute(
                **about, dispute_id=f"du_{lot.lot_id}", outcome="LOST", reason="decided",
                closed_by="stripe",
            )  # fmt: skip
        else:
            change = RefundPurchase(
                **about, refund_id=f"re_{lot.lot_id}", amount_minor=lot.credits * lot.worth,
                currency="USD", reason="asked for", refunded_by="stripe",
            )  # fmt: skip
        await self.ledger.change(change)
        instead = await self.buy(user, owed + 30)
        self.books[user].void(lot, instead, self.clock.now())

    async def dispute(self, user: str, lot: Lot) -> None:
        """Open a dispute; it is decided in a later month."""
        opened = OpenDispute(
            user_id=user, lot_id=lot.lot_id, dispute_id=f"du_{lot.lot_id}",
            amount_minor=lot.credits * lot.worth, currency="USD", reason="fraudulent",
            spending=None,
        )  # fmt: skip
        await self.ledger.change(opened)
        lot.disputed = True
        self.disputes[user] = lot

    async def decide(self, user: str, lot: Lot) -> None:
        """Win or lose a dispute."""
        if self.chance.random() < 0.5:
            await self.take_back(user, lot, lost=True)
            return
        won = CloseDispute(
            user_id=user, lot_id=lot.lot_id, dispute_id=f"du_{lot.lot_id}", outcome="WON",
            reason="decided", closed_by="stripe", spending=None,
        )  # fmt: skip
        await self.ledger.change(won)
        lot.disputed = False

    async def month(self) -> None:
        """Have a month's worth happen, a few days apart."""
        users = list(self.books)
        for user, lot in list(self.disputes.items()):
            del self.disputes[user]
            await self.decide(user, lot)
        for _ in range(2):
            self.clock.advance(timedelta(days=self.chance.randint(3, 8)))
            await asyncio.gather(*(self.award(user) for user in self.chance.sample(users, 20)))
            await asyncio.gather(
                *(
                    self.buy(user, self.chance.randint(20, 90))
                    for user in self.chance.sample(users, 20)
                )
            )
            await asyncio.gather(
                *(self.deploy(user) for user in self.chance.sample(users, DEPLOYING))
            )
            self.clock.advance(timedelta(hours=1))
            for user in self.chance.sample(users, 6):
                await self.refund(user)
        for user in self.chance.sample(users, 4):
            lots = [lot for lot in self.books[user].lots if lot.worth and not lot.disputed]
            if lots and user not in self.disputes:
                lot = self.chance.choice(lots)
                await self.chance.choice((self.take_back, self.dispute))(user, lot)

    async def close(self, month: str, until: datetime) -> list[dict[str, Any]]:
        """Attest a month, hand revenue all that the ledger told, close it, and return the seals."""
        self.clock.advance(until + DELAY + timedelta(seconds=1) - self.clock.now())
        assert [
            each.name for each in await attest_due(self.ledger.running, Examiner(self.dsn), DELAY)
        ] == [month]
        rows = await self.ledger.fetch(
            "select position, subject, body from outbox where position > $1 order by position",
            self.position,
        )
        self.position = rows[-1]["position"]
        await self.revenue.hand_in(
            [
                WIRING.decode(WIRING.type_of_subject(row["subject"]), row["body"].encode())
                for row in rows
                if row["subject"].split(".")[2] in ("wallet", "period")
            ]
        )
        wanted = Wanted(f"close-{month}", month, "fred", self.clock.now() + timedelta(hours=1))
        await self.revenue.running.pool.execute(
            "insert into documents (collection, key, body) values ('closings', $1, $2)",
            wanted.request_id,
            msgspec.msgpack.encode(wanted),
        )
        await close_wanted(self.revenue.running, partial(examine, self.revenue_dsn))
        refused = await self.revenue.fetch("select body from outbox where stream like 'refusal-%'")
        assert refused == [], refused
        sealed = await self.revenue.fetch(
            "select body::json -> 'data' as data from outbox where stream like $1",
            f"statement-{month}-%",
        )
        return [msgspec.json.decode(row["data"]) for row in sealed]


@pytest_asyncio.fixture
async def year(
    ledger: Ledger,
    clock: ManualClock,
    database: Database,
    database_for: Callable[[str], Awaitable[Database]],
) -> AsyncIterator[Year]:
    """Open the books of all users, a third of whom an agent referred."""
    revenue_database = await database_for("revenue")
    base = settings_for(revenue_database).model_dump()
    settings = RevenueSettings.model_validate(base | {"nats_user": "revenue"})
    async with assemble(build_revenue(settings), settings, WIRING, clock=clock) as running:
        made = Year(
            ledger, Ledger(running), clock, database.dsn, revenue_database.dsn, random.Random(2026)
        )
        for number in range(AGENTS):
            await ledger.register(f"agent-{number}")
        for number in range(USERS):
            agent = f"agent-{number % AGENTS}" if number % 3 == 0 else None
            made.agents[f"u-{number}"] = agent
            made.books[f"u-{number}"] = Book(made.lines)
        await asyncio.gather(
            *(ledger.register(user, referred_by=agent) for user, agent in made.agents.items())
        )
        yield made


def exactly(lines: list[Line], payee: str) -> int:
    """Return what lines give a payee, in ten-thousandths of a minor unit."""
    return sum(line.minor * points for line in lines for who, points in line.payees if who == payee)


async def test_a_year_comes_to_what_the_books_say(year: Year) -> None:
    payees = [f"partner-{n}" for n in range(PARTNERS)] + [f"agent-{n}" for n in range(AGENTS)]
    carried, paid = dict.fromkeys(payees, 0), dict.fromkeys(payees, 0)
    first, months = START.replace(day=1, hour=0), []
    seen: set[str] = set()
    for number in range(MONTHS):
        if number % 4 == 0:
            year.shares = SHARES[number // 4]
            known = shares(*year.shares, year.clock.now())
            await year.ledger.set(shares=(known,))
        await year.month()
        month = f"{first:%Y-%m}"
        months.append(month)
        first = (first + timedelta(days=32)).replace(day=1, tzinfo=UTC)
        open_lots = {lot.lot_id for lot in year.disputes.values()}
        statements = {each["payee_id"]: each for each in await year.close(month, first)}
        for payee in payees:
            total = exactly(year.lines, payee) // 10_000
            balance = total - paid[payee]
            statement = statements.get(payee)
            if statement is None:
                assert balance == carried[payee] == 0
                continue
            minor = {
                name: value["amount_minor"]
                for name, value in statement.items()
                if isinstance(value, dict)
            }
            assert (minor["opening"], minor["balance"]) == (carried[payee], balance)
            seen |= {"HELD BACK"} if minor["disputed"] else set()
            seen |= {"ADJUSTED"} if minor["adjustments"] else set()
            held = [line for line in year.lines if line.lots & open_lots]
            off = minor["disputed"] * 10_000 - max(0, exactly(held, payee))
            assert abs(off) <= 10_000 * len(held)
            assert minor["payable"] == max(0, balance - minor["disputed"])
            paid[payee] += minor["payable"]
            carried[payee] = balance - minor["payable"]
    found = await year.revenue.fetch(
        """select to_char(recognized_at at time zone 'UTC', 'YYYY-MM') as month,
                  sum(true_revenue_minor)::bigint as minor
           from revenue_lines group by 1 order by 1"""
    )
    assert {row["month"]: row["minor"] for row in found} == {
        month: sum(line.minor for line in year.lines if line.month == month) for month in months
    }
    kinds = await year.revenue.fetch("select distinct kind from revenue_lines")
    assert len(kinds) == 4
    assert await year.revenue.fetch("select from disputes where outcome = 'WON' limit 1")
    assert await year.revenue.fetch("select from disputes where outcome = 'LOST' limit 1")
    assert {"HELD BACK", "ADJUSTED"} == seen
    assert await year.ledger.fetch("select from history where type = 'EXPIRY' limit 1")
    verified = await verify(year.revenue_dsn, None, PublicKeys())
    assert verified.ok, verified.misfits
    result = await replay(year.dsn, group_by="partner", engine="both", revenue_dsn=year.revenue_dsn)
    assert result.ok, summary(result)
