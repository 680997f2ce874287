"""The open lots of a wallet, as facts change them: a lot with nothing left leaves, or returns."""

from services.ledger.events import LotTerms, Slice
from services.ledger.wallet import OpenLot, Range

Lots = dict[str, OpenLot]


class ContradictionError(Exception):
    """A fact does not fit the wallet that it is said to have happened in."""


def lot_in(lots: Lots, lot_id: str) -> OpenLot:
    """Return an open lot."""
    lot = lots.get(lot_id)
    if lot is None:
        raise ContradictionError(f"lot {lot_id} is not open")
    return lot


def keep(lots: Lots, lot: OpenLot, free: tuple[Range, ...], held: int) -> None:
    """Put a lot back as it is now; one with nothing left leaves the wallet."""
    if not free and held == 0:
        lots.pop(lot.lot_id, None)
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
        lot.frozen,
    )


def reopened(part: Slice, terms: LotTerms, *, frozen: bool) -> OpenLot:
    """Return a lot that nothing was left of, still without anything."""
    return OpenLot(
        part.lot_id,
        terms.position,
        part.lot_kind,
        part.lot_credits,
        part.lot_price_minor,
        terms.granted_at,
        terms.expires_at,
        (),
        0,
        frozen,
    )


def in_position(lots: Lots) -> Lots:
    """Return the lots in the order in which they were granted, which they keep in a wallet."""
    return dict(sorted(lots.items(), key=lambda item: item[1].position))


def terms_of(lot: OpenLot) -> LotTerms:
    """Return what its slices do not say of a lot."""
    return LotTerms(
        lot_id=lot.lot_id,
        position=lot.position,
        granted_at=lot.granted_at,
        expires_at=lot.expires_at,
    )
