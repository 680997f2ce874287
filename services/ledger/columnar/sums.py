"""Adds up what chunks of facts earned and spent, by group, in exact whole numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.ledger.checking.totals import Group, GroupBy
from services.ledger.columnar.kernel import Chunk, Numbers

KEYS: Final[dict[GroupBy, str]] = {
    "module": "module_id",
    "partner": "partner_id",
    "agent": "agent_id",
}
"""The columns by which figures are grouped, where it is not by wallet or time."""

COUNTED: Final = {"hold_settled": 1}
COUNTING: Final = dict.fromkeys(
    ("hold_settled", "settlement_refunded", "settlement_reversed", "debt_repaid"), 1
)
"""The facts by which something is spent or earned, or comes back."""

FIGURES: Final = (
    "settlements",
    "awarded_spent",
    "purchased_spent",
    "true_revenue_minor",
    "partner_entitlement",
    "agent_entitlement",
)
_EXACT_FLOAT: Final = 2**53
_EXACT_INT: Final = 2**62
_BASIS_POINTS_MAX: Final = 10_000


@dataclass
class Sums:
    """The figures of each group; a group of what belongs to nobody has the key `None`."""

    group_by: GroupBy
    slots: dict[str | None, int] = field(default_factory=dict)
    _values: Any = field(default_factory=lambda: np.zeros((64, len(FIGURES)), np.int64))
    _bound: int = 0

    def add(self, chunk: Chunk) -> None:
        """Count what a chunk's facts spent and earned."""
        rows = np.flatnonzero(chunk.of_kinds(COUNTING))
        if len(rows) == 0:
            return
        keys, codes = self._groups(chunk, rows)
        slots = self._slots_of(keys)
        revenue = chunk["true_revenue_minor"][rows]
        figures = (
            chunk.of_kinds(COUNTED)[rows],
            chunk["awarded_spent"][rows],
            chunk["purchased_spent"][rows],
            revenue,
            product(revenue, chunk["partner_basis_points"][rows]),
            product(revenue, chunk["agent_basis_points"][rows]),
        )
        for place, values in enumerate(figures):
            self._count(slots, place, values, codes)

    def _count(
        self, slots: npt.NDArray[np.intp], place: int, values: Any, codes: npt.NDArray[np.intp]
    ) -> None:
        """Add values to one figure of their groups.

        Goes over to numbers without a limit before any sum could exceed 64 bits.
        """
        bound = bound_of(values)
        self._bound += bound
        if self._bound >= _EXACT_INT and self._values.dtype != object:
            self._values = self._values.astype(object)
        self._values[slots, place] += sums_by(values, codes, len(slots), bound)

    def groups(self) -> Iterator[tuple[str | None, Group]]:
        """Yield each group's key and figures."""
        for key, values in zip(self.slots, self._values.tolist(), strict=False):
            yield key, Group(*values)

    def _groups(
        self, chunk: Chunk, rows: npt.NDArray[np.intp]
    ) -> tuple[list[str | None], npt.NDArray[np.intp]]:
        if self.group_by == "user":
            return [stream.partition("-")[2] for stream in chunk.streams], chunk.wallets[rows]
        if self.group_by == "month":
            months = (chunk.at[rows].view("M8[us]")).astype("M8[M]")
            found, codes = np.unique(months, return_inverse=True)
            return [str(month) for month in found], codes
        keys, codes = chunk.keys(KEYS[self.group_by], rows)
        used, codes = np.unique(codes, return_inverse=True)
        return [keys[code] for code in used.tolist()], codes

    def _slots_of(self, keys: list[str | None]) -> npt.NDArray[np.intp]:
        slots = self.slots
        found = [slots.setdefault(key, len(slots)) for key in keys]
        if len(slots) > len(self._values):
            size = max(len(slots), 2 * len(self._values))
            grown = np.zeros((size, len(FIGURES)), self._values.dtype)
            grown[: len(self._values)] = self._values
            self._values = grown
        return np.array(found, np.intp)


def product(values: Numbers, basis_points: Numbers) -> Any:
    """Return values × basis points, as numbers without a limit where 64 bits may not do."""
    if bound_of(values) * _BASIS_POINTS_MAX < _EXACT_INT:
        return values * basis_points
    return values.astype(object) * basis_points


def sums_by(values: Any, codes: npt.NDArray[np.intp], groups: int, bound: int) -> Any:
    """Return the exact sum of the values of each code; `bound` is what no sum can exceed.

    Floats add whole numbers exactly as long as no sum can reach 2^53.
    """
    if bound < _EXACT_FLOAT:
        return np.bincount(codes, weights=values, minlength=groups).astype(np.int64)
    found = np.zeros(groups, object)
    for code, value in zip(codes.tolist(), values.tolist(), strict=True):
        found[code] += value
    return found if bound >= _EXACT_INT else found.astype(np.int64)


def bound_of(values: Any) -> int:
    """Return what no sum of some of the values can exceed."""
    if len(values) == 0:
        return 0
    return max(abs(int(values.max())), abs(int(values.min()))) * len(values)
