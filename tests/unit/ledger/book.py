"""A wallet to tell things to, with what the handlers keep beside it, and facts as short lines.

A line names the fact, what it is of, and the slices it moves: `hold_placed d1 a[0:30] p[0:20]`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from contracts.ledger.v1 import RequestRefused
from runtime.refusal import Refusal
from services.ledger.commands import (
    AdjustCredits,
    AwardCredits,
    ExpireDueLots,
    PlaceHold,
    RecordPurchase,
    ReleaseHold,
    SettleHold,
    WalletCommand,
)
from services.ledger.decider import decide, evolve
from services.ledger.events import (
    AwardKind,
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    Fact,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    PurchaseRefunded,
    ReleaseReason,
    Reversal,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)
from services.ledger.knowledge import DeploymentHolds, Settings, Shares
from services.ledger.spending import SpendingBook
from services.ledger.wallet import Wallet

START: Final = datetime(2026, 3, 1, 9, tzinfo=UTC)
OWNER: Final = "owner"
FINANCE: Final = "finance"
SETTINGS: Final = Settings(version=7, shares=(Shares(START - timedelta(days=30), 3000, 1000),))


@dataclass
class Book:
    """One wallet, the clock, the settings, and what became of each deployment's holds."""

    at: datetime = START
    settings: Settings = SETTINGS
    wallet: Wallet = field(default_factory=Wallet)
    facts: list[Fact] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    deployments: dict[str, DeploymentHolds] = field(default_factory=dict)
    spending: SpendingBook = field(default_factory=SpendingBook)

    def holds(self, deployment_id: str) -> DeploymentHolds:
        """Return what is known of a deployment's holds."""
        return self.deployments.get(deployment_id, DeploymentHolds())

    def tell(self, command: WalletCommand, deployment_id: str | None = None) -> list[Fact]:
        """Decide, keep what was decided, and return it."""
        before = self.wallet
        facts = decide(command, before, self.at)
        for fact in facts:
            self.wallet = evolve(self.wallet, fact)
            self.spending.take(fact)
            if deployment_id is not None:
                self.deployments[deployment_id] = self.holds(deployment_id).after(fact, before)
        self.facts += facts
        self.times += [self.at] * len(facts)
        return facts

    @property
    def state(self) -> bytes:
        """Return the wallet as it is kept."""
        return msgspec.msgpack.encode(self.wallet)


Step = Callable[[Book], list[Fact]]


def given(*steps: Step, settings: Settings = SETTINGS) -> Book:
    """Return a wallet that all this has happened to."""
    book = Book(settings=settings)
    for step in steps:
        step(book)
    return book


def when(book: Book, step: Step) -> list[str]:
    """Return what a step brings, as lines; a refusal, as it is told, is the line of its code."""
    before = book.state
    try:
        return lines(step(book))
    except Refusal as refusal:
        assert book.state == before, "a refused command changed the wallet"
        told = RequestRefused(
            request_id="r", code=refusal.code, detail=refusal.detail, details=refusal.fields
        )
        return [f"refused {told.code}"]


def lines(facts: Sequence[Fact]) -> list[str]:
    """Return facts as lines."""
    return [_line(fact) for fact in facts]


def days(number: float) -> Step:
    """Let time pass."""

    def step(book: Book) -> list[Fact]:
        book.at += timedelta(days=number)
        return []

    return step


def award(
    lot_id: str,
    number: int,
    *,
    days_to_live: float | None = None,
    kind: AwardKind = "award.admin",
    awarded_by: str = FINANCE,
) -> Step:
    """Award credits."""

    def step(book: Book) -> list[Fact]:
        expires_at = None if days_to_live is None else book.at + timedelta(days=days_to_live)
        return book.tell(
            AwardCredits(
                user_id=OWNER,
                lot_id=lot_id,
                kind=kind,
                credits=number,
                currency="USD",
                source="award:r1",
                reason="for the outage",
                awarded_by=awarded_by,
                expires_at=expires_at,
            )
        )

    return step


def purchase(
    lot_id: str,
    number: int,
    price_minor: int,
    *,
    bonus: int = 0,
    currency: str = "USD",
    recorded_by: str = FINANCE,
) -> Step:
    """Record a purchase."""

    def step(book: Book) -> list[Fact]:
        return book.tell(
            RecordPurchase(
                user_id=OWNER,
                lot_id=lot_id,
                credits=number,
                price_minor=price_minor,
                currency=currency,
                source="INV-1",
                recorded_by=recorded_by,
                bonus_credits=bonus,
                payment_id=f"pi_{lot_id}",
                platform_currency=book.settings.currency,
                booked=book.spending.lot(lot_id) is not None,
            )
        )

    return step


def hold(
    name: str,
    list_price: int,
    *,
    premium: bool = False,
    partner_id: str | None = None,
    agent_id: str | None = None,
    deployment_id: str | None = None,
    days_to_live: float = 1,
) -> Step:
    """Ask for a hold of a deployment; both are called `name` unless it is said otherwise."""
    of = deployment_id or name

    def step(book: Book) -> list[Fact]:
        return book.tell(
            PlaceHold(
                user_id=OWNER,
                hold_id=name,
                deployment_id=of,
                build_id=f"build-{name}",
                module_id="module-1",
                module_name="gke-cluster",
                module_version=3,
                partner_id=partner_id,
                agent_id=agent_id,
                project="shop",
                list_price=list_price,
                premium=premium,
                requested_at=book.at,
                expires_at=book.at + timedelta(days=days_to_live),
                settings=book.settings,
                deployment=book.holds(of),
            ),
            of,
        )

    return step


def settle(name: str, *, deployment_id: str | None = None) -> Step:
    """Settle a hold."""
    of = deployment_id or name

    def step(book: Book) -> list[Fact]:
        return book.tell(SettleHold(hold_id=name, deployment=book.holds(of)), of)

    return step


def release(
    name: str, *, reason: ReleaseReason = "FAILED", deployment_id: str | None = None
) -> Step:
    """Release a hold."""
    of = deployment_id or name

    def step(book: Book) -> list[Fact]:
        return book.tell(ReleaseHold(hold_id=name, reason=reason, deployment=book.holds(of)), of)

    return step


def spend(name: str, list_price: int, *, premium: bool = False) -> Step:
    """Hold and settle."""

    def step(book: Book) -> list[Fact]:
        placed = hold(name, list_price, premium=premium)(book)
        return [*placed, *settle(name)(book)]

    return step


def adjust(number: int, *, adjusted_by: str = FINANCE) -> Step:
    """Take credits away."""

    def step(book: Book) -> list[Fact]:
        return book.tell(
            AdjustCredits(
                user_id=OWNER, credits=number, reason="booked twice", adjusted_by=adjusted_by
            )
        )

    return step


def expire() -> Step:
    """Expire what is due, as the timer does."""

    def step(book: Book) -> list[Fact]:
        return book.tell(ExpireDueLots())

    return step


def with_settings(**changes: object) -> Step:
    """Change the settings."""

    def step(book: Book) -> list[Fact]:
        book.settings = msgspec.structs.replace(book.settings, **changes)
        return []

    return step


def _line(fact: Fact) -> str:  # noqa: PLR0911 - one return for each fact
    match fact:
        case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
            return f"{_name(fact)} {lot.lot_id} {lot.credits}"
        case HoldPlaced(hold=hold) | HoldSettled(hold=hold):
            return " ".join([_name(fact), hold.hold_id, *_ranges(hold.slices)])
        case HoldReleased(hold=hold):
            back = [_name(fact), hold.hold_id, *_ranges(hold.slices)]
            return " ".join([*back, *_also("voids", fact.voided)])
        case HoldRefused():
            return f"hold_refused {fact.hold_id} {fact.code} {fact.required} of {fact.available}"
        case CreditsExpired(slices=slices) | CreditsAdjusted(slices=slices):
            return " ".join([_name(fact), *_ranges(slices)])
        case _:
            return _line_of_reversal(fact)


def _line_of_reversal(fact: Reversal) -> str:
    match fact:
        case SettlementRefunded(hold=hold, slices=slices):
            cancelled = _also("cancels", fact.debt_cancelled)
            return " ".join([_name(fact), hold.hold_id, *_ranges(slices), *cancelled])
        case SettlementReversed(hold=hold, slices=slices):
            return " ".join([_name(fact), hold.hold_id, *_ranges(slices)])
        case DebtRepaid(hold=hold, slices=slices):
            by = _also("by", slices)
            return " ".join([_name(fact), hold.hold_id, *_ranges(fact.reversed), *by])
        case PurchaseRefunded(slices=slices):
            more = [*_also("held", fact.held), *_also("ended", fact.ended)]
            return " ".join([_name(fact), fact.lot_id, *_ranges(slices), *more])
        case DisputeOpened(slices=slices) | DisputeClosed(slices=slices):
            return " ".join([_name(fact), fact.lot_id, *_ranges(slices)])


def _also(word: str, slices: Sequence[Slice]) -> list[str]:
    return [word, *_ranges(slices)] if slices else []


def _name(fact: Fact) -> str:
    return str(fact.__struct_config__.tag)


def _ranges(slices: Sequence[Slice]) -> list[str]:
    return [f"{s.lot_id}[{s.start}:{s.end}]" for s in slices]


@dataclass(frozen=True)
class Row:
    """One claim of a table: what was given, what is done, and the lines it brings."""

    claim: str
    given: tuple[Step, ...]
    when: Step
    then: tuple[str, ...]
    settings: Settings = SETTINGS

    def check(self) -> None:
        """Assert that it is so."""
        assert when(given(*self.given, settings=self.settings), self.when) == list(self.then)


CREDITS_OFF: Final = msgspec.structs.replace(SETTINGS, credits_enabled=False)


def later(book: Book, number: float) -> Book:
    """Return the same wallet some days later."""
    return replace(book, at=book.at + timedelta(days=number))
