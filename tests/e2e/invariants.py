"""What must hold of a whole system once nothing is on its way any more.

Everything is read where it is kept: the five databases, each as its service, and the bus. What is
checked is recomputed here in the plainest way there is, from the messages alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from contracts.deployer import v1 as deployer
from contracts.envelope import Envelope
from contracts.ledger import v1 as ledger
from contracts.revenue import v1 as revenue
from tests.e2e.kept import Kept, carried_by_the_bus, when_quiet
from tests.e2e.system import System


async def broken(system: System) -> list[str]:
    """Return what does not hold, a sentence each; waits until nothing is on its way."""
    kept = await when_quiet(system)
    messages = {envelope.id: envelope for one in kept.values() for envelope in one.outbox}
    wallets = _of(messages.values(), ledger.WalletEvent)
    return [
        *_gaps(kept),
        *await _bus_and_outboxes(system, messages),
        *_holds(wallets),
        *_deployments(messages.values(), wallets),
        *_credits(wallets),
        *_revenue(messages.values(), wallets),
        *_commands(system),
    ]


def _gaps(kept: dict[str, Kept]) -> list[str]:
    """Sequences of published messages are contiguous in every stream."""
    found = []
    for name, one in kept.items():
        streams: dict[str, list[int]] = defaultdict(list)
        for envelope in one.outbox:
            streams[envelope.subject].append(envelope.sequence)
        found += [
            f"{name} published {stream} as {sequences}"
            for stream, sequences in streams.items()
            if sorted(sequences) != list(range(1, len(sequences) + 1))
        ]
    return found


async def _bus_and_outboxes(system: System, messages: dict[str, Envelope[Any]]) -> list[str]:
    """The bus carries exactly what the outboxes hold, each message once."""
    carried = Counter(await carried_by_the_bus(system))
    return [
        *(f"the bus carries {i}, which no outbox has" for i in carried.keys() - messages.keys()),
        *(
            f"the bus lacks {messages[i].type} {messages[i].subject} {messages[i].sequence}"
            for i in messages.keys() - carried.keys()
        ),
        *(f"the bus carries {i} {count} times" for i, count in carried.items() if count > 1),
    ]


def _of(messages: Iterable[Envelope[Any]], kind: type[Any]) -> list[Envelope[Any]]:
    return [envelope for envelope in messages if isinstance(envelope.data, kind)]


def _holds(wallets: list[Envelope[Any]]) -> list[str]:
    """A hold ends exactly once, by a settlement or a release of the very slices it took."""
    placed = {e.data.hold.hold_id: e.data.hold for e in _of(wallets, ledger.HoldPlaced)}
    ends = _of(wallets, ledger.HoldSettled) + _of(wallets, ledger.HoldReleased)
    times = Counter(e.data.hold.hold_id for e in ends)
    settled = Counter(e.data.hold.deployment_id for e in _of(wallets, ledger.HoldSettled))
    return [
        *(f"hold {hold} ended {times[hold]} times" for hold in placed if times[hold] != 1),
        *(
            f"hold {e.data.hold.hold_id} did not end as it was placed"
            for e in ends
            if placed.get(e.data.hold.hold_id) != e.data.hold
        ),
        *(f"deployment {d} was settled {count} times" for d, count in settled.items() if count > 1),
    ]


def _deployments(messages: Iterable[Envelope[Any]], wallets: list[Envelope[Any]]) -> list[str]:
    """What succeeded was settled, and nothing else was."""
    created = {
        e.data.deployment_id
        for e in _of(messages, deployer.DeploymentSucceeded)
        if e.data.action == "CREATE"
    }
    settled = {e.data.hold.deployment_id for e in _of(wallets, ledger.HoldSettled)}
    return [f"deployment {d} succeeded or was settled, not both" for d in created ^ settled]


def _credits(wallets: list[Envelope[Any]]) -> list[str]:
    """Every credit that entered a lot is spent, gone or there; none is spent twice or held."""
    ordered = sorted(wallets, key=lambda e: (e.subject, e.sequence))
    balances = {e.data.user_id: e.data.balance for e in ordered}
    left: Counter[str] = Counter()
    lots: dict[str, ledger.Lot] = {}
    gone: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for envelope in ordered:
        lot = getattr(envelope.data, "lot", None)
        if lot is not None:
            lots[lot.lot_id] = lot
            left[envelope.data.user_id] += lot.credits
        for ended in _slices_gone(envelope.data):
            gone[ended.lot_id].append((ended.start, ended.end))
            left[envelope.data.user_id] -= ended.end - ended.start
    return [
        *(
            f"{user} has {balance}, but {left[user]} credits are left"
            for user, balance in balances.items()
            if balance.awarded + balance.purchased != left[user]
        ),
        *(
            f"{user} still has credits held: {balance}"
            for user, balance in balances.items()
            if balance.awarded_held or balance.purchased_held
        ),
        *(
            f"lot {lot_id} of {lots[lot_id].credits} was spent as {sorted(ranges)}"
            for lot_id, ranges in gone.items()
            if max(end for _, end in ranges) > lots[lot_id].credits
            or any(first[1] > second[0] for first, second in pairwise(sorted(ranges)))
        ),
    ]


def _slices_gone(event: Any) -> tuple[ledger.Slice, ...]:
    if isinstance(event, ledger.HoldSettled):
        return event.hold.slices
    if isinstance(event, ledger.CreditsExpired | ledger.CreditsAdjusted):
        return event.slices
    return ()


def _revenue(messages: Iterable[Envelope[Any]], wallets: list[Envelope[Any]]) -> list[str]:
    """What is spent and paid earned its value, and payees their share of it."""
    messages = list(messages)
    earned: Counter[str] = Counter()
    for line in _of(messages, revenue.RevenueLine):
        earned[line.data.hold_id] += line.data.true_revenue.amount_minor
    settled = {e.data.hold.hold_id: e.data.hold for e in _of(wallets, ledger.HoldSettled)}
    worth: Counter[str] = Counter()
    for envelope in wallets:
        for hold_id, spent in _paid(envelope.data):
            worth[hold_id] += spent
    found = [
        f"hold {hold} is worth {worth[hold]}, but earned {earned[hold]}"
        for hold in sorted({*settled, *earned, *worth})
        if worth[hold] != earned[hold] or hold not in settled
    ]
    exact: Counter[str] = Counter()
    for hold_id, hold in settled.items():
        rule = hold.share_rule
        if hold.partner_id not in (None, hold.user_id):
            exact[hold.partner_id] += worth[hold_id] * rule.partner_basis_points
        if hold.agent_id not in (None, hold.user_id):
            exact[hold.agent_id] += worth[hold_id] * rule.agent_basis_points
    totals: dict[str, int] = {}
    shares = _of(messages, revenue.PayeeLine)
    for envelope in sorted(shares, key=lambda e: (e.subject, e.sequence)):
        payee = envelope.data.payee_id
        totals[payee] = totals.get(payee, 0) + envelope.data.share.amount_minor
        if envelope.data.running_total.amount_minor != totals[payee]:
            found.append(f"line {envelope.sequence} of {payee} has a wrong running total")
    found += [
        f"{payee} is due {exact[payee] // 10_000}, but accrued {totals.get(payee, 0)}"
        for payee in sorted({*exact, *totals})
        if exact[payee] // 10_000 != totals.get(payee, 0)
    ]
    return found


def _paid(event: Any) -> Iterator[tuple[str, int]]:
    """Yield what a wallet's message changes of the value that is spent and paid in a hold."""
    match event:
        case ledger.HoldSettled():
            yield event.hold.hold_id, sum(map(_worth, event.hold.slices))
        case ledger.DebtRepaid():
            yield event.hold.hold_id, sum(map(_worth, event.slices))
        case ledger.SettlementRefunded() | ledger.SettlementReversed():
            yield event.hold.hold_id, -sum(map(_worth, event.slices))
        case _:
            return


def _worth(spent: ledger.Slice) -> int:
    if spent.lot_kind != "purchase":
        return 0
    price, whole = spent.lot_price_minor, spent.lot_credits
    return price * spent.end // whole - price * spent.start // whole


def _commands(system: System) -> list[str]:
    """The chain verifies, replay agrees with the live projections, nothing is parked."""
    found = []
    for words in (
        ("ledger", "verify"),
        ("replay", "--engine", "exact"),
        ("parked", "list"),
    ):
        answer = system.run(*words)
        if answer.returncode != 0:
            found.append(f"tollgate {' '.join(words)}: {answer.stdout}{answer.stderr}")
    return found
