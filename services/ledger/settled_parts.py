"""What a settlement is paid with now: its slices in order, and which of them are unpaid debt.

A settlement is the slices of its hold until something is taken back. A refund to the user cuts it
from its end; a reversal makes parts of it unpaid; a repayment puts slices of another lot there.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from services.ledger.events import LotTerms, Slice
from services.ledger.wallet import Part

Parts = tuple[Part, ...]


class PartsError(Exception):
    """What a fact takes of a settlement is not in it: the facts do not fit together."""


def parts_of(slices: Iterable[Slice], refunded_credits: int) -> Parts:
    """Return a settlement as it was paid, less what was given back from its end."""
    return before_end(tuple(Part(each) for each in slices), refunded_credits)[0]


def before_end(parts: Parts, credits_back: int) -> tuple[Parts, Parts]:
    """Return what is left when so many credits are taken from the end, and what was taken."""
    kept, taken = list(parts), list[Part]()
    while credits_back > 0:
        if not kept:
            raise PartsError(f"the settlement has {credits_back} credits too few")
        last = kept.pop()
        size = min(last.slice.credits, credits_back)
        middle = last.slice.end - size
        if middle > last.slice.start:
            kept.append(_cut(last, last.slice.start, middle))
        taken.append(_cut(last, middle, last.slice.end))
        credits_back -= size
    return tuple(kept), tuple(reversed(taken))


def first_credits(slices: Iterable[Slice], number: int) -> tuple[Slice, ...]:
    """Return the first so many credits of slices."""
    first = []
    for each in slices:
        size = min(each.credits, number)
        if size == 0:
            break
        first.append(replace(each, end=each.start + size))
        number -= size
    return tuple(first)


def with_unpaid(parts: Parts, slices: Iterable[Slice]) -> Parts:
    """Return the parts once these slices, which were paid, are not."""
    for each in slices:
        parts = _replaced(parts, each, unpaid=False, by=(Part(each, unpaid=True),))
    return parts


def with_repaid(
    parts: Parts, unpaid: Sequence[Slice], slices: Sequence[Slice], lots: Mapping[str, LotTerms]
) -> Parts:
    """Return the parts once slices, of `lots`, have taken the place of unpaid ones, in order."""
    for was, by in pairs(unpaid, slices):
        parts = _replaced(parts, was, unpaid=True, by=(Part(by, lot=lots[by.lot_id]),))
    return parts


def pairs(first: Sequence[Slice], second: Sequence[Slice]) -> list[tuple[Slice, Slice]]:
    """Return two sequences of as many credits, cut so that each piece has its counterpart."""
    if sum(s.credits for s in first) != sum(s.credits for s in second):
        raise PartsError("what takes a place is not as much as what was there")
    result = []
    left, right = list(reversed(first)), list(reversed(second))
    while left:
        one, other = left.pop(), right.pop()
        size = min(one.credits, other.credits)
        if size < one.credits:
            left.append(replace(one, start=one.start + size))
        if size < other.credits:
            right.append(replace(other, start=other.start + size))
        result.append((replace(one, end=one.start + size), replace(other, end=other.start + size)))
    return result


def without_slices(slices: Iterable[Slice], gone: Iterable[Slice]) -> tuple[Slice, ...]:
    """Return what is left of slices when ranges of them are taken out."""
    parts = tuple(Part(each) for each in slices)
    for each in gone:
        parts = _replaced(parts, each, unpaid=False, by=())
    return tuple(part.slice for part in parts)


def _replaced(parts: Parts, gone: Slice, *, unpaid: bool, by: Parts) -> Parts:
    """Return the parts with others in the place of a range, which lies in one or in neighbours."""
    result: list[Part] = []
    missing, waiting = gone.credits, by
    for part in parts:
        start, end = max(part.slice.start, gone.start), min(part.slice.end, gone.end)
        if part.slice.lot_id != gone.lot_id or part.unpaid != unpaid or start >= end:
            result.append(part)
            continue
        if part.slice.start < start:
            result.append(_cut(part, part.slice.start, start))
        result += waiting
        waiting = ()
        if end < part.slice.end:
            result.append(_cut(part, end, part.slice.end))
        missing -= end - start
    if missing:
        raise PartsError(f"{gone.lot_id}[{gone.start}:{gone.end}] is not in the settlement")
    return tuple(result)


def _cut(part: Part, start: int, end: int) -> Part:
    return Part(replace(part.slice, start=start, end=end), part.unpaid, part.lot)
