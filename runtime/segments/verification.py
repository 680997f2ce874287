"""Verifies segments, manifests and tables, recomputed from the first fact on.

First the segments in their order: every byte, every fact, the manifests' chain and signatures, the
typed columns. Then the tables, in one snapshot: the chain of every stream, and that it agrees with
what was sealed. The first thing that does not fit is named. Nothing is written, and nobody waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import asyncpg

from runtime.segments.audit import SegmentAudit
from runtime.segments.chain import BadFact, ChainCheck, VerifyResult, problem_of
from runtime.segments.manifest import (
    MANIFEST_BYTES_MAX,
    decoded,
    manifest_name,
    number_of_manifest,
)
from runtime.segments.origin import Origin
from runtime.segments.places import Place
from runtime.segments.reader import count_facts, read_facts, snapshot
from runtime.segments.segment import read_rows
from runtime.signing import PublicKeys
from runtime.store import FactRow

Progress = Callable[[int, int], None]
"""Called with how many facts were taken, and how many there are."""

TAIL_NAME: Final = "tail.parquet"
PUT_SECONDS_MAX: Final = 10.0
"""How long a sealer may take from the commit of a manifest until it is beside its segment."""
PUT_POLL_SECONDS: Final = 0.2
CHUNK_STREAMS: Final = 5_000


class FactCheck(Protocol):
    """What a service checks of its facts beyond that they are as they were written."""

    def take(self, row: FactRow) -> None:
        """Take the next fact, by the bytes of the streams' names and by version."""
        ...

    def finish(self) -> BadFact | None:
        """Return the first thing that does not fit."""
        ...


Checking = Callable[[asyncpg.Connection], Awaitable[FactCheck]]
"""Begins a check; it may read what it needs on the connection, whose snapshot is the facts'."""


async def verify_all(
    origin: Origin,
    dsn: str,
    place: Place | None,
    keys: PublicKeys,
    *,
    checking: Checking | None = None,
    progress: Progress | None = None,
) -> VerifyResult:
    """Return whether everything stored fits: the segments at `place`, and the tables at `dsn`.

    Without a place only the tables are checked, in which nothing may be sealed then. What
    `checking` checks is told when everything else fits.
    """
    # What is at the place was in the database before, so the names are read first.
    names = await names_at(place)
    async with snapshot(dsn) as connection:
        also = None if checking is None else await checking(connection)
        audit = SegmentAudit(keys, origin.columns)
        return await verify_within(
            connection, place, names, audit=audit, also=also, progress=progress
        )


async def names_at(place: Place | None) -> list[str]:
    """Return the names of the files at a place, if there is one."""
    return [] if place is None else await asyncio.to_thread(place.names)


async def verify_within(
    connection: asyncpg.Connection,
    place: Place | None,
    names: list[str],
    *,
    audit: SegmentAudit,
    also: FactCheck | None,
    progress: Progress | None = None,
) -> VerifyResult:
    """Verify all within a snapshot that was taken after the `names_at` the place."""
    total = await count_facts(connection, None)
    both = _Audit(connection, place, audit, also)
    bad = await both.segments(names)
    result = await both.tables(progress, total, compare=bad is None)
    if bad is None:
        bad = result.first_bad
    return replace(result, first_bad=bad, segments=audit.segments, sealed=audit.facts)


def verify_segments(origin: Origin, place: Place, keys: PublicKeys) -> VerifyResult:
    """Return whether the segments at a place fit, and an export's unsealed tail if it is there.

    It needs no database: this is what somebody checks who was only given the files.
    """
    audit = SegmentAudit(keys, origin.columns)
    names = set(place.names())
    number, bad = 0, None
    while bad is None and manifest_name(number + 1) in names:
        number += 1
        content = place.read(manifest_name(number), MANIFEST_BYTES_MAX + 1)
        bad = _take(audit, place, number, content)
    if bad is None:
        later = [n for n in map(number_of_manifest, names) if n is not None and n > number]
        if later:
            bad = _missing(number + 1)
    events = audit.facts
    if bad is None and TAIL_NAME in names:
        with place.fetch(TAIL_NAME) as path:
            taken, bad = _take_tail(audit, path)
            events += taken
    return VerifyResult(events, _head(audit), bad, audit.segments, audit.facts)


def _take_tail(audit: SegmentAudit, path: Path) -> tuple[int, BadFact | None]:
    taken = 0
    for rows in read_rows(path):
        for row in rows:
            end = audit.ends.get(row.stream, (0, bytes(32)))
            problem = problem_of(row, *end)
            if problem is not None:
                return taken, BadFact(row.stream, row.version, row.id, problem, TAIL_NAME)
            audit.ends[row.stream] = (row.version, row.hash)
            taken += 1
    return taken, None


def _head(audit: SegmentAudit) -> str:
    digest = sha256()
    for stream in sorted(audit.ends, key=str.encode):
        version, last_hash = audit.ends[stream]
        digest.update(f"{stream} {version} {last_hash.hex()}\n".encode())
    return digest.hexdigest()


@dataclass
class _Audit:
    """One verification of a database and its segments."""

    connection: asyncpg.Connection
    place: Place | None
    sealed: SegmentAudit
    also: FactCheck | None

    async def segments(self, names: list[str]) -> BadFact | None:
        """Check all segments; return the first thing in them that does not fit."""
        known = await self.connection.fetchval("select count(*) from segments")
        last = await self.connection.fetchval("select coalesce(max(number), 0) from segments")
        numbers = [n for n in map(number_of_manifest, names) if n is not None]
        for number in range(1, max([last, *numbers]) + 1):
            bad = await self._segment(number)
            if bad is not None:
                return bad
        if known != last:
            return BadFact(None, None, None, "a row is missing or was put in", "segments")
        return None

    async def _segment(self, number: int) -> BadFact | None:
        row = await self.connection.fetchrow(
            "select facts, manifest from segments where number = $1", number
        )
        if row is None:
            problem = "the database does not know that it was sealed"
            return BadFact(None, None, None, problem, manifest_name(number))
        if self.place is None:
            problem = "it was sealed, but no place for segments is named"
            return BadFact(None, None, None, problem, manifest_name(number))
        content = await self._manifest(self.place, number)
        if content is None:
            return _missing(number)
        bad = await asyncio.to_thread(_take, self.sealed, self.place, number, content)
        if bad is None and (
            row["manifest"].encode() != content or row["facts"] != decoded(content).facts
        ):
            problem = f"what it says of segment {number} is not its manifest"
            bad = BadFact(None, None, None, problem, "segments")
        return bad

    async def _manifest(self, place: Place, number: int) -> bytes | None:
        """Return a manifest's file; a sealer may be just about to put it."""
        for _ in range(int(PUT_SECONDS_MAX / PUT_POLL_SECONDS)):
            try:
                return await asyncio.to_thread(
                    place.read, manifest_name(number), MANIFEST_BYTES_MAX + 1
                )
            except FileNotFoundError:
                newest = await self.connection.fetchval("select max(number) from segments")
                if number < newest:
                    return None
            await asyncio.sleep(PUT_POLL_SECONDS)
        return None

    async def tables(self, progress: Progress | None, total: int, *, compare: bool) -> VerifyResult:
        """Check the tables; with `compare` also that they hold what was sealed."""
        check = ChainCheck()
        unseen = dict(self.sealed.ends) if compare else {}
        async for rows in read_facts(self.connection, None):
            for row in rows:
                check.take(row)
                if self.also is not None:
                    self.also.take(row)
                end = unseen.get(row.stream)
                if end is not None and row.version == end[0]:
                    del unseen[row.stream]
                    if row.hash != end[1]:
                        check.blame(await self._first_difference(row))
            await check.check_heads(self.connection)
            if progress is not None:
                progress(check.events, total)
        result = await check.finish(self.connection, whole=True)
        if result.first_bad is None and unseen:
            stream = min(unseen, key=str.encode)
            problem = "it was sealed, and the stream's facts end before it"
            return replace(
                result, first_bad=BadFact(stream, await self._length(stream) + 1, None, problem)
            )
        if result.first_bad is None and compare:
            result = replace(result, first_bad=await self._sealed_streams())
        if result.first_bad is None and self.also is not None:
            result = replace(result, first_bad=self.also.finish())
        return result

    async def _length(self, stream: str) -> int:
        found = await self.connection.fetchval(
            "select coalesce(max(version), 0) from facts where stream = $1", stream
        )
        return int(found)

    async def _first_difference(self, row: FactRow) -> BadFact:
        """Return the first fact of a stream whose hash in the table is not the sealed one."""
        stored = {
            found["version"]: found["hash"]
            for found in await self.connection.fetch(
                "select version, hash from facts where stream = $1 and version <= $2",
                row.stream,
                row.version,
            )
        }
        problem = "it is not what was sealed, and a new chain was written over it"
        for number in range(1, self.sealed.segments + 1):
            for sealed in await asyncio.to_thread(self._sealed_rows, number, row.stream):
                if stored.get(sealed.version) != sealed.hash:
                    return BadFact(row.stream, sealed.version, sealed.id, problem)
        return BadFact(row.stream, row.version, row.id, problem)

    def _sealed_rows(self, number: int, stream: str) -> list[FactRow]:
        """Return a stream's facts in a segment that was found to fit."""
        if self.place is None:
            return []
        content = self.place.read(manifest_name(number), MANIFEST_BYTES_MAX + 1)
        manifest = decoded(content)
        if all(span.stream != stream for span in manifest.spans):
            return []
        with self.place.fetch(manifest.segment) as path:
            return [row for rows in read_rows(path) for row in rows if row.stream == stream]

    async def _sealed_streams(self) -> BadFact | None:
        """Return where the table of sealed versions, by which seals go on, is not the segments'."""
        left = dict(self.sealed.ends)
        cursor = await self.connection.cursor("select stream, version, hash from sealed_streams")
        while rows := await cursor.fetch(CHUNK_STREAMS):
            for row in rows:
                if left.pop(row["stream"], None) != (row["version"], row["hash"]):
                    problem = "it is not the stream's last sealed fact"
                    return BadFact(row["stream"], row["version"], None, problem, "sealed_streams")
        if left:
            stream = min(left, key=str.encode)
            problem = "the stream's last sealed fact is not told"
            return BadFact(stream, left[stream][0], None, problem, "sealed_streams")
        return None


def _take(audit: SegmentAudit, place: Place, number: int, content: bytes) -> BadFact | None:
    manifest = audit.take_manifest(number, content)
    if isinstance(manifest, BadFact):
        return manifest
    try:
        with place.fetch(manifest.segment) as path:
            return audit.take_segment(manifest, path)
    except FileNotFoundError:
        return audit.missing_segment(manifest)


def _missing(number: int) -> BadFact:
    return BadFact(None, None, None, "it is missing", manifest_name(number))
