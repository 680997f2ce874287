"""Wallets: the balance now, each lot, and the history from which both can be checked."""

from collections import Counter
from collections.abc import Iterable, Iterator

from contracts.envelope import Envelope
from contracts.ledger.v1 import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    Hold,
    HoldPlaced,
    HoldReleased,
    HoldSettled,
    Lot,
    PurchaseRefunded,
    SettlementRefunded,
    SettlementReversed,
    Slice,
    WalletEvent,
)
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_BALANCE = """
    insert into wallets (user_id, awarded, purchased, awarded_held, purchased_held,
                         awarded_frozen, purchased_frozen, debt, sequence, changed_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (user_id) do update
    set awarded = excluded.awarded, purchased = excluded.purchased,
        awarded_held = excluded.awarded_held, purchased_held = excluded.purchased_held,
        awarded_frozen = excluded.awarded_frozen, purchased_frozen = excluded.purchased_frozen,
        debt = excluded.debt,
        sequence = excluded.sequence, changed_at = excluded.changed_at
    where wallets.sequence < excluded.sequence"""
_HISTORY = """
    insert into credit_history (user_id, sequence, id, at, type, credits, awarded_delta,
                                purchased_delta, awarded, purchased, awarded_held, purchased_held,
                                awarded_frozen, purchased_frozen, debt, deployment_id, lot_id,
                                reason, actor)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
    on conflict (user_id, sequence) do nothing"""
_LOT = """
    insert into lots (lot_id, user_id, kind, credits, remaining, held, expired, price_minor,
                      currency, source, reason, granted_by, granted_at, expires_at, bonus_of)
    values ($1, $2, $3, $4, $4, 0, 0, $5, $6, $7, $8, $9, $10, $11, $12)
    on conflict (lot_id) do nothing"""
_MOVE = """
    update lots set remaining = remaining - $2, held = held + $3, expired = expired + $4,
                    voided = voided + $5
    where lot_id = $1"""
_DISPUTE = """
    update lots set disputes_open = disputes_open + $2 where lot_id = any($1::text[])"""
# All that a hold changes, in one round trip, for customers wait for it.
_HELD = f"""
    with balance as ({_BALANCE}),
    line as (
        insert into credit_history (user_id, sequence, id, at, type, credits, awarded_delta,
                                    purchased_delta, awarded, purchased, awarded_held,
                                    purchased_held, awarded_frozen, purchased_frozen, debt,
                                    deployment_id, lot_id, reason, actor)
        values ($1, $9, $11, $10, $12, $13, $14, $15, $2, $3, $4, $5, $6, $7, $8, $16, $17, $18,
                $19)
        on conflict (user_id, sequence) do nothing),
    moved as (
        update lots set held = lots.held + part.credits
        from unnest($20::text[], $21::bigint[]) as part (lot_id, credits)
        where lots.lot_id = part.lot_id)
    insert into holds (hold_id, deployment_id, user_id, status, cost, awarded_part, purchased_part,
                       placed_at)
    values ($22, $16, $1, 'HELD', $23, $24, $25, $26)
    on conflict (hold_id) do nothing"""  # noqa: S608 - a statement of our own
_HOLD_ENDED = "update holds set status = $2, ended_at = $3, reason = $4 where hold_id = $1"
_HOLD_REFUNDED = "update holds set refunded = $2 where hold_id = $1"

Line = tuple[str, int, int, int, str | None, str | None, str | None, str | None]
"""Type, credits, awarded and purchased delta, deployment, lot, reason, actor."""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope) or not isinstance(change.data, WalletEvent):
        return
    event = change.data
    balance = (
        event.balance.awarded,
        event.balance.purchased,
        event.balance.awarded_held,
        event.balance.purchased_held,
        event.balance.awarded_frozen,
        event.balance.purchased_frozen,
        event.balance.debt,
    )
    now = (event.user_id, *balance, change.sequence, change.time)
    line = history_line(event)
    if isinstance(event, HoldPlaced) and line is not None:
        yield _HELD, (*now, change.id, *line, *_hold_values(event.hold))
        return
    yield _BALANCE, now
    if line is not None:
        kind, credits_moved, awarded, purchased, *rest = line
        numbers = (credits_moved, awarded, purchased, *balance)
        head = (event.user_id, change.sequence, change.id, change.time, kind)
        yield _HISTORY, (*head, *numbers, *rest)
    yield from _lots(event)
    yield from _holds(event, change)


def history_line(event: WalletEvent) -> Line | None:
    """Return the line of history that a wallet's message is, or nothing.

    `credits` is what the line is about, with the sign that it has for the user. The deltas are of
    the balance: a hold and a release move no credits, so theirs are 0.
    """
    match event:
        case CreditsAwarded(lot=lot):
            return (
                *("AWARD", lot.credits, lot.credits, 0),
                *(None, lot.lot_id, event.reason, event.awarded_by),
            )
        case CreditsPurchased(lot=lot):
            return (
                *("PURCHASE", lot.credits, 0, lot.credits),
                *(None, lot.lot_id, lot.source, event.recorded_by),
            )
        case HoldPlaced(hold=hold):
            return ("HOLD", -hold.cost, 0, 0, hold.deployment_id, None, hold.module_name, None)
        case HoldReleased(hold=hold, voided=voided):
            awarded, purchased = _parts(voided)
            about = (hold.deployment_id, None, event.reason, None)
            return ("RELEASE", hold.cost, -awarded, -purchased, *about)
        case HoldSettled(hold=hold):
            parts = (-hold.cost, -hold.awarded_credits, -hold.purchased_credits)
            return ("SPEND", *parts, hold.deployment_id, None, hold.module_name, None)
        case CreditsExpired():
            return _gone("EXPIRY", event.slices, event.lot_id, None, None)
        case CreditsAdjusted():
            return _gone("ADJUSTMENT", event.slices, None, event.reason, event.adjusted_by)
        case _:
            return _line_of_reversal(event)


def _line_of_reversal(event: WalletEvent) -> Line | None:
    """Return the line of what took something back: purchased credits are counted net of debt."""
    match event:
        case SettlementRefunded(hold=hold, slices=slices):
            awarded, purchased = _parts(slices)
            purchased += sum(_parts(event.debt_cancelled))
            return (
                *("REFUND", event.credits, awarded, purchased),
                *(hold.deployment_id, None, event.reason, event.refunded_by),
            )
        case PurchaseRefunded(slices=slices, lot_id=lot_id):
            return _gone("PURCHASE_REFUND", slices, lot_id, event.reason, event.refunded_by)
        case SettlementReversed(hold=hold, slices=slices):
            owed = sum(_parts(slices))
            return ("REVERSAL", -owed, 0, -owed, hold.deployment_id, None, event.cause, None)
        case DebtRepaid(hold=hold, slices=slices):
            repaid = sum(_parts(slices))
            lot_id = slices[0].lot_id
            return (
                *("DEBT_REPAYMENT", repaid, 0, 0),
                *(hold.deployment_id, lot_id, event.cause, None),
            )
        case DisputeOpened(slices=slices, lot_id=lot_id):
            return ("DISPUTE", -sum(_parts(slices)), 0, 0, None, lot_id, event.reason, None)
        case DisputeClosed(slices=slices, lot_id=lot_id):
            return ("DISPUTE", sum(_parts(slices)), 0, 0, None, lot_id, event.outcome, None)
        case _:
            return None


def _gone(
    kind: str, slices: Iterable[Slice], lot_id: str | None, reason: str | None, actor: str | None
) -> Line:
    awarded, purchased = _parts(slices)
    return (kind, -(awarded + purchased), -awarded, -purchased, None, lot_id, reason, actor)


def _parts(slices: Iterable[Slice]) -> tuple[int, int]:
    """Return how many awarded and how many purchased credits slices are."""
    purchased = awarded = 0
    for each in slices:
        if each.lot_kind == "purchase":
            purchased += each.end - each.start
        else:
            awarded += each.end - each.start
    return awarded, purchased


def _lots(event: WalletEvent) -> Iterator[Statement]:
    match event:
        case CreditsAwarded(lot=lot):
            yield _granted(event.user_id, lot, event.reason, event.awarded_by)
        case CreditsPurchased(lot=lot):
            yield _granted(event.user_id, lot, None, event.recorded_by)
        case HoldReleased(hold=hold, voided=voided):
            yield from (_moved(lot_id, held=-n) for lot_id, n in _by_lot(hold.slices))
            yield from (_moved(lot_id, spent=n, voided=n) for lot_id, n in _by_lot(voided))
        case HoldSettled(hold=hold):
            yield from (_moved(lot_id, held=-n, spent=n) for lot_id, n in _by_lot(hold.slices))
        case CreditsExpired(slices=slices):
            yield from (_moved(lot_id, spent=n, expired=n) for lot_id, n in _by_lot(slices))
        case CreditsAdjusted(slices=slices):
            yield from (_moved(lot_id, spent=n) for lot_id, n in _by_lot(slices))
        case _:
            yield from _lots_taken_back(event)


def _lots_taken_back(event: WalletEvent) -> Iterator[Statement]:
    match event:
        case SettlementRefunded(slices=slices):
            yield from (_moved(lot_id, spent=-n) for lot_id, n in _by_lot(slices))
        case PurchaseRefunded(slices=slices):
            yield from (_moved(lot_id, spent=n, voided=n) for lot_id, n in _by_lot(slices))
        case SettlementReversed(slices=slices):
            yield from (_moved(lot_id, voided=n) for lot_id, n in _by_lot(slices))
        case DebtRepaid(slices=slices):
            yield from (_moved(lot_id, spent=n) for lot_id, n in _by_lot(slices))
        case DisputeOpened():
            yield _DISPUTE, ([event.lot_id, event.bonus_lot_id or event.lot_id], 1)
        case DisputeClosed():
            yield _DISPUTE, ([event.lot_id, event.bonus_lot_id or event.lot_id], -1)
        case _:
            return


def _granted(user_id: str, lot: Lot, reason: str | None, granted_by: str) -> Statement:
    price = (lot.price_minor, lot.currency, lot.source, reason, granted_by)
    return _LOT, (
        *(lot.lot_id, user_id, lot.kind, lot.credits),
        *price,
        *(lot.granted_at, lot.expires_at, lot.bonus_of),
    )


def _moved(
    lot_id: str, *, held: int = 0, spent: int = 0, expired: int = 0, voided: int = 0
) -> Statement:
    return _MOVE, (lot_id, spent, held, expired, voided)


def _by_lot(slices: Iterable[Slice]) -> list[tuple[str, int]]:
    credits_by_lot: Counter[str] = Counter()
    for each in slices:
        credits_by_lot[each.lot_id] += each.end - each.start
    return sorted(credits_by_lot.items())


def _holds(event: WalletEvent, change: Envelope[WalletEvent]) -> Iterator[Statement]:
    match event:
        case HoldSettled(hold=hold):
            yield _HOLD_ENDED, (hold.hold_id, "SETTLED", event.settled_at, None)
        case HoldReleased(hold=hold, reason=reason):
            yield _HOLD_ENDED, (hold.hold_id, "RELEASED", change.time, reason)
        case SettlementRefunded(hold=hold, refunded_total=total):
            yield _HOLD_REFUNDED, (hold.hold_id, total)
        case _:
            return


def _hold_values(hold: Hold) -> tuple[object, ...]:
    by_lot = _by_lot(hold.slices)
    parts = (hold.cost, hold.awarded_credits, hold.purchased_credits)
    lots = ([lot_id for lot_id, _ in by_lot], [credits_held for _, credits_held in by_lot])
    return (*lots, hold.hold_id, *parts, hold.placed_at)


WALLETS = SqlProjection(
    "wallets", _statements, tables=("wallets", "lots", "credit_history", "holds"), by_stream=True
)
