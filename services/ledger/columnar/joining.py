"""Checks that each settlement and release names the very parts of the hold that it ends.

Wherever none of a wallet's holds is open, what was opened since the last such place must be what
was ended since: one sum, modulo 2^64, of a mix of each hold's key and parts, added where a hold is
placed and taken off where it ends, must be back where it was. Only around holds that stay open
from chunk to chunk are keys compared one by one; as many are kept as there are such holds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
Blame = Callable[[Rows, str], None]

WRONG_PARTS: Final = "its parts are not those of the hold that it ends"
ENDED_BEFORE: Final = "no hold is open that it could end"
_MIX: Final = (
    np.int64(-7046029254386353131),
    np.int64(-4417276706812531889),
    np.int64(1609587929392839161),
)


@dataclass(frozen=True, slots=True)
class Ends:
    """What a chunk says of holds: at each row +1 where one is placed, -1 where one ends, else 0.

    `awarded` and `purchased` are what it adds to held credits, negative where a hold ends.
    `starts` and `lasts` are the first and the last row of each wallet, `wallets` says of each row
    whose it is, `open_before` how many holds each wallet had open before.
    """

    signs: Numbers
    keys: Numbers
    awarded: Numbers
    purchased: Numbers
    starts: Rows
    lasts: Rows
    wallets: Rows
    open_before: Numbers


@dataclass
class HoldJoin:
    """The holds that stay open, by their keys: their awarded and purchased parts."""

    open_holds: dict[int, tuple[int, int]] = field(default_factory=dict)

    def take(self, ends: Ends, blame: Blame) -> Numbers:
        """Take the holds that a chunk opens and ends; return how many each wallet has open."""
        starts, lasts = ends.starts, ends.lasts
        sums = np.cumsum(ends.signs)
        sums -= (sums[starts] - ends.signs[starts] - ends.open_before)[ends.wallets]
        quiet = np.flatnonzero(sums == 0)
        first = np.searchsorted(quiet, starts)
        after_last = np.searchsorted(quiet, lasts, side="right")
        late = (after_last > first) & (ends.open_before != 0)

        steps = _mixed(ends)
        mixed = np.cumsum(steps)
        bases = mixed[starts] - steps[starts]
        bases[late] = mixed[quiet[first[late]]]
        wrong = mixed[quiet] != np.repeat(bases, after_last - first)
        if wrong.any():
            blame(quiet[wrong], "the holds that ended by here are not those that were placed")

        loud = starts.copy()
        calm = after_last > first
        loud[calm] = quiet[after_last[calm] - 1] + 1
        begins = np.concatenate([loud, starts[late]])
        stops = np.concatenate([lasts + 1, quiet[first[late]] + 1])
        self._join(ends, _rows_between(begins, stops, ends.signs), blame)
        return sums[lasts]

    def _join(self, ends: Ends, rows: Rows, blame: Blame) -> None:
        """Compare the holds of some rows by their keys, first with those opened among them."""
        signs = ends.signs[rows]
        opened, ended = rows[signs > 0], rows[signs < 0]
        opened = opened[np.argsort(ends.keys[opened])]
        keys, wanted = ends.keys[opened], ends.keys[ended]
        places = np.searchsorted(keys, wanted)
        found = places < len(keys)
        found[found] = keys[places[found]] == wanted[found]
        self._end_earlier(ends, ended[~found], blame)

        places, ended = places[found], ended[found]
        begun = opened[places]
        wrong = (ends.awarded[begun] + ends.awarded[ended] != 0) | (
            ends.purchased[begun] + ends.purchased[ended] != 0
        )
        if wrong.any():
            blame(ended[wrong], WRONG_PARTS)
        stays = np.ones(len(keys), bool)
        stays[places] = False
        if np.count_nonzero(stays) != len(stays) - len(places):
            blame(ended[_repeated(places)], ENDED_BEFORE)
        left = opened[stays]
        parts = zip(ends.awarded[left].tolist(), ends.purchased[left].tolist(), strict=True)
        self.open_holds.update(zip(keys[stays].tolist(), parts, strict=True))

    def _end_earlier(self, ends: Ends, ended: Rows, blame: Blame) -> None:
        """Take the ends of holds that were placed in an earlier chunk."""
        for row, key in zip(ended.tolist(), ends.keys[ended].tolist(), strict=True):
            parts = self.open_holds.pop(key, None)
            if parts is None:
                blame(np.array([row]), ENDED_BEFORE)
            elif parts != (-int(ends.awarded[row]), -int(ends.purchased[row])):
                blame(np.array([row]), WRONG_PARTS)


def _mixed(ends: Ends) -> Numbers:
    """Return 64 bits for each hold and its parts, negated at its end; they may wrap around."""
    mixed = ends.awarded * _MIX[0]
    mixed += ends.purchased * _MIX[1]
    mixed += ends.signs * _MIX[2]
    mixed *= ends.keys
    return mixed


def _rows_between(begins: Rows, stops: Rows, signs: Numbers) -> Rows:
    """Return the rows with a sign that are from a begin on and before its stop."""
    lengths = np.maximum(stops - begins, 0)
    shifts = begins - (np.cumsum(lengths) - lengths)
    rows: Rows = np.repeat(shifts, lengths) + np.arange(int(lengths.sum()))
    found: Rows = rows[signs[rows] != 0]
    return found


def _repeated(places: Rows) -> npt.NDArray[np.bool_]:
    """Return which places are not the first of their number."""
    again = np.ones(len(places), bool)
    again[np.unique(places, return_index=True)[1]] = False
    return again
