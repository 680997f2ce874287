"""What each payee would be due with other shares, from the columns."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.money_rules import PayeeRole
from services.ledger.checking.what_if import ROLES, OtherShares, WhatIf
from services.ledger.columnar.kernel import Chunk
from services.ledger.columnar.sums import COUNTING, bound_of, product, sums_by

_WALLET: Final = "wallet-"


class PayeeSums:
    """Adds up, chunk by chunk, what payees are due and would be."""

    def __init__(self, shares: OtherShares) -> None:
        self.what_if = WhatIf(shares)

    def add(self, chunk: Chunk) -> None:
        """Count what a chunk's facts earned."""
        rows = np.flatnonzero(chunk.of_kinds(COUNTING))
        for role in ROLES:
            if len(rows):
                self._add(chunk, rows, role)

    def _add(self, chunk: Chunk, rows: npt.NDArray[np.intp], role: PayeeRole) -> None:
        names, codes = chunk.keys(f"{role}_id", rows)
        places = {stream: place for place, stream in enumerate(chunk.streams)}
        own = np.array([places.get(f"{_WALLET}{name}", -1) for name in names], np.intp)
        paid = (own[codes] != chunk.wallets[rows]) & (codes != len(names) - 1)
        rows, codes = rows[paid], codes[paid]
        revenue = chunk["true_revenue_minor"][rows]
        was = chunk[f"{role}_basis_points"][rows]
        other = self.what_if.shares.of(role)
        then = was if other is None else np.full_like(was, other)
        sums = [
            _sums(values, codes, len(names))
            for values in (revenue, product(revenue, was), product(revenue, then))
        ]
        for code in np.unique(codes).tolist():
            name = names[code]
            if name is not None:
                self.what_if.figures(role, name).add(*(column[code] for column in sums))


def _sums(values: Any, codes: npt.NDArray[np.intp], groups: int) -> list[int]:
    found: list[int] = sums_by(values, codes, groups, bound_of(values)).tolist()
    return found
