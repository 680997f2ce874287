"""What each fact makes of a wallet. It never refuses and decides nothing: the facts say it all.

Facts that contradict the wallet (a slice that is not free, a hold that is not open) raise: they
were not decided here.
"""

from typing import assert_never

from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    Lot,
    Slice,
)
from services.ledger.slices import with_back, without
from services.ledger.wallet import HeldRange, OpenLot, Range, Wallet

Lots = dict[str, OpenLot]


class ContradictionError(Exception):
    """A fact does not fit the wallet that it is said to have happened in."""


def evolve(  # noqa: PLR0911 - one return for each fact
    wallet: Wallet, fact: Fact
) -> Wallet:
    """Return the wallet after the fact."""
    match fact:
        case CreditsAwarded(lot=lot):
            return _with_lot(wallet, fact, lot, wallet.currency)
        case CreditsPurchased(lot=lot):
            return _with_lot(wallet, fact, lot, wallet.currency or lot.currency)
        case HoldPlaced(hold=hold):
            return _place(wallet, fact, hold)
        case HoldSettled(hold=hold):
            return _settle(wallet, fact, hold)
        case HoldReleased(hold=hold):
            return _release(wallet, fact, hold)
        case CreditsExpired(slices=slices) | CreditsAdjusted(slices=slices):
            return _end(wallet, fact, slices)
        case HoldRefused():
            return wallet
        case _:
            assert_never(fact)


def _with_lot(wallet: Wallet, fact: Fact, lot: Lot, currency: str | None) -> Wallet:
    if lot.position != wallet.lots_granted:
        raise ContradictionError(f"lot {lot.lot_id} is not number {wallet.lots_granted}")
    opened = OpenLot(
        lot.lot_id,
        lot.position,
        lot.kind,
        lot.credits,
        lot.price_minor,
        lot.granted_at,
        lot.expires_at,
        ((0, lot.credits),),
        0,
    )
    lots = wallet.lots | {lot.lot_id: opened}
    return Wallet(currency, wallet.lots_granted + 1, fact.balance, lots, wallet.holds)


def _place(wallet: Wallet, fact: Fact, hold: Hold) -> Wallet:
    if hold.hold_id in wallet.holds:
        raise ContradictionError(f"hold {hold.hold_id} is open already")
    lots = dict(wallet.lots)
    for held in hold.slices:
        lot = _lot(lots, held.lot_id)
        free = without(lot.free, held.start, held.end)
        _keep(lots, lot, free, lot.held + held.end - held.start)
    holds = wallet.holds | {hold.hold_id: held_ranges(hold.slices)}
    return _after(wallet, fact, lots, holds)


def _settle(wallet: Wallet, fact: Fact, hold: Hold) -> Wallet:
    lots = dict(wallet.lots)
    for spent in hold.slices:
        lot = _lot(lots, spent.lot_id)
        _keep(lots, lot, lot.free, lot.held - (spent.end - spent.start))
    return _after(wallet, fact, lots, _without_hold(wallet, hold))


def _release(wallet: Wallet, fact: Fact, hold: Hold) -> Wallet:
    lots = dict(wallet.lots)
    for back in hold.slices:
        lot = _lot(lots, back.lot_id)
        free = with_back(lot.free, back.start, back.end)
        _keep(lots, lot, free, lot.held - (back.end - back.start))
    return _after(wallet, fact, lots, _without_hold(wallet, hold))


def _end(wallet: Wallet, fact: Fact, slices: tuple[Slice, ...]) -> Wallet:
    lots = dict(wallet.lots)
    for gone in slices:
        lot = _lot(lots, gone.lot_id)
        _keep(lots, lot, without(lot.free, gone.start, gone.end), lot.held)
    return _after(wallet, fact, lots, wallet.holds)


def held_ranges(slices: tuple[Slice, ...]) -> tuple[HeldRange, ...]:
    """Return what the wallet's state keeps of a hold's slices."""
    return tuple(HeldRange(s.lot_id, s.start, s.end) for s in slices)


def _without_hold(wallet: Wallet, hold: Hold) -> dict[str, tuple[HeldRange, ...]]:
    holds = dict(wallet.holds)
    if holds.pop(hold.hold_id, None) != held_ranges(hold.slices):
        raise ContradictionError(f"hold {hold.hold_id} is not open with these slices")
    return holds


def _lot(lots: Lots, lot_id: str) -> OpenLot:
    lot = lots.get(lot_id)
    if lot is None:
        raise ContradictionError(f"lot {lot_id} is not open")
    return lot


def _keep(lots: Lots, lot: OpenLot, free: tuple[Range, ...], held: int) -> None:
    """Put a lot back as it is now; one with nothing left leaves the wallet."""
    if not free and held == 0:
        del lots[lot.lot_id]
        return
    lots[lot.lot_id] = OpenLot(
        lot.lot_id,
        lot.position,
        lot.kind,
        lot.credits,
        lot.price_minor,
        lot.granted_at,
        lot.expires_at,
        free,
        held,
    )


def _after(
    wallet: Wallet, fact: Fact, lots: Lots, holds: dict[str, tuple[HeldRange, ...]]
) -> Wallet:
    return Wallet(wallet.currency, wallet.lots_granted, fact.balance, lots, holds)
