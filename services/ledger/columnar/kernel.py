"""One chunk of facts as columns of numbers: what it comes to, and whether it fits together.

A chunk holds facts of wallets, by wallet and version. What a wallet came to before the chunk is
carried in `WalletStates`, so a wallet may be cut anywhere, and over as many chunks as it likes.

Which credits a hold took is checked by the *running minimum*. Let S be the running sum, for one
wallet, of what its available awarded credits gain, less the whole cost of every hold that could
take awarded and purchased credits alike. What awarded credits could not cover up to a fact is
then max(0, -min S) over the facts up to it, and what that grows by at a hold is exactly what the
hold had to take of purchased credits. No slice, lot or burn order enters into it. All that moves
recorded amounts (expiries, releases, holds of purchased credits only) enters as recorded, and can
never make it grow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.ledger import events
from services.ledger.columnar.joining import Ends, HoldJoin
from services.ledger.columns import BALANCE, MOVED

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FACTS: Final = frozenset(kind.__struct_config__.tag for kind in get_args(events.Fact))
_SIGNS: Final[Mapping[str, int]] = {"hold_placed": 1, "hold_settled": -1, "hold_released": -1}
_SPARE: Final = 2**62
PROBLEMS_KEPT: Final = 100

NUMBERS: Final = (
    "version",
    "hold_key",
    *(f"{name}_moved" for name in MOVED),
    *(f"{name}_after" for name in BALANCE),
    "awarded_spent",
    "purchased_spent",
    "standard_cost",
    "true_revenue_minor",
    "partner_basis_points",
    "agent_basis_points",
)
"""The columns of whole numbers that a chunk needs, beside `at`."""

_VERSION, _AT, _AVAILABLE, _OPEN, _BALANCE = 0, 1, 2, 3, 4
_WIDTH: Final = _BALANCE + len(BALANCE)
_PLACES: Final[Mapping[str, int]] = {name: place for place, name in enumerate(BALANCE)}
_FROZEN: Final = _BALANCE + _PLACES["awarded_frozen"]


class Chunk:
    """Facts as columns: `starts` are the rows at which a wallet begins, named in `streams`.

    `at` is microseconds since 1970 in UTC, `facts` the place in `kinds` of each fact's kind,
    `texts` the columns of texts that were asked for. `lasts` are the wallets' last rows, and
    `wallets` is the place in `streams` of each row's wallet. A column that is not there is zeros.
    """

    def __init__(
        self,
        *,
        streams: list[str],
        starts: npt.NDArray[np.intp],
        facts: npt.NDArray[np.intp],
        kinds: list[str],
        at: Numbers,
        columns: Mapping[str, Numbers],
        texts: Mapping[str, pa.DictionaryArray] | None = None,
    ) -> None:
        self.streams = streams
        self.starts = starts
        self.facts = facts
        self.kinds = kinds
        self.at = at
        self._columns = columns
        self.rows = len(at)
        self.lasts = np.append(starts[1:], self.rows) - 1
        self.wallets = np.repeat(np.arange(len(starts)), self.lasts - starts + 1)
        self._texts = texts or {}

    def __getitem__(self, name: str) -> Numbers:
        """Return a column."""
        found = self._columns.get(name)
        return np.broadcast_to(np.int64(0), self.rows) if found is None else found

    def __contains__(self, name: str) -> bool:
        """Return whether a column has anything but zeros, as far as is known."""
        return name in self._columns

    def of_kinds(self, numbers: Mapping[str, int]) -> Numbers:
        """Return a number for each row by the kind of its fact, 0 where there is none."""
        return np.array([numbers.get(kind, 0) for kind in self.kinds], np.int64)[self.facts]

    def keys(
        self, name: str, rows: npt.NDArray[np.intp]
    ) -> tuple[list[str | None], npt.NDArray[np.intp]]:
        """Return the texts of a column, none as the last, and each row's place among them."""
        column = self._texts[name]
        names: list[str | None] = [*column.dictionary.to_pylist(), None]
        indices = column.indices
        if indices.null_count:
            indices = indices.fill_null(len(names) - 1)
        return names, indices.to_numpy()[rows].astype(np.intp)


@dataclass(frozen=True, slots=True)
class Problem:
    """A fact that does not fit, and how."""

    stream: str
    version: int
    problem: str


@dataclass
class WalletStates:
    """What every wallet has come to so far, by its stream's name."""

    slots: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    facts: int = 0
    holds: HoldJoin = field(default_factory=HoldJoin)
    _values: Numbers = field(default_factory=lambda: np.zeros((1024, _WIDTH), np.int64))

    def fold(self, chunk: Chunk) -> None:
        """Take a chunk: check that it fits what was before, and carry on from its end."""
        if chunk.rows == 0:
            return
        slots = self._slots_of(chunk.streams)
        before = self._values[slots]
        after = _Checker(chunk, before, self).check()
        self._values[slots] = after
        self.facts += chunk.rows

    def balances(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield each wallet's stream and its balance, in the order of `columns.BALANCE`."""
        values = self._values[: len(self.slots), _BALANCE:].tolist()
        for stream, slot in self.slots.items():
            yield stream, tuple(values[slot])

    def blame(self, stream: str, version: int, problem: str) -> None:
        """Note a problem; the first hundred are kept, all are counted."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(stream, version, problem))

    def _slots_of(self, streams: list[str]) -> npt.NDArray[np.intp]:
        slots = self.slots
        found = [slots.setdefault(stream, len(slots)) for stream in streams]
        if len(slots) > len(self._values):
            size = max(len(slots), 2 * len(self._values))
            grown = np.zeros((size, _WIDTH), np.int64)
            grown[: len(self._values)] = self._values
            self._values = grown
        return np.array(found, np.intp)


class _Checker:
    """The checks of one chunk; each blames the rows that do not pass.

    Balances are computed from what the facts move, and compared at each wallet's last row; where
    one differs, the rows are gone through to name those that recorded something else.
    """

    def __init__(self, chunk: Chunk, before: Numbers, states: WalletStates) -> None:
        self._chunk = chunk
        self._before = before
        self._states = states

    def check(self) -> Numbers:
        """Return what each wallet of the chunk has come to at its end."""
        chunk = self._chunk
        self._check_order()
        self._check_balances()
        available = self._check_split()
        ends = Ends(
            signs=chunk.of_kinds(_SIGNS),
            keys=chunk["hold_key"],
            awarded=chunk["awarded_held_moved"],
            purchased=chunk["purchased_held_moved"],
            starts=chunk.starts,
            lasts=chunk.lasts,
            wallets=chunk.wallets,
            open_before=self._before[:, _OPEN],
        )
        open_holds = self._states.holds.take(ends, self._blame_rows)
        return self._ends(available, open_holds)

    def _check_order(self) -> None:
        """Check that versions follow one another, and that time does not run backwards."""
        chunk, versions = self._chunk, self._chunk["version"]
        inner = chunk.starts[1:] - 1
        jumps = versions[1:] - versions[:-1] != 1
        jumps[inner] = False
        firsts = versions[chunk.starts] - self._before[:, _VERSION] != 1
        self._blame(jumps, firsts, "its version does not follow the one before it")
        earlier = chunk.at[1:] < chunk.at[:-1]
        earlier[inner] = False
        firsts = chunk.at[chunk.starts] < self._before[:, _AT]
        self._blame(earlier, firsts, "it is earlier than the fact before it")

    def _check_balances(self) -> None:
        """Check that what the facts move makes each wallet's last balance."""
        chunk = self._chunk
        for name in MOVED:
            moved, after = f"{name}_moved", f"{name}_after"
            sums = self._before[:, _BALANCE + _PLACES[name]]
            if moved in chunk:
                sums = sums + np.add.reduceat(chunk[moved], chunk.starts)
            if (sums != chunk[after][chunk.lasts]).any():
                wrong = np.flatnonzero(self._gain(name) != chunk[moved])
                self._blame_rows(wrong, f"its {after} is not what its slices make of it")

    def _check_split(self) -> Numbers:
        """Check each hold's split by the running minimum; return the available credits at ends."""
        chunk = self._chunk
        steps = chunk["awarded_moved"] - chunk["awarded_held_moved"]
        if "awarded_frozen_after" in chunk or self._before[:, _FROZEN].any():
            steps -= self._gain("awarded_frozen")
        standard = np.flatnonzero(chunk["standard_cost"])
        steps[standard] = -chunk["standard_cost"][standard]
        sums = np.cumsum(steps)
        sums -= (sums[chunk.starts] - steps[chunk.starts] - self._before[:, _AVAILABLE])[
            chunk.wallets
        ]
        minima = segmented_minimum(sums, chunk)
        uncovered = steps
        np.subtract(minima[:-1], minima[1:], out=uncovered[1:])
        uncovered[chunk.starts] = -minima[chunk.starts]
        uncovered[standard] -= chunk["purchased_held_moved"][standard]
        if uncovered.any():
            self._blame_rows(
                np.flatnonzero(uncovered), "the running minimum gives another purchased part"
            )
        available: Numbers = sums[chunk.lasts] - minima[chunk.lasts]
        recorded = chunk["awarded_after"][chunk.lasts]
        for name in ("awarded_held_after", "awarded_frozen_after"):
            recorded = recorded - chunk[name][chunk.lasts]
        wrong = available != recorded
        if wrong.any():
            self._blame_rows(chunk.lasts[wrong], "the running sum gives other available awards")
        return available

    def _gain(self, name: str) -> Numbers:
        """Return what a part of the balance gains at each row, in the row's own wallet."""
        values, starts = self._chunk[f"{name}_after"], self._chunk.starts
        gained = np.empty_like(values)
        np.subtract(values[1:], values[:-1], out=gained[1:])
        gained[starts] = values[starts] - self._before[:, _BALANCE + _PLACES[name]]
        return gained

    def _ends(self, available: Numbers, open_holds: Numbers) -> Numbers:
        chunk, last = self._chunk, self._chunk.lasts
        ends = np.empty_like(self._before)
        ends[:, _VERSION] = chunk["version"][last]
        ends[:, _AT] = chunk.at[last]
        ends[:, _AVAILABLE] = available
        ends[:, _OPEN] = open_holds
        for name, place in _PLACES.items():
            ends[:, _BALANCE + place] = chunk[f"{name}_after"][last]
        return ends

    def _blame(self, inner: Flags, firsts: Flags, problem: str) -> None:
        """Blame rows by their flags: `inner` is of the rows after the first of the chunk."""
        if inner.any():
            self._blame_rows(np.flatnonzero(inner) + 1, problem)
        if firsts.any():
            self._blame_rows(self._chunk.starts[firsts], problem)

    def _blame_rows(self, rows: npt.NDArray[np.intp], problem: str) -> None:
        chunk = self._chunk
        versions = chunk["version"]
        for row in rows.tolist():
            stream = chunk.streams[int(chunk.wallets[row])]
            self._states.blame(stream, int(versions[row]), problem)


def segmented_minimum(sums: Numbers, chunk: Chunk) -> Numbers:
    """Return at each row the least of 0 and the sums of its own wallet up to it.

    All wallets at once: each is set lower than all before it, so that no earlier one's minimum
    reaches into it. Where numbers are too large for that, wallet by wallet.
    """
    minima = np.minimum(sums, 0)
    drop = 1 - int(minima.min(initial=0))
    if drop * len(chunk.starts) < _SPARE:
        drops = chunk.wallets * drop
        minima -= drops
        np.minimum.accumulate(minima, out=minima)
        minima += drops
        return minima
    for start, last in zip(chunk.starts.tolist(), chunk.lasts.tolist(), strict=True):
        part = minima[start : last + 1]
        np.minimum.accumulate(part, out=part)
    return minima
