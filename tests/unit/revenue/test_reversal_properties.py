"""What holds through every sequence of settling, refunding, reversing and paying again."""

from collections import Counter
from fractions import Fraction
from itertools import count, groupby

from hypothesis import given
from hypothesis import strategies as st

from services.revenue.decider import Repay, RevenueCommand, Reverse
from services.revenue.events import LedgerEntry, RevenueReversed, SpentSlice
from tests.unit.revenue.books import Books
from tests.unit.revenue.examples import NOON, settlement

LOTS = {"lot-a": (97, 1_000), "lot-b": (100, 3_333), "lot-c": (60, 7), "lot-d": (50, 0)}
"""Lots by id: credits, and the price of all of them in minor units."""

Credit = tuple[str, int]
"""One credit of a lot."""


class World:
    """Credits one by one: which are free, which are spent, in which deployment, and which owed."""

    def __init__(self) -> None:
        self.free: list[Credit] = [(lot, n) for lot, (size, _) in LOTS.items() for n in range(size)]
        self.spent: dict[str, list[Credit]] = {}
        self.owed: Counter[str] = Counter()
        self.settled: dict[str, RevenueCommand] = {}
        self.commands: list[RevenueCommand] = []
        self._sequence = count(10)

    def settle(self, credits_taken: int, partner: int, agent: int) -> None:
        taken = self._take(credits_taken)
        deployment = f"d{len(self.settled)}"
        command = settlement(
            *slices_of(taken),
            deployment=deployment,
            user="ursula",
            partner="pia",
            agent="arno",
            partner_basis_points=partner,
            agent_basis_points=agent,
        )
        self.spent[deployment] = taken
        self.settled[deployment] = command
        self.commands.append(command)

    def reverse(self, deployment: str, credits_gone: int, *, refund: bool) -> None:
        """Give the last credits back to their lots, or have them owed."""
        gone = self.spent[deployment][-credits_gone:] if credits_gone else []
        if not gone:
            return
        del self.spent[deployment][-len(gone) :]
        if refund:
            self.free = gone + self.free
        else:
            self.owed[deployment] += len(gone)
        self.commands.append(
            Reverse(
                hold=self.settled[deployment].hold,
                entry=self._entry(),
                at=NOON,
                reversing="settlement_refunded" if refund else "settlement_reversed",
                cause="cause",
                slices=slices_of(sorted(gone)),
                credits=len(gone),
            )
        )

    def repay(self, deployment: str) -> None:
        taken = self._take(self.owed[deployment])
        if not taken:
            return
        self.owed[deployment] -= len(taken)
        self.spent[deployment] += taken
        self.commands.append(
            Repay(
                hold=self.settled[deployment].hold,
                entry=self._entry(),
                at=NOON,
                slices=slices_of(taken),
            )
        )

    def _take(self, number: int) -> list[Credit]:
        taken, self.free = self.free[:number], self.free[number:]
        return taken

    def _entry(self) -> LedgerEntry:
        number = next(self._sequence)
        return LedgerEntry(message_id=f"m{number}", stream="wallet-ursula", sequence=number)


def slices_of(credits_: list[Credit]) -> tuple[SpentSlice, ...]:
    """Return single credits as slices, neighbours together."""
    slices = []
    for (lot, _), run in groupby(
        enumerate(credits_), key=lambda pair: (pair[1][0], pair[1][1] - pair[0])
    ):
        numbers = [credit[1] for _, credit in run]
        size, price = LOTS[lot]
        slices.append(
            SpentSlice(
                lot_id=lot,
                lot_kind="purchase",
                lot_credits=size,
                lot_price_minor=price,
                start=numbers[0],
                end=numbers[-1] + 1,
            )
        )
    return tuple(slices)


def worth(credit: Credit) -> int:
    size, price = LOTS[credit[0]]
    return price * (credit[1] + 1) // size - price * credit[1] // size


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Whatever may happen, in any order."""
    world = World()
    for _ in range(draw(st.integers(1, 25))):
        deployments = sorted(world.spent)
        action = draw(st.sampled_from(["settle", "refund", "reverse", "repay"]))
        if action == "settle" or not deployments:
            shares = draw(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)))
            world.settle(draw(st.integers(0, 60)), *shares)
            continue
        deployment = draw(st.sampled_from(deployments))
        if action == "repay":
            world.repay(deployment)
        else:
            gone = draw(st.integers(1, 60))
            world.reverse(deployment, gone, refund=action == "refund")
    return world


@given(worlds())
def test_revenue_is_the_value_of_what_is_spent_and_paid(world: World) -> None:
    books = Books().take(*world.commands)

    for deployment, spent in world.spent.items():
        lines = [line for line in books.lines if line.hold.deployment_id == deployment]
        earned = sum(line.true_revenue_minor for line in lines)
        assert earned == sum(map(worth, spent))
        assert earned == books.deployments[deployment].true_revenue_minor
        assert sum(line.purchased_credits for line in lines) == len(spent)
        assert sum(line.credits for line in lines) == len(spent) + world.owed[deployment]


@given(worlds())
def test_a_lots_revenue_is_that_of_its_spent_credits(world: World) -> None:
    books = Books().take(*world.commands)
    by_lot: Counter[str] = Counter()
    for line in books.lines:
        for spent, revenue in zip(line.slices, line.slice_revenue_minor, strict=True):
            by_lot[spent.lot_id] += revenue
    expected: Counter[str] = Counter()
    for credits_spent in world.spent.values():
        for credit in credits_spent:
            expected[credit[0]] += worth(credit)

    assert +by_lot == +expected
    assert all(amount >= 0 for amount in by_lot.values())


@given(worlds())
def test_a_payees_total_is_the_floor_of_all_that_is_due(world: World) -> None:
    books = Books().take(*world.commands)
    exact: dict[str, Fraction] = {"pia": Fraction(0), "arno": Fraction(0)}
    for deployment, spent in world.spent.items():
        hold = world.settled[deployment].hold
        revenue = sum(map(worth, spent))
        exact["pia"] += Fraction(revenue * hold.partner_basis_points, 10_000)
        exact["arno"] += Fraction(revenue * hold.agent_basis_points, 10_000)

    for payee, due in exact.items():
        assert books.total_of(payee) == due.numerator // due.denominator
        shares = books.shares_of(payee)
        assert sum(share.share_minor for share in shares) == books.total_of(payee)
        assert 0 <= due - books.total_of(payee) < 1
    whole = sum(line.true_revenue_minor for line in books.lines)
    assert 0 <= books.total_of("pia") + books.total_of("arno") <= whole


@given(worlds())
def test_what_is_kept_of_a_deployment_does_not_grow_with_its_history(world: World) -> None:
    books = Books().take(*world.commands)

    for deployment, state in books.deployments.items():
        assert len(state.earning) <= world.settled[deployment].hold.cost


@given(worlds())
def test_a_line_is_reversed_whole_when_nothing_of_it_earns(world: World) -> None:
    books = Books().take(*world.commands)
    left: dict[tuple[str, int], int] = {}
    for line in books.lines:
        deployment = line.hold.deployment_id
        if isinstance(line, RevenueReversed):
            left[deployment, line.reverses] += line.purchased_credits
            assert line.purchased_left == left[deployment, line.reverses]
        else:
            left[deployment, line.line] = line.purchased_credits
    assert all(credits_left >= 0 for credits_left in left.values())
