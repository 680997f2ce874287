"""What holds over any history of a wallet, whatever happens in it and in whatever order."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from typing_extensions import override

from contracts.money_rules import slice_value
from runtime.refusal import Refusal
from services.ledger.checking.redecide import objection
from services.ledger.decider import evolve
from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    Fact,
    HoldPlaced,
    HoldReleased,
    HoldSettled,
    Slice,
)
from services.ledger.knowledge import DeploymentHolds
from services.ledger.publishing import WALLET
from services.ledger.slices import size
from services.ledger.wallet import Wallet
from tests.unit.ledger.book import (
    OWNER,
    Book,
    Step,
    adjust,
    award,
    days,
    expire,
    hold,
    lines,
    purchase,
    release,
    settle,
    with_settings,
)

amounts = st.integers(1, 60)
prices = st.integers(0, 5_000)
lifetimes = st.one_of(st.none(), st.sampled_from([0.5, 1, 2, 5]))


class WalletMachine(RuleBasedStateMachine):
    """Tells one wallet whatever it can be told."""

    holds = Bundle("holds")

    @initialize()
    def begin(self) -> None:
        self.book = Book()
        self.states = [self.book.state]
        self.lots = 0
        self.deployments = 0

    def tell(self, step: Step) -> list[Fact]:
        """Tell the wallet; what it refuses must leave it as it was, to the byte."""
        before, known = self.book.state, len(self.book.facts)
        try:
            facts = step(self.book)
        except Refusal:
            assert self.book.state == before
            assert len(self.book.facts) == known
            return []
        if not facts:
            assert self.book.state == before
        state = msgspec.msgpack.decode(before, type=Wallet)
        for fact in facts:
            state = evolve(state, fact)
            self.states.append(msgspec.msgpack.encode(state))
        return facts

    @rule(number=amounts, lifetime=lifetimes)
    def award_credits(self, number: int, lifetime: float | None) -> None:
        self.lots += 1
        self.tell(award(f"a{self.lots}", number, days_to_live=lifetime))

    @rule(number=amounts, price_minor=prices)
    def record_purchase(self, number: int, price_minor: int) -> None:
        self.lots += 1
        self.tell(purchase(f"p{self.lots}", number, price_minor))

    @rule(
        target=holds,
        list_price=st.integers(0, 40),
        premium=st.booleans(),
        own=st.booleans() | st.just(value=False),
    )
    def place_hold(self, list_price: int, *, premium: bool, own: bool) -> object:
        self.deployments += 1
        name = f"d{self.deployments}"
        partner_id = OWNER if own else "partner"
        facts = self.tell(hold(name, list_price, premium=premium, partner_id=partner_id))
        return name if any(isinstance(fact, HoldPlaced) for fact in facts) else multiple()

    @rule(name=consumes(holds))
    def settle_hold(self, name: str) -> None:
        assert self.tell(settle(name))
        self.can_end_no_more(name)

    @rule(name=consumes(holds))
    def release_hold(self, name: str) -> None:
        assert self.tell(release(name))
        self.can_end_no_more(name)

    @rule(number=st.integers(1, 20))
    def adjust_credits(self, number: int) -> None:
        self.tell(adjust(number))

    @rule()
    def expire_due(self) -> None:
        self.tell(expire())

    @rule(number=st.sampled_from([0.25, 0.5, 1, 3]))
    def let_time_pass(self, number: float) -> None:
        days(number)(self.book)

    @precondition(lambda self: self.deployments % 5 == 4)
    @rule(enabled=st.booleans())
    def switch_credits(self, *, enabled: bool) -> None:
        with_settings(credits_enabled=enabled)(self.book)

    def can_end_no_more(self, name: str) -> None:
        """A hold that has ended brings nothing more, however it is told to end."""
        known = len(self.book.facts)
        self.tell(settle(name))
        self.tell(release(name))
        self.tell(hold(name, 1))
        assert len(self.book.facts) == known

    @invariant()
    def credits_are_conserved_in_each_lot(self) -> None:
        if self.book.facts:
            assert_conserved(self.book)

    @invariant()
    def no_balance_is_negative_and_the_lots_add_up_to_it(self) -> None:
        balance = self.book.wallet.balance
        counted = {True: [0, 0], False: [0, 0]}
        for lot in self.book.wallet.lots.values():
            counted[lot.purchased][0] += size(lot.free) + lot.held
            counted[lot.purchased][1] += lot.held
        assert counted[False] == [balance.awarded, balance.awarded_held]
        assert counted[True] == [balance.purchased, balance.purchased_held]
        assert balance.available_awarded >= 0
        assert balance.available_purchased >= 0

    @invariant()
    def the_split_of_all_holds_is_what_the_running_minimum_says(self) -> None:
        assert_running_minimum(self.book)

    @override
    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        wallet = Wallet()
        assert msgspec.msgpack.encode(wallet) == self.states[0]
        for fact, state in zip(self.book.facts, self.states[1:], strict=True):
            wallet = evolve(wallet, fact)
            assert msgspec.msgpack.encode(wallet) == state
        assert wallet == self.book.wallet
        assert_decided_again(self.book)
        assert_slices_are_worth_the_price(self.book)


WalletMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestWallet = WalletMachine.TestCase


def assert_conserved(book: Book) -> None:
    """Each credit of each lot is free, held, spent, expired or taken away, and only one of them."""
    places = where_credits_are(book.facts)
    for lot_id, (total, gone) in places.items():
        lot = book.wallet.lots.get(lot_id)
        free = set() if lot is None else {n for a, b in lot.free for n in range(a, b)}
        held = {
            number
            for ranges in book.wallet.holds.values()
            for part in ranges
            if part.lot_id == lot_id
            for number in range(part.start, part.end)
        }
        assert len(free) + len(held) + len(gone) == total
        assert free | held | set(gone) == set(range(total))


def where_credits_are(facts: list[Fact]) -> dict[str, tuple[int, list[int]]]:
    """Return each lot's size, and the numbers of its credits that are gone for good."""
    lots: dict[str, tuple[int, list[int]]] = {}
    for fact in facts:
        match fact:
            case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
                lots[lot.lot_id] = (lot.credits, [])
            case HoldSettled() | CreditsExpired() | CreditsAdjusted():
                for part in slices_of(fact):
                    lots[part.lot_id][1].extend(range(part.start, part.end))
            case _:
                pass
    return lots


def slices_of(fact: Fact) -> tuple[Slice, ...]:
    """Return the slices that a fact moves."""
    match fact:
        case HoldPlaced(hold=record) | HoldSettled(hold=record) | HoldReleased(hold=record):
            return record.slices
        case CreditsExpired(slices=slices) | CreditsAdjusted(slices=slices):
            return slices
        case _:
            return ()


def awarded_in(fact: Fact) -> int:
    """Return how many awarded credits a fact moves."""
    return sum(part.credits for part in slices_of(fact) if not part.purchased)


def assert_running_minimum(book: Book) -> None:
    """What of standard costs awards did not cover is the depth of one running sum's minimum.

    The sum goes up by what is awarded and by the awarded part that is given back, and down by the
    costs of standard holds and by the awarded part that expires or is taken away.
    """
    running = lowest = uncovered = 0
    for fact in book.facts:
        match fact:
            case CreditsAwarded(lot=lot):
                running += lot.credits
            case HoldPlaced(hold=record) if record.gate == "STANDARD":
                running -= record.cost
                uncovered += record.cost - awarded_in(fact)
            case HoldReleased():
                running += awarded_in(fact)
            case CreditsExpired() | CreditsAdjusted():
                running -= awarded_in(fact)
            case _:
                pass
        lowest = min(lowest, running)
        assert uncovered == max(0, -lowest)


def assert_decided_again(book: Book) -> None:
    """Each fact is what would be decided again, from the facts before it alone."""
    wallet = Wallet()
    known: dict[str, DeploymentHolds] = {}
    for fact, at in zip(book.facts, book.times, strict=True):
        deployment_id = getattr(getattr(fact, "hold", fact), "deployment_id", "")
        holds = known.get(deployment_id, DeploymentHolds())
        assert objection(fact, wallet, at, user_id=OWNER, holds=holds) is None
        wallet = evolve(wallet, fact)
        known[deployment_id] = holds.after(fact)


def assert_slices_are_worth_the_price(book: Book) -> None:
    """What of a lot is gone, held and free is worth exactly its price, cut as it may be."""
    prices_of = {
        fact.lot.lot_id: fact.lot for fact in book.facts if isinstance(fact, CreditsPurchased)
    }
    worth = dict.fromkeys(prices_of, 0)

    def count(lot_id: str, start: int, end: int) -> None:
        if lot_id in worth:
            lot = prices_of[lot_id]
            worth[lot_id] += slice_value(
                price_minor=lot.price_minor, lot_credits=lot.credits, start=start, end=end
            )

    for fact in book.facts:
        if isinstance(fact, HoldSettled | CreditsExpired | CreditsAdjusted):
            for part in slices_of(fact):
                count(part.lot_id, part.start, part.end)
    for ranges in book.wallet.holds.values():
        for held in ranges:
            count(held.lot_id, held.start, held.end)
    for lot in book.wallet.lots.values():
        for start, end in lot.free:
            count(lot.lot_id, start, end)
    assert worth == {lot_id: lot.price_minor for lot_id, lot in prices_of.items()}


steps = st.lists(
    st.one_of(
        st.builds(award, st.uuids().map(str), amounts, days_to_live=lifetimes),
        st.builds(purchase, st.uuids().map(str), amounts, prices),
        st.builds(hold, st.sampled_from(["d1", "d2", "d3"]), st.integers(0, 40)),
        st.builds(settle, st.sampled_from(["d1", "d2", "d3"])),
        st.builds(release, st.sampled_from(["d1", "d2", "d3"])),
        st.builds(adjust, st.integers(1, 20)),
    ),
    max_size=25,
)


def run(book: Book, step: Step) -> list[str]:
    """Tell a wallet, which may refuse."""
    try:
        return lines(step(book))
    except Refusal as refusal:
        return [refusal.code]


@given(steps, steps, st.randoms())
def test_what_happens_in_one_wallet_changes_no_other_whatever_the_order_across_them(
    first: list[Step], second: list[Step], random: object
) -> None:
    apart = [Book(), Book()]
    for book, told in zip(apart, (first, second), strict=True):
        for step in told:
            run(book, step)
    together = [Book(), Book()]
    queues = [list(first), list(second)]
    while any(queues):
        which = random.choice([n for n in (0, 1) if queues[n]])  # type: ignore[attr-defined]
        run(together[which], queues[which].pop(0))
    assert [book.state for book in together] == [book.state for book in apart]


@given(steps)
def test_a_command_that_is_repeated_at_once_changes_nothing(told: list[Step]) -> None:
    once, twice = Book(), Book()
    for step in told:
        run(once, step)
        first = run(twice, step)
        if not first or "credits_adjusted" not in first[-1]:
            run(twice, step)
    assert once.state == twice.state


@given(steps)
def test_facts_survive_being_stored_and_read(told: list[Step]) -> None:
    book = Book()
    for step in told:
        run(book, step)
    decoder = msgspec.json.Decoder(WALLET.facts)
    assert [decoder.decode(msgspec.json.encode(fact)) for fact in book.facts] == book.facts


@given(steps, st.lists(st.integers(0, 4), max_size=25))
def test_every_fact_can_be_published(told: list[Step], pauses: list[int]) -> None:
    from runtime.store import Recorded

    book = Book()
    for step, pause in zip(told, pauses, strict=False):
        book.at += timedelta(days=pause)
        run(book, step)
    for version, fact in enumerate(book.facts, start=1):
        record = Recorded(f"wallet-{OWNER}", version, book.at, fact, "id", "c", None, "actor")
        [event] = WALLET.publish(record)
        assert type(event).model_validate_json(event.model_dump_json()) == event
        assert event.fact == fact.__struct_config__.tag
