"""Which credits go first: awarded before purchased, and within each what ends first.

Earliest expiry first and never-expiring last, then granted first, then by position in the wallet;
within a lot the lowest free range. A premium spend burns purchased lots only.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from services.ledger.events import Slice
from services.ledger.slices import lowest
from services.ledger.wallet import OpenLot, Range

ALGORITHM_VERSION: Final = 1
"""Recorded wherever slices are taken; another order is another version, beside this one."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)

Key = tuple[bool, datetime, datetime, int]


class ShortError(Exception):
    """Slices were asked for that are not there: the balance contradicts the lots."""


def burn_order(lots: Iterable[OpenLot], *, purchased_only: bool) -> list[OpenLot]:
    """Return the lots that may be spent, those to spend first at the front."""
    candidates = [
        lot for lot in lots if lot.free and not lot.frozen and (lot.purchased or not purchased_only)
    ]
    if len(candidates) > 1:
        candidates.sort(key=_key)
    return candidates


def take(
    lots: Iterable[OpenLot], credits_wanted: int, *, purchased_only: bool
) -> tuple[Slice, ...]:
    """Return the exact slices that make up so many credits, in the order they are burnt."""
    if credits_wanted == 0:
        return ()
    taken: list[Slice] = []
    for lot in burn_order(lots, purchased_only=purchased_only):
        for start, end in lowest(lot.free, credits_wanted):
            taken.append(slice_of(lot, (start, end)))
            credits_wanted -= end - start
        if credits_wanted == 0:
            return tuple(taken)
    raise ShortError(f"{credits_wanted} credits are missing in the lots")


def slice_of(lot: OpenLot, credits_range: Range) -> Slice:
    """Return a range of a lot with what it takes to value it."""
    start, end = credits_range
    return Slice(
        lot_id=lot.lot_id,
        lot_kind=lot.kind,
        lot_credits=lot.credits,
        lot_price_minor=lot.price_minor,
        start=start,
        end=end,
    )


def _key(lot: OpenLot) -> Key:
    return (lot.purchased, lot.expires_at or _NEVER, lot.granted_at, lot.position)
