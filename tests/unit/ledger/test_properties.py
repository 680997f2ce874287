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

from runtime.refusal import Refusal
from services.ledger.decider import evolve
from services.ledger.events import DisputeOutcome, Fact, HoldPlaced
from services.ledger.publishing import WALLET
from services.ledger.wallet import LotCase, Wallet
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
from tests.unit.ledger.claims import (
    assert_balance,
    assert_conserved,
    assert_decided_again,
    assert_running_minimum,
    assert_slices_are_worth_the_price,
    assert_void_is_what_was_refunded,
)
from tests.unit.ledger.taking_back import close, dispute, refund, refund_purchase

amounts = st.integers(1, 60)
prices = st.integers(0, 5_000)
lifetimes = st.one_of(st.none(), st.sampled_from([0.5, 1, 2, 5]))


class WalletMachine(RuleBasedStateMachine):
    """Tells one wallet whatever it can be told."""

    holds = Bundle("holds")
    settled = Bundle("settled")
    purchases = Bundle("purchases")
    disputes = Bundle("disputes")

    @initialize(target=purchases, number=amounts, price_minor=prices, bonus=st.integers(0, 20))
    def begin(self, number: int, price_minor: int, bonus: int) -> str:
        self.book = Book()
        self.states = [self.book.state]
        self.lots = 0
        self.deployments = 0
        return self.record_purchase(number, price_minor, bonus)

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

    @rule(target=purchases, number=amounts, price_minor=prices, bonus=st.integers(0, 20))
    def buy(self, number: int, price_minor: int, bonus: int) -> str:
        return self.record_purchase(number, price_minor, bonus)

    def record_purchase(self, number: int, price_minor: int, bonus: int) -> str:
        """Record a purchase, twice."""
        self.lots += 1
        step = purchase(f"p{self.lots}", number, price_minor, bonus=bonus)
        self.tell(step)
        assert not self.tell(step)
        return f"p{self.lots}"

    @rule(name=settled, number=st.none() | st.integers(1, 40))
    def refund_settlement(self, name: str, number: int | None) -> None:
        step = refund(name, number, refund_id=f"r{len(self.book.facts)}")
        if self.tell(step):
            assert not self.tell(step)

    @rule(lot_id=purchases, amount_minor=st.integers(1, 5_000))
    def refund_purchase(self, lot_id: str, amount_minor: int) -> None:
        step = refund_purchase(lot_id, amount_minor, refund_id=f"re{len(self.book.facts)}")
        if self.tell(step):
            assert not self.tell(step)

    @rule(lot_id=purchases)
    def refund_a_purchase_wholly(self, lot_id: str) -> None:
        lot = self.book.spending.lot(lot_id)
        case = self.book.wallet.cases.get(lot_id, LotCase())
        if lot is not None and lot.price_minor > case.refunded_minor:
            assert self.tell(refund_purchase(lot_id, lot.price_minor - case.refunded_minor))

    @rule(target=disputes, lot_id=purchases, amount_minor=st.integers(1, 5_000))
    def open_dispute(self, lot_id: str, amount_minor: int) -> tuple[str, str]:
        dispute_id = f"du{len(self.book.facts)}"
        step = dispute(lot_id, amount_minor, dispute_id=dispute_id)
        assert self.tell(step)
        assert not self.tell(step)
        return lot_id, dispute_id

    @rule(opened=consumes(disputes), outcome=st.sampled_from(["WON", "LOST"]))
    def close_dispute(self, opened: tuple[str, str], outcome: DisputeOutcome) -> None:
        lot_id, dispute_id = opened
        assert self.tell(close(lot_id, outcome, dispute_id=dispute_id))
        assert not self.tell(close(lot_id, "LOST", dispute_id=dispute_id))

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

    @rule(target=settled, list_price=st.integers(1, 60), premium=st.booleans())
    def spend_credits(self, list_price: int, *, premium: bool) -> object:
        """Hold and settle at once, so that short histories reach what comes after."""
        self.deployments += 1
        name = f"d{self.deployments}"
        facts = self.tell(hold(name, list_price, premium=premium, partner_id="partner"))
        if not any(isinstance(fact, HoldPlaced) for fact in facts):
            return multiple()
        assert self.tell(settle(name))
        return name

    @rule(target=settled, name=consumes(holds))
    def settle_hold(self, name: str) -> str:
        assert self.tell(settle(name))
        self.can_end_no_more(name)
        return name

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
    def the_balance_is_what_the_lots_come_to(self) -> None:
        assert_balance(self.book)

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
        assert_void_is_what_was_refunded(self.book)


WalletMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestWallet = WalletMachine.TestCase


steps = st.lists(
    st.one_of(
        st.builds(award, st.uuids().map(str), amounts, days_to_live=lifetimes),
        st.builds(
            purchase, st.sampled_from(["p1", "p2"]), amounts, prices, bonus=st.integers(0, 20)
        ),
        st.builds(hold, st.sampled_from(["d1", "d2", "d3"]), st.integers(0, 40)),
        st.builds(settle, st.sampled_from(["d1", "d2", "d3"])),
        st.builds(release, st.sampled_from(["d1", "d2", "d3"])),
        st.builds(adjust, st.integers(1, 20)),
        st.builds(
            refund,
            st.sampled_from(["d1", "d2", "d3"]),
            st.none() | amounts,
            refund_id=st.uuids().map(str),
        ),
        st.builds(
            refund_purchase,
            st.sampled_from(["p1", "p2"]),
            st.integers(1, 3_000),
            refund_id=st.uuids().map(str),
        ),
        st.builds(dispute, st.sampled_from(["p1", "p2"]), st.integers(1, 3_000)),
        st.builds(close, st.sampled_from(["p1", "p2"]), st.sampled_from(["WON", "LOST"])),
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
