"""What each fact makes of a wallet. It never refuses and decides nothing: the facts say it all.

Facts that contradict the wallet (a slice that is not free, a hold that is not open) raise: they
were not decided here.
"""

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
from services.ledger.open_lots import ContradictionError, Lots, keep, lot_in
from services.ledger.settled_parts import without_slices
from services.ledger.slices import with_back, without
from services.ledger.unwinding import unwind, without_doomed
from services.ledger.wallet import HeldRange, OpenLot, Wallet


def evolve(  # noqa: PLR0911 - one return for each fact
    wallet: Wallet, fact: Fact
) -> Wallet:
    """Return the wallet after the fact."""
    match fact:
        case HoldPlaced(hold=hold):
            return _place(wallet, fact, hold)
        case HoldSettled(hold=hold):
            return _settle(wallet, fact, hold)
        case HoldReleased():
            return _release(wallet, fact)
        case CreditsAwarded(lot=lot):
            return _with_lot(wallet, fact, lot, wallet.currency)
        case CreditsPurchased(lot=lot):
            return _with_lot(wallet, fact, lot, wallet.currency or lot.currency)
        case CreditsExpired(slices=slices) | CreditsAdjusted(slices=slices):
            return _end(wallet, fact, slices)
        case HoldRefused():
            return wallet
        case _:
            return unwind(wallet, fact)


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
    return Wallet(
        currency,
        wallet.lots_granted + 1,
        fact.balance,
        lots,
        wallet.holds,
        wallet.cases,
        wallet.amended,
        wallet.debts,
    )


def _place(wallet: Wallet, fact: Fact, hold: Hold) -> Wallet:
    if hold.hold_id in wallet.holds:
        raise ContradictionError(f"hold {hold.hold_id} is open already")
    lots = dict(wallet.lots)
    for held in hold.slices:
        lot = lot_in(lots, held.lot_id)
        free = without(lot.free, held.start, held.end)
        keep(lots, lot, free, lot.held + held.end - held.start)
    holds = wallet.holds | {hold.hold_id: held_ranges(hold.slices)}
    return _after(wallet, fact, lots, holds)


def _settle(wallet: Wallet, fact: Fact, hold: Hold) -> Wallet:
    lots = dict(wallet.lots)
    for spent in hold.slices:
        lot = lot_in(lots, spent.lot_id)
        keep(lots, lot, lot.free, lot.held - (spent.end - spent.start))
    return _after(wallet, fact, lots, _without_hold(wallet, hold))


def _release(wallet: Wallet, fact: HoldReleased) -> Wallet:
    hold, voided = fact.hold, fact.voided
    lots = dict(wallet.lots)
    for back in without_slices(hold.slices, voided) if voided else hold.slices:
        lot = lot_in(lots, back.lot_id)
        free = with_back(lot.free, back.start, back.end)
        keep(lots, lot, free, lot.held - (back.end - back.start))
    for gone in voided:
        lot = lot_in(lots, gone.lot_id)
        keep(lots, lot, lot.free, lot.held - (gone.end - gone.start))
    released = _after(wallet, fact, lots, _without_hold(wallet, hold))
    return without_doomed(released, voided) if voided else released


def _end(wallet: Wallet, fact: Fact, slices: tuple[Slice, ...]) -> Wallet:
    lots = dict(wallet.lots)
    for gone in slices:
        lot = lot_in(lots, gone.lot_id)
        keep(lots, lot, without(lot.free, gone.start, gone.end), lot.held)
    return _after(wallet, fact, lots, wallet.holds)


def held_ranges(slices: tuple[Slice, ...]) -> tuple[HeldRange, ...]:
    """Return what the wallet's state keeps of a hold's slices."""
    return tuple(HeldRange(s.lot_id, s.start, s.end) for s in slices)


def _without_hold(wallet: Wallet, hold: Hold) -> dict[str, tuple[HeldRange, ...]]:
    holds = dict(wallet.holds)
    if holds.pop(hold.hold_id, None) != held_ranges(hold.slices):
        raise ContradictionError(f"hold {hold.hold_id} is not open with these slices")
    return holds


def _after(
    wallet: Wallet, fact: Fact, lots: Lots, holds: dict[str, tuple[HeldRange, ...]]
) -> Wallet:
    return Wallet(
        wallet.currency,
        wallet.lots_granted,
        fact.balance,
        lots,
        holds,
        wallet.cases,
        wallet.amended,
        wallet.debts,
    )
