"""The table of what is promised and what was measured."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One promise: what it is, what is to be reached, what was measured, beside which reference."""

    name: str
    what: str
    reach: str
    measured: str
    reference: str
    reached: bool


Status = Callable[[str], AbstractContextManager[object]]
"""Shows what is being done while the block runs."""

Measure = Callable[[Status], Row]
