"""A segment's Parquet file: facts as they are stored, and typed columns for replays beside them.

Facts stand in the order of their streams' names' bytes, and by version in each. Every page carries
a checksum, so that damage is found where it is.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.segments.origin import TypedColumns
from runtime.store import FactRow

ROW_GROUP_FACTS: Final = 50_000
ROW_GROUP_BYTES: Final = 64 * 1024 * 1024
_HASH_BYTES: Final = 32

RAW_SCHEMA: Final = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("body", pa.string(), nullable=False),
        pa.field("actor", pa.string(), nullable=False),
        pa.field("correlation_id", pa.string(), nullable=False),
        pa.field("causation_id", pa.string(), nullable=True),
        pa.field("previous_hash", pa.binary(_HASH_BYTES), nullable=False),
        pa.field("hash", pa.binary(_HASH_BYTES), nullable=False),
    ]
)
RAW_NAMES: Final = tuple(RAW_SCHEMA.names)


def schema_with(columns: TypedColumns) -> pa.Schema:
    """Return the schema of a segment with these typed columns."""
    return pa.schema([*RAW_SCHEMA, *columns.schema])


class SegmentWriter:
    """Writes facts to a Parquet file, holding one group of rows at most."""

    def __init__(self, path: Path, columns: TypedColumns) -> None:
        self._columns = columns
        self._schema = schema_with(columns)
        self._writer = pq.ParquetWriter(
            path, self._schema, compression="zstd", write_page_checksum=True
        )
        self._tables: list[pa.Table] = []
        self._facts = 0
        self._bytes = 0

    def write(self, rows: Sequence[FactRow]) -> None:
        """Take facts, in order."""
        values = {**_raw_columns(rows), **self._columns.of(rows)}
        table = pa.table(values, schema=self._schema)
        self._tables.append(table)
        self._facts += len(rows)
        self._bytes += table.nbytes
        if self._facts >= ROW_GROUP_FACTS or self._bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        """Write what is left, and the file's end."""
        if self._facts:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(pa.concat_tables(self._tables), row_group_size=self._facts)
        self._tables, self._facts, self._bytes = [], 0, 0


def _raw_columns(rows: Sequence[FactRow]) -> dict[str, pa.Array]:
    return {
        field.name: pa.array([getattr(row, field.name) for row in rows], type=field.type)
        for field in RAW_SCHEMA
    }


class SegmentReader:
    """Reads a segment's groups of rows one by one."""

    def __init__(self, path: Path) -> None:
        """Open it; what is no Parquet file raises `OSError` or `pyarrow.ArrowException`."""
        self._file = pq.ParquetFile(path, page_checksum_verification=True)

    @property
    def schema(self) -> pa.Schema:
        """Return the columns there are."""
        return self._file.schema_arrow

    @property
    def groups(self) -> list[int]:
        """Return how many facts each group of rows has."""
        metadata = self._file.metadata
        return [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]

    def group(self, number: int) -> pa.Table:
        """Return one group of rows."""
        return self._file.read_row_group(number)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def rows_of(table: pa.Table) -> list[FactRow]:
    """Return the facts in a group of rows."""
    values: list[list[Any]] = [table.column(name).to_pylist() for name in RAW_NAMES]
    return [FactRow(**dict(zip(RAW_NAMES, row, strict=True))) for row in zip(*values, strict=True)]


def read_rows(path: Path) -> Iterator[list[FactRow]]:
    """Yield a segment's facts, a group of rows at a time."""
    reader = SegmentReader(path)
    try:
        for number in range(len(reader.groups)):
            yield rows_of(reader.group(number))
    finally:
        reader.close()
