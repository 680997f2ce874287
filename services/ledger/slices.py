"""Arithmetic on the free ranges of one lot: sorted, disjoint, never touching, half-open."""

from collections.abc import Iterable

from services.ledger.wallet import Range


class OverlapError(Exception):
    """Ranges contradict each other: the facts of a wallet do not fit together."""


def size(ranges: Iterable[Range]) -> int:
    """Return how many credits there are in all."""
    return sum(end - start for start, end in ranges)


def lowest(free: tuple[Range, ...], credits_wanted: int) -> tuple[Range, ...]:
    """Return the lowest ranges that hold so many credits, or all where there are fewer."""
    taken = []
    for start, end in free:
        if credits_wanted <= 0:
            break
        stop = min(end, start + credits_wanted)
        taken.append((start, stop))
        credits_wanted -= stop - start
    return tuple(taken)


def highest(ranges: tuple[Range, ...], credits_wanted: int) -> tuple[Range, ...]:
    """Return the highest ranges that hold so many credits, lowest first, or all if fewer."""
    taken = []
    for start, end in reversed(ranges):
        if credits_wanted <= 0:
            break
        begin = max(start, end - credits_wanted)
        taken.append((begin, end))
        credits_wanted -= end - begin
    return tuple(reversed(taken))


def without(free: tuple[Range, ...], start: int, end: int) -> tuple[Range, ...]:
    """Return what is left of the free ranges when one range is taken out of one of them."""
    for index, (free_start, free_end) in enumerate(free):
        if free_start <= start < end <= free_end:
            left = ((free_start, start),) if free_start < start else ()
            right = ((end, free_end),) if end < free_end else ()
            return free[:index] + left + right + free[index + 1 :]
    raise OverlapError(f"credits {start} to {end} are not free in {free}")


def with_back(free: tuple[Range, ...], start: int, end: int) -> tuple[Range, ...]:
    """Return the free ranges with one more, joined to its neighbours where they touch."""
    index = 0
    while index < len(free) and free[index][0] < start:
        index += 1
    before, after = free[:index], free[index:]
    if start >= end or (before and before[-1][1] > start) or (after and after[0][0] < end):
        raise OverlapError(f"credits {start} to {end} cannot come back to {free}")
    if before and before[-1][1] == start:
        start, before = before[-1][0], before[:-1]
    if after and after[0][0] == end:
        end, after = after[0][1], after[1:]
    return (*before, (start, end), *after)
