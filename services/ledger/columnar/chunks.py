"""Parquet files and tables of typed columns as chunks, each reader with a part of the wallets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from services.ledger.columnar.kernel import FACTS, NUMBERS, Chunk
from services.ledger.columns import SCHEMA

TABLE: Final = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        *SCHEMA,
    ]
)
"""The raw columns that figures need, and the typed ones."""

TEXTS: Final = frozenset({"module_id", "partner_id", "agent_id"})
"""The columns of texts that figures are grouped by."""

_DICTIONARIES: Final = TEXTS | {"stream", "fact"}


@dataclass(frozen=True, slots=True)
class Part:
    """The wallets whose streams' names are from `low` on and before `high`, by their bytes."""

    low: bytes = b""
    high: bytes | None = None

    def overlaps(self, least: bytes | None, greatest: bytes | None) -> bool:
        """Return whether names between two others may be in it; unknown ones may."""
        if least is None or greatest is None:
            return True
        return greatest >= self.low and (self.high is None or least < self.high)

    def holds(self, stream: str) -> bool:
        """Return whether a wallet is in it."""
        name = stream.encode()
        return name >= self.low and (self.high is None or name < self.high)


class UnknownFactError(Exception):
    """A segment has a kind of fact that this version does not know."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A Parquet file of facts as columns."""

    filesystem: FileSystem
    path: str

    def opened(self) -> "OpenSegment":
        """Return the file with what its footer says: the least and greatest name in each group."""
        metadata = pq.read_metadata(self.filesystem.open_input_file(self.path))
        place = metadata.schema.names.index("stream")
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        return OpenSegment(
            self, metadata, [(*_names(group.column(place)), group.num_rows) for group in groups]
        )


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A file of columns and its footer; `groups` are (least name, greatest name, rows)."""

    segment: Segment
    metadata: pq.FileMetaData
    groups: list[tuple[bytes | None, bytes | None, int]]

    def wanted(self, number: int, columns: Sequence[str]) -> list[str]:
        """Return which of the columns have anything but zeros in a group of rows."""
        group = self.metadata.row_group(number)
        places = {name: place for place, name in enumerate(self.metadata.schema.names)}
        return [name for name in columns if not _is_zero(group.column(places[name]))]

    def open(self, columns: Sequence[str]) -> pq.ParquetFile:
        """Return the file; texts among the columns are read as dictionaries."""
        return pq.ParquetFile(
            self.segment.filesystem.open_input_file(self.segment.path),
            metadata=self.metadata,
            read_dictionary=[name for name in columns if name in _DICTIONARIES],
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What a replay reads: the columns of texts it needs, and facts up to an instant, if any."""

    texts: frozenset[str] = frozenset()
    as_of: datetime | None = None

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns to read."""
        return ["stream", "at", "fact", *NUMBERS, *sorted(self.texts)]


def count_rows(segments: Sequence[OpenSegment]) -> int:
    """Return how many facts there are."""
    return sum(rows for segment in segments for _, _, rows in segment.groups)


def parts_of(segments: Sequence[OpenSegment], count: int) -> list[Part]:
    """Return up to `count` parts of about as many facts each, by where groups of rows begin."""
    groups = sorted(
        (least or b"", rows) for segment in segments for least, _, rows in segment.groups
    )
    total, taken, borders = sum(rows for _, rows in groups), 0, list[bytes]()
    for least, rows in groups:
        is_border = taken >= total * (len(borders) + 1) / count
        if is_border and len(borders) < count - 1 and least > (borders or [b""])[-1]:
            borders.append(least)
        taken += rows
    return [Part(low, high) for low, high in zip([b"", *borders], [*borders, None], strict=True)]


def read_part(segment: OpenSegment, part: Part, scope: Scope) -> Iterator[Chunk]:
    """Yield a segment's facts of a part of the wallets, a group of rows at a time."""
    numbers = [
        number
        for number, (least, greatest, _) in enumerate(segment.groups)
        if part.overlaps(least, greatest)
    ]
    if not numbers:
        return
    file = segment.open(scope.columns)
    for number in numbers:
        wanted = segment.wanted(number, scope.columns)
        table = file.read_row_group(number, columns=wanted, use_threads=False)
        chunk = chunk_of(table, part, scope)
        if chunk is not None:
            yield chunk


def chunk_of(table: pa.Table, part: Part, scope: Scope) -> Chunk | None:
    """Return the facts of a part of the wallets up to an instant; nothing where there are none."""
    if scope.as_of is not None:
        table = table.filter(pc.less_equal(table["at"], pa.scalar(scope.as_of, table["at"].type)))
    if table["fact"].null_count:
        table = table.filter(pc.is_valid(table["fact"]))
    if table.num_rows == 0:
        return None
    streams = _dictionary(table["stream"])
    indices = streams.indices.to_numpy()
    starts = np.flatnonzero(indices[1:] != indices[:-1]) + 1
    starts = np.concatenate([np.zeros(1, np.intp), starts])
    names = streams.dictionary.take(pa.array(indices[starts])).to_pylist()
    if not part.holds(names[0]) or not part.holds(names[-1]):
        inside = [place for place, name in enumerate(names) if part.holds(name)]
        if not inside:
            return None
        first, last = inside[0], inside[-1] + 1
        begin = int(starts[first])
        end = int(starts[last]) if last < len(starts) else table.num_rows
        table = table.slice(begin, end - begin)
        starts, names = starts[first:last] - begin, names[first:last]
    there = set(table.column_names)
    facts = _dictionary(table["fact"])
    kinds = facts.dictionary.to_pylist()
    if not FACTS.issuperset(kinds):
        raise UnknownFactError(f"unknown kinds of facts: {sorted(set(kinds) - FACTS)}")
    return Chunk(
        streams=names,
        starts=starts,
        facts=facts.indices.to_numpy(),
        kinds=kinds,
        at=_numbers(table["at"].cast(pa.int64())),
        columns={name: _numbers(table[name]) for name in NUMBERS if name in there},
        texts={name: _dictionary(table[name]) for name in scope.texts},
    )


def _names(column: pq.ColumnChunkMetaData) -> tuple[bytes | None, bytes | None]:
    """Return the least and the greatest text in a column of a group, where the footer says."""
    statistics = column.statistics
    if statistics is None or not statistics.has_min_max:
        return None, None
    return _bytes(statistics.min), _bytes(statistics.max)


def _is_zero(column: pq.ColumnChunkMetaData) -> bool:
    statistics = column.statistics
    return (
        column.physical_type == "INT64"
        and statistics is not None
        and statistics.has_min_max
        and statistics.min == statistics.max == 0
    )


def _bytes(name: Any) -> bytes:
    return name.encode() if isinstance(name, str) else bytes(name)


def _numbers(column: pa.ChunkedArray) -> Any:
    if column.num_chunks == 1:
        return column.chunk(0).to_numpy()
    return column.combine_chunks().to_numpy()


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.unify_dictionaries().combine_chunks()
