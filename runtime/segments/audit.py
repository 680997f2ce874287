"""Checks segments: every byte of them, every fact in them, and that each follows from the last.

It goes from the first manifest on and stops at the first thing that does not fit, which it names
as the fact that is there, wherever a single one can be told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from runtime.segments.chain import BadFact, problem_of
from runtime.segments.manifest import (
    NO_MANIFEST,
    Manifest,
    ManifestError,
    Span,
    file_digest,
    instant_text,
    manifest_name,
    open_manifest,
)
from runtime.segments.origin import TypedColumns
from runtime.segments.segment import (
    RAW_NAMES,
    RAW_SCHEMA,
    SegmentReader,
    rows_of,
    schema_with,
)
from runtime.signing import PublicKeys
from runtime.store import GENESIS_HASH, FactRow

CHUNK_FACTS: Final = 5_000

UNREADABLE: Final = (pa.ArrowException, OSError, ValueError, TypeError, AttributeError, KeyError)
"""What reading damaged Parquet raises; more than that it must not do."""


@dataclass
class SegmentAudit:
    """Takes manifests and segments in their order.

    `ends` is where each stream ends so far, as (version, hash): it grows with the number of
    streams, some 300 bytes each, and with nothing else.
    """

    keys: PublicKeys
    columns: TypedColumns
    ends: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    facts: int = 0
    segments: int = 0
    not_recomputed: int = 0
    _digest: str = NO_MANIFEST

    def take_manifest(self, number: int, content: bytes) -> Manifest | BadFact:
        """Return the manifest, if it is the next one."""
        place = manifest_name(number)
        try:
            signed = open_manifest(content, self.keys)
        except ManifestError as error:
            return BadFact(None, None, None, str(error), place)
        manifest = signed.manifest
        if manifest.number != number:
            return _bad(place, f"it says that it is number {manifest.number}")
        if manifest.previous != self._digest:
            return _bad(place, "it does not name the manifest before it")
        for span in manifest.spans:
            version, _ = self.ends.get(span.stream, (0, GENESIS_HASH))
            if span.first != version + 1 or span.last < span.first:
                return BadFact(
                    *(span.stream, span.first, None),
                    f"its facts do not go on from version {version}",
                    place,
                )
        self._digest = signed.digest
        return manifest

    def take_segment(self, manifest: Manifest, path: Path) -> BadFact | None:
        """Check a segment's file against its manifest; return the first fact that does not fit."""
        place = manifest.segment
        digest, size = file_digest(path)
        intact = (digest, size) == (manifest.sha256, manifest.bytes)
        bad = self._check_facts(manifest, path)
        if bad is not None:
            return bad
        if not intact:
            problem = f"the segment is not what was sealed: its SHA-256 is {digest}"
            return BadFact(*_first(manifest), problem, place)
        self.facts += manifest.facts
        self.segments += 1
        return None

    def missing_segment(self, manifest: Manifest) -> BadFact:
        """Return that a segment is not there, as its first fact."""
        return BadFact(*_first(manifest), "the segment is missing", manifest.segment)

    def _check_facts(self, manifest: Manifest, path: Path) -> BadFact | None:
        """Check the facts one by one, each at the place that the manifest has for it."""
        places = _Places(manifest)
        try:
            reader = SegmentReader(path)
            try:
                if not self._columns_fit(manifest, reader.schema):
                    return places.bad("the segment has other columns than were sealed")
                for number in range(len(reader.groups)):
                    table = reader.group(number)
                    for start in range(0, table.num_rows, CHUNK_FACTS):
                        bad = self._check_chunk(manifest, table.slice(start, CHUNK_FACTS), places)
                        if bad is not None:
                            return bad
            finally:
                reader.close()
        except UNREADABLE as error:
            return places.bad(f"the segment cannot be read here: {type(error).__name__}")
        return places.finish()

    def _check_chunk(
        self, manifest: Manifest, table: pa.Table, places: "_Places"
    ) -> BadFact | None:
        rows = rows_of(table)
        bad = None
        fitting = 0
        for row in rows:
            bad = self._check_row(manifest, row, places)
            if bad is not None:
                break
            fitting += 1
        if manifest.columns_version != self.columns.version:
            self.not_recomputed += fitting
            return bad
        wrong = _first_wrong_row(self.columns, table.slice(0, fitting), rows[:fitting])
        if wrong is not None:
            problem = "its typed columns do not follow from its body"
            return BadFact(wrong.stream, wrong.version, wrong.id, problem, manifest.segment)
        return bad

    def _check_row(self, manifest: Manifest, row: FactRow, places: "_Places") -> BadFact | None:
        span, version = places.next()
        if (row.stream, row.version) != (span.stream, version):
            return places.bad(f"{row.stream} {row.version} stands in its place")
        end_version, end_hash = self.ends.get(row.stream, (0, GENESIS_HASH))
        problem = problem_of(row, end_version, end_hash)
        if problem is None and row.version == span.last and row.hash.hex() != span.hash:
            problem = "the manifest names another hash for it"
        if problem is None and not manifest.first_at <= instant_text(row.at) <= manifest.last_at:
            problem = "it is outside of the manifest's times"
        if problem is not None:
            return BadFact(row.stream, row.version, row.id, problem, manifest.segment)
        self.ends[row.stream] = (row.version, row.hash)
        places.taken()
        return None

    def _columns_fit(self, manifest: Manifest, schema: pa.Schema) -> bool:
        if manifest.columns_version == self.columns.version:
            return bool(schema.equals(schema_with(self.columns)))
        return bool(pa.schema([schema.field(name) for name in RAW_NAMES]).equals(RAW_SCHEMA))


def _first_wrong_row(columns: TypedColumns, table: pa.Table, rows: list[FactRow]) -> FactRow | None:
    """Return the first fact whose typed columns in a segment are not those of its body."""
    if not rows or not columns.schema.names:
        return None
    kept = table.select(columns.schema.names).combine_chunks()
    made = pa.table(columns.of(rows), schema=columns.schema)
    if kept.equals(made):
        return None
    for row, one, other in zip(rows, kept.to_pylist(), made.to_pylist(), strict=True):
        if one != other:
            return row
    return rows[0]


class _Places:
    """Which fact stands where in a segment, as its manifest says."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._places = _each(manifest.spans)
        self._now: tuple[Span, int] | None = next(self._places, None)

    def next(self) -> tuple[Span, int]:
        """Return the next fact's span and version."""
        if self._now is None:
            raise ValueError("more facts than the manifest has")
        return self._now

    def taken(self) -> None:
        """Go on to the next one."""
        self._now = next(self._places, None)

    def finish(self) -> BadFact | None:
        """Return the fact that should have been next, if one should."""
        return None if self._now is None else self.bad("it is not in the segment")

    def bad(self, problem: str) -> BadFact:
        """Blame the next fact."""
        place = self._manifest.segment
        if self._now is None:
            return BadFact(*_first(self._manifest), problem, place)
        return BadFact(self._now[0].stream, self._now[1], None, problem, place)


def _each(spans: tuple[Span, ...]) -> Iterator[tuple[Span, int]]:
    for span in spans:
        for version in range(span.first, span.last + 1):
            yield span, version


def _first(manifest: Manifest) -> tuple[str | None, int | None, None]:
    if not manifest.spans:
        return (None, None, None)
    return (manifest.spans[0].stream, manifest.spans[0].first, None)


def _bad(place: str, problem: str) -> BadFact:
    return BadFact(None, None, None, problem, place)
