"""Webhooks in any order, doubled, early and lost: with the sweep, the wallet ends where it should.

What happens at Stripe to one user's checkouts happens to another's in the same order. The one has
each webhook told at once; the other has any of them told at any time, any number of times, and in
the end the sweep. Both then have the same.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from math import ceil
from typing import Any, Final

import stripe
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from runtime.clock import ManualClock
from runtime.ids import new_id
from tests.integration.ledger.shop import Shop, open_shop
from tests.support.environment import Database
from tests.support.stripe_fake import StripeFake

PRICE: Final = 1000
CHECKOUTS_MAX: Final = 3
CREDITS: Final = (100, 7, 999)
BONUS: Final = (10, 0, 3)
SPENT: Final = 40
BEGINNINGS: Final = (
    (),
    ("expire",),
    ("decline", "pay"),
    ("pay_later",),
    ("pay_later", "bounce"),
    ("pay_later", "arrive"),
    ("pay",),
)
PAID: Final = ("pay", "arrive")

Act = tuple[str, int | None]
"""What happens to a checkout, and to how much of it."""


@st.composite
def stories(draw: st.DrawFn, *, paid: bool = False) -> list[Act]:
    """Draw what happens to one checkout, as far as Stripe lets it."""
    beginning = () if paid else draw(st.sampled_from(BEGINNINGS))
    acts: list[Act] = [(act, None) for act in beginning]
    left = PRICE if paid or (beginning and beginning[-1] in PAID) else 0
    while left and draw(st.booleans()):
        amount = draw(st.integers(1, left))
        if draw(st.booleans()):
            acts.append(("refund", amount))
            left -= amount
            continue
        acts.append(("dispute", amount))
        end = draw(st.sampled_from(("win", "lose", None)))
        if end is not None:
            acts.append((end, None))
        if end != "win":
            left = 0
    return acts


@dataclass
class Plan:
    """Acts by checkout, in order, and which of the events so far are told after each of them.

    With `spent` the first one was paid for, and partly spent, before anything else.
    """

    acts: list[tuple[int, Act]]
    told: list[list[int]]
    spent: bool

    def total(self) -> int:
        """Return the credits that are left in the end, by the rule for refunds."""
        total = -SPENT if self.spent else 0
        for number in range(CHECKOUTS_MAX):
            acts = [act for of, act in self.acts if of == number]
            if (number == 0 and self.spent) or any(name in PAID for name, _ in acts):
                back = _given_back(acts)
                for bought in (CREDITS[number], BONUS[number]):
                    total += bought - ceil(Fraction(bought * back, PRICE))
        return total


def _given_back(acts: list[Act]) -> int:
    """Return what was refunded, and lost in disputes."""
    back, disputed = 0, 0
    for name, amount in acts:
        match name:
            case "refund":
                back += amount or 0
            case "dispute":
                disputed = amount or 0
            case "lose":
                back += disputed
            case _:
                pass
    return back


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw what happens to some checkouts, one after the other or among each other."""
    spent = draw(st.booleans())
    left = [draw(stories(paid=spent))]
    left += draw(st.lists(stories(), max_size=CHECKOUTS_MAX - 1))
    acts = []
    while any(left):
        number = draw(st.sampled_from([n for n, story in enumerate(left) if story]))
        acts.append((number, left[number].pop(0)))
    told = st.lists(st.integers(0, 99), max_size=4)
    return Plan(acts, [draw(told) for _ in acts], spent)


@dataclass
class Customer:
    """Somebody who buys, and what Stripe has to say of it so far."""

    shop: Shop
    user_id: str
    checkouts: list[str] = field(default_factory=list)
    events: list[stripe.Event] = field(default_factory=list)
    disputes: dict[int, str] = field(default_factory=dict)

    async def do(self, number: int, act: Act, known: set[str]) -> list[stripe.Event]:
        """Have something happen; return the events that it brought, the first first."""
        name, amount = act
        checkout_id = self.checkouts[number]
        if name in ("win", "lose"):
            await asyncio.to_thread(self.shop.fake.close_dispute, self.disputes[number], name)
        elif amount is not None:
            charge = await self._charge(checkout_id)
            found = await asyncio.to_thread(self.shop.fake.charge, charge, name, amount)
            self.disputes[number] = found["id"]
        else:
            await self.shop.act(checkout_id, name)
        listed = await asyncio.to_thread(self.shop.sdk.v1.events.list, {"limit": 10})
        new = [each for each in reversed(listed.data) if each.id not in known]
        known.update(each.id for each in new)
        self.events += new
        return new

    async def total(self) -> int:
        """Return all credits that are there, less what is owed."""
        sql = "select awarded + purchased from balances where user_id = $1"
        return await self.shop.ledger.running.pool.fetchval(sql, self.user_id) or 0

    async def _charge(self, checkout_id: str) -> str:
        v1 = self.shop.sdk.v1
        session_id = await self.shop.session_of(checkout_id)
        session = await asyncio.to_thread(v1.checkout.sessions.retrieve, session_id)
        intent = await asyncio.to_thread(v1.payment_intents.retrieve, str(session.payment_intent))
        return str(intent.latest_charge)

    async def state(self, *, whole: bool) -> dict[str, Any]:
        """Return what the ledger has of it all.

        Debts are paid by what is bought after them. So where there may be some, the order in which
        the ledger learns of things decides which lot pays, and only what is left in all is told:
        that is without `whole`.
        """
        pool = self.shop.ledger.running.pool
        found: dict[str, Any] = {
            "statuses": [await self.shop.status(each) for each in self.checkouts],
            "balance": await pool.fetch(
                "select awarded, purchased from balances where user_id = $1", self.user_id
            ),
            "verdicts": await pool.fetch(
                """select dense_rank() over (order by lot_id), amount_minor, outcome
                   from purchase_disputes where lot_id = any ($1::text[])
                   order by lot_id, amount_minor, outcome""",
                self.checkouts,
            ),
        }
        if whole:
            found["frozen"] = await pool.fetch(
                "select awarded_frozen, purchased_frozen from balances where user_id = $1",
                self.user_id,
            )
            found["lots"] = await pool.fetch(
                """select credits, price_minor, free, held, spent, voided, refunded_minor,
                          disputes_open
                   from lots where user_id = $1
                   order by credits, bonus_of nulls first, free, voided""",
                self.user_id,
            )
        return found


class Street:
    """A shop that is used by one pair of customers after the other, on a loop of its own."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.known: set[str] = set()

    async def live(self, plan: Plan) -> None:
        """Have a plan happen to two customers, and compare what they have in the end."""
        self.shop.clock.advance(timedelta(hours=3))
        begun = self.shop.clock.now()
        straight, other = [await self._customer(plan) for _ in range(2)]
        for (number, act), picks in zip(plan.acts, plan.told, strict=True):
            for each in await straight.do(number, act, self.known):
                await self.shop.tell_event(each)
            await other.do(number, act, self.known)
            for pick in picks if other.events else ():
                await self.shop.tell_event(other.events[pick % len(other.events)])
            await self.shop.until_idle()
        await self.shop.sweep(begun)
        assert await straight.total() == plan.total()
        wholly = not plan.spent
        assert await other.state(whole=wholly) == await straight.state(whole=wholly)
        assert await self.shop.problems() == []
        assert await self.shop.sweep(begun) == 0

    async def _customer(self, plan: Plan) -> Customer:
        customer = Customer(self.shop, f"user-{new_id()}")
        await self.shop.ledger.register(customer.user_id)
        for number in range(CHECKOUTS_MAX):
            checkout_id = await self.shop.opened(
                user_id=customer.user_id,
                credits_wanted=CREDITS[number],
                bonus=BONUS[number],
                price_minor=PRICE,
            )
            customer.checkouts.append(checkout_id)
        if plan.spent:
            for each in await customer.do(0, ("pay", None), self.known):
                await self.shop.tell_event(each)
            await self.shop.until_idle()
            customer.events.clear()
            deployment_id = f"d-{customer.user_id}"
            await self.shop.ledger.hold(deployment_id, customer.user_id, SPENT)
            await self.shop.ledger.succeed(deployment_id, customer.user_id)
        return customer


def test_webhooks_in_any_order_and_a_sweep_end_where_the_straight_order_does(
    database: Database, stripe_fake: StripeFake, clock: ManualClock
) -> None:
    with asyncio.Runner() as runner:
        opening = open_shop(database, stripe_fake, clock)
        street = Street(runner.run(opening.__aenter__()))

        @settings(max_examples=20, suppress_health_check=list(HealthCheck))
        @given(plan=plans())
        def lives(plan: Plan) -> None:
            event(f"{len(plan.acts)} acts")
            runner.run(street.live(plan))

        try:
            lives()
        finally:
            runner.run(opening.__aexit__(None, None, None))
