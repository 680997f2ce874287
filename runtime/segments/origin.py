"""Whose facts are sealed: the service, which of its streams, and the columns derived from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from runtime.store import FactRow


@dataclass(frozen=True)
class TypedColumns:
    """Columns that follow from facts' bodies, so that figures need not decode those.

    `of` gives an array for each column of the schema, a value for each fact; `ValueError` where a
    body is not what it should be. `version` is counted up when the columns' meaning changes.
    """

    version: int
    schema: pa.Schema
    of: Callable[[Sequence[FactRow]], dict[str, pa.Array]]


def _nothing(_rows: Sequence[FactRow]) -> dict[str, pa.Array]:
    return {}


NO_COLUMNS: Final = TypedColumns(0, pa.schema([]), _nothing)


@dataclass(frozen=True)
class Origin:
    """A service whose facts are sealed.

    `kinds` are those of the streams that are: what their names begin with, up to the first `-`.
    None: all. What is not sealed is still chained, and verified.
    """

    service: str
    kinds: tuple[str, ...] | None = None
    columns: TypedColumns = NO_COLUMNS
