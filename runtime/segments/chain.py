"""Checks that no stored fact was changed, removed, inserted or moved since it was written.

Each stream's facts are numbered from 1 without a gap, each names the hash of the one before, and
each hash covers the fact's canonical bytes; the stream's head names the last of them. The format
is described in `docs/ledger-format.md`.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO, Final

import asyncpg

from runtime.store import GENESIS_HASH, FactRow, canonical_values, chain_hash


@dataclass(frozen=True)
class BadFact:
    """The first fact that does not fit, and how it does not.

    `place` is where: `facts`, the name of a segment's or manifest's file, or another table. Where
    no single fact is to blame, stream and version are None.
    """

    stream: str | None
    version: int | None
    id: str | None
    problem: str
    place: str = "facts"

    def described(self) -> str:
        """Return it for people."""
        if self.stream is None:
            return f"{self.place}: {self.problem}"
        fact = "" if self.id is None else f" (fact {self.id})"
        return f"{self.stream} {self.version}{fact} in {self.place}: {self.problem}"


@dataclass(frozen=True)
class VerifyResult:
    """What a verification found.

    `head` is the SHA-256 over a line `<stream> <version> <hash>` for each stream, in the order of
    their names' bytes, each line ended by a line feed: two ledgers with one head hold the same.
    `sealed` of the facts are in `segments` segments.
    """

    events: int
    head: str
    first_bad: BadFact | None
    segments: int = 0
    sealed: int = 0

    @property
    def ok(self) -> bool:
        """Whether every fact fits."""
        return self.first_bad is None


@dataclass
class _End:
    stream: str
    version: int = 0
    hash: bytes = GENESIS_HASH
    last_id: str | None = None


class Lines:
    """Keeps in a file what the hash over all streams is made of, about 120 bytes a stream."""

    def __init__(self, file: BinaryIO) -> None:
        self.update = file.write


@dataclass
class ChainCheck:
    """Takes facts in the order of their streams, and remembers the first that does not fit.

    One that takes a part of the streams keeps its `lines` for the one that takes them all.
    """

    events: int = 0
    streams: int = 0
    first_bad: BadFact | None = None
    lines: Any = field(default_factory=sha256)
    _end: _End | None = None
    _finished: list[_End] = field(default_factory=list)

    def take(self, row: FactRow) -> None:
        """Check one fact against the one before."""
        if self._end is None or self._end.stream != row.stream:
            self._finish_stream()
            self._end = _End(row.stream)
        end = self._end
        problem = problem_of(row, end.version, end.hash)
        if problem is not None:
            self.blame(BadFact(row.stream, row.version, row.id, problem))
        end.version, end.hash, end.last_id = row.version, row.hash, row.id
        self.events += 1

    async def check_heads(self, connection: asyncpg.Connection) -> None:
        """Check that the streams that ended since the last call end where their heads say."""
        ended, self._finished = self._finished, []
        if not ended:
            return
        rows = await connection.fetch(
            "select name, version, last_hash from streams where name = any($1::text[])",
            [end.stream for end in ended],
        )
        heads = {row["name"]: (row["version"], row["last_hash"]) for row in rows}
        for end in ended:
            if heads.get(end.stream) != (end.version, end.hash):
                self.blame(BadFact(end.stream, end.version, end.last_id, _head_problem(end, heads)))

    async def end(self, connection: asyncpg.Connection, *, whole: bool) -> None:
        """Check the last stream; `whole` tells that all facts of the streams were taken."""
        self._finish_stream()
        if whole:
            await self.check_heads(connection)

    async def finish(self, connection: asyncpg.Connection, *, whole: bool) -> VerifyResult:
        """Return the result; `whole` tells that all facts there are were taken."""
        await self.end(connection, whole=whole)
        if whole:
            await self._find_lost_streams(connection)
        return VerifyResult(self.events, self.lines.hexdigest(), self.first_bad)

    async def _find_lost_streams(self, connection: asyncpg.Connection) -> None:
        lost = await connection.fetchrow(
            """select name, version from streams s
               where version > 0 and not exists (select 1 from facts f where f.stream = s.name)
               order by name limit 1"""
        )
        if lost is not None:
            problem = f"the stream's head is at version {lost['version']}, but it has no facts"
            self.blame(BadFact(lost["name"], 1, None, problem))

    def _finish_stream(self) -> None:
        if self._end is not None:
            end = self._end
            self.lines.update(f"{end.stream} {end.version} {end.hash.hex()}\n".encode())
            self._finished.append(end)
            self.streams += 1
            self._end = None

    def blame(self, bad: BadFact) -> None:
        """Keep the first in the order of streams; a head is only seen after its stream."""
        if self.first_bad is None or _order(bad) < _order(self.first_bad):
            self.first_bad = bad


def _order(bad: BadFact) -> tuple[bytes, int]:
    return (bad.stream or "").encode(), bad.version or 0


_MISSING: Final = "a fact is missing before it, or it was put in"


def problem_of(row: FactRow, version: int, last_hash: bytes) -> str | None:
    """Return how a fact does not fit after a stream's fact of that version and hash, if so."""
    if row.version != version + 1:
        return f"version {row.version} follows version {version}: {_MISSING}"
    if row.previous_hash != last_hash:
        return "it does not name the hash of the fact before it"
    values = canonical_values(
        stream=row.stream,
        version=row.version,
        id=row.id,
        at=row.at,
        body=row.body,
        actor=row.actor,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
    )
    if chain_hash(values, row.previous_hash) != row.hash:
        return "its hash does not cover what is stored: it was changed"
    return None


def _head_problem(end: _End, heads: dict[str, tuple[int, bytes]]) -> str:
    head = heads.get(end.stream)
    if head is None:
        return "the stream has no head"
    if head[0] != end.version:
        return f"it is the stream's last fact, but the head is at version {head[0]}"
    return "the stream's head names another hash"
