"""Seals: takes what is not sealed yet out of one snapshot, into segments of bounded size.

The order makes it safe to be killed at any moment. The Parquet file is put first; then, in one
transaction, its manifest and the new sealed versions are written to the database; then the
manifest is put beside its segment. A segment is sealed by that transaction and by nothing else:
before it, the file is a leftover that the next seal removes; after it, the next seal puts what is
missing. One sealer works at a time: the lock is its database session's own, the transaction runs
on that very session, and so whoever lost the lock cannot seal.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg

from runtime.clock import Clock, monotonic_seconds
from runtime.segments.chain import problem_of
from runtime.segments.manifest import (
    FORMAT,
    MANIFEST_BYTES_MAX,
    NO_MANIFEST,
    Manifest,
    Signed,
    Span,
    file_digest,
    instant_text,
    manifest_name,
    number_of_segment,
    open_manifest,
    segment_name,
    sign,
)
from runtime.segments.origin import Origin
from runtime.segments.places import Place
from runtime.segments.segment import SegmentWriter
from runtime.segments.unsealed import read_unsealed, sealed_ends
from runtime.signing import PublicKeys, SigningKey
from runtime.store import GENESIS_HASH, FactRow

SEGMENT_FACTS_MAX: Final = 100_000
SEGMENT_BODY_BYTES_MAX: Final = 256 * 1024 * 1024
SNAPSHOT_SECONDS_MAX: Final = 20.0
"""After that long a segment is ended where it is, so that no snapshot holds up the cleaning."""
SEGMENTS_MAX: Final = 10_000
"""How many segments one seal makes at most; the next one goes on."""
CONNECT_SECONDS_MAX: Final = 10
STATEMENT_SECONDS_MAX: Final = 120
KEYS_NAME: Final = "keys.json"
KEYS_BYTES_MAX: Final = 1024 * 1024
_LOCK: Final = "tollgate.seal"


class SealError(Exception):
    """Nothing can be sealed; the message says why."""


class SealedElsewhereError(SealError):
    """Another process is sealing this service's facts."""


class UnfitFactError(SealError):
    """A stored fact does not fit the one before it, so it must not be sealed."""

    def __init__(self, service: str, stream: str, version: int) -> None:
        super().__init__(
            f"{stream} {version} does not fit the fact before it: nothing was sealed; "
            f"see `tollgate {service} verify`"
        )
        self.stream = stream
        self.version = version


@dataclass(frozen=True)
class Sealing:
    """What it takes to seal: what, where to, signed by which key, and earlier segments' keys."""

    origin: Origin
    dsn: str
    place: Place
    key: SigningKey
    keys: PublicKeys
    clock: Clock
    facts_max: int = SEGMENT_FACTS_MAX


async def seal(sealing: Sealing) -> list[Manifest]:
    """Return the manifests of the segments made; none where everything was sealed already.

    Raises `SealedElsewhereError` while another process seals, `UnfitFactError` where a fact was
    tampered with, and `SealError` where the place does not hold what the database says.
    """
    made: list[Manifest] = []
    async with _alone(sealing) as connection:
        last = await _recover(connection, sealing)
        while len(made) < SEGMENTS_MAX:
            content = await _write_segment(connection, sealing)
            if content is None:
                return made
            last = await _conclude(connection, sealing, content, last)
            made.append(last.manifest)
            if not content.more:
                return made
    return made


@asynccontextmanager
async def _alone(sealing: Sealing) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection that holds the lock, which ends with it."""
    connection = await asyncpg.connect(
        sealing.dsn,
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=STATEMENT_SECONDS_MAX,
        server_settings={"application_name": f"{sealing.origin.service}-seal", "jit": "off"},
    )
    try:
        if not await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", _LOCK):
            raise SealedElsewhereError(f"another process is sealing {sealing.origin.service}")
        yield connection
    finally:
        await connection.close()


async def _recover(connection: asyncpg.Connection, sealing: Sealing) -> Signed | None:
    """Bring the place to what the database says, and return the last manifest."""
    keys = sealing.keys | sealing.key.public
    await asyncio.to_thread(sealing.place.clean)
    present = set(await asyncio.to_thread(sealing.place.names))
    last = None
    for row in await connection.fetch("select number from segments order by number desc"):
        signed = await _kept(connection, row["number"], keys)
        last = last or signed
        if manifest_name(row["number"]) in present:
            break
        if signed.manifest.segment not in present:
            raise SealError(
                f"{signed.manifest.segment} is not at {sealing.place.url}, where it was put"
            )
        await _put_bytes(sealing.place, manifest_name(row["number"]), signed.content)
    number = 0 if last is None else last.manifest.number
    if manifest_name(number + 1) in present:
        raise SealError(
            f"{manifest_name(number + 1)} is at {sealing.place.url}, but the database knows only "
            f"{number} segments: it is an older one, or another's"
        )
    if last is not None:
        name = manifest_name(number)
        kept = await asyncio.to_thread(sealing.place.read, name, MANIFEST_BYTES_MAX)
        if kept != last.content:
            raise SealError(f"{name} at {sealing.place.url} is not what was sealed")
    for name in present:
        if (number_of_segment(name) or 0) > number:
            await asyncio.to_thread(sealing.place.remove, name)
    await _publish_keys(sealing.place, keys, present)
    return last


async def _kept(connection: asyncpg.Connection, number: int, keys: PublicKeys) -> Signed:
    """Return the manifest that the database has of a segment."""
    content = await connection.fetchval("select manifest from segments where number = $1", number)
    return open_manifest(content.encode(), keys)


async def _publish_keys(place: Place, keys: PublicKeys, present: set[str]) -> None:
    """Put the public keys beside the segments; those that stand there already stay."""
    if KEYS_NAME in present:
        kept = await asyncio.to_thread(place.read, KEYS_NAME, KEYS_BYTES_MAX)
        known = PublicKeys.read(kept.decode())
        if (known | keys) == known:
            return
        keys = known | keys
    await _put_bytes(place, KEYS_NAME, keys.to_json().encode() + b"\n")


@dataclass
class _Content:
    """A segment in the making, and what its manifest has to say of it."""

    service: str
    file: str = ""
    sha256: str = ""
    size: int = 0
    facts: int = 0
    body_bytes: int = 0
    more: bool = False
    first_at: datetime | None = None
    last_at: datetime | None = None
    spans: list[Span] = field(default_factory=list)
    _first: int = 0
    _end: tuple[str, int, bytes] = ("", 0, GENESIS_HASH)

    def take(self, rows: list[FactRow], sealed: dict[str, tuple[int, bytes]]) -> None:
        """Take facts in their order; each must fit the one before it."""
        for row in rows:
            if row.stream != self._end[0]:
                self.finish()
                version, last_hash = sealed.get(row.stream, (0, GENESIS_HASH))
                self._end, self._first = (row.stream, version, last_hash), version + 1
            if problem_of(row, self._end[1], self._end[2]) is not None:
                raise UnfitFactError(self.service, row.stream, row.version)
            self._end = (row.stream, row.version, row.hash)
            self.facts += 1
            self.body_bytes += len(row.body)
            self.first_at = row.at if self.first_at is None else min(self.first_at, row.at)
            self.last_at = row.at if self.last_at is None else max(self.last_at, row.at)

    def finish(self) -> None:
        """End the stream in hand."""
        stream, version, last_hash = self._end
        if stream:
            self.spans.append(Span(stream, self._first, version, last_hash.hex()))
            self._end = ("", 0, GENESIS_HASH)


async def _write_segment(connection: asyncpg.Connection, sealing: Sealing) -> _Content | None:
    """Put a file with what one snapshot has unsealed, up to the bounds; nothing if nothing is."""
    content = _Content(sealing.origin.service)
    with tempfile.TemporaryDirectory(prefix="tollgate-seal-") as folder:
        path = Path(folder) / "segment"
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await _take_unsealed(connection, sealing, content, path)
        if not content.facts:
            return None
        content.sha256, content.size = await asyncio.to_thread(file_digest, path)
        last = await connection.fetchval("select max(number) from segments")
        content.file = segment_name((last or 0) + 1, content.sha256)
        await asyncio.to_thread(sealing.place.put, content.file, path)
    return content


async def _take_unsealed(
    connection: asyncpg.Connection, sealing: Sealing, content: _Content, path: Path
) -> None:
    ends_at = monotonic_seconds() + SNAPSHOT_SECONDS_MAX
    writer: SegmentWriter | None = None
    async for chunk in read_unsealed(connection, sealing.origin):
        rows = chunk[: sealing.facts_max - content.facts]
        sealed = await sealed_ends(connection, sorted({row.stream for row in rows}))
        content.take(rows, sealed)
        if writer is None:
            writer = await asyncio.to_thread(SegmentWriter, path, sealing.origin.columns)
        await asyncio.to_thread(writer.write, rows)
        if (
            content.facts >= sealing.facts_max
            or content.body_bytes >= SEGMENT_BODY_BYTES_MAX
            or monotonic_seconds() >= ends_at
        ):
            content.more = True
            break
    content.finish()
    if writer is not None:
        await asyncio.to_thread(writer.close)


async def _conclude(
    connection: asyncpg.Connection, sealing: Sealing, content: _Content, last: Signed | None
) -> Signed:
    """Seal: write the manifest to the database, and then beside its segment."""
    if content.first_at is None or content.last_at is None:
        raise ValueError("a segment without facts is not sealed")
    sealed_at = sealing.clock.now()
    manifest = Manifest(
        format=FORMAT,
        number=1 if last is None else last.manifest.number + 1,
        segment=content.file,
        bytes=content.size,
        sha256=content.sha256,
        facts=content.facts,
        first_at=instant_text(content.first_at),
        last_at=instant_text(content.last_at),
        columns_version=sealing.origin.columns.version,
        spans=tuple(content.spans),
        previous=NO_MANIFEST if last is None else last.digest,
        sealed_at=instant_text(sealed_at),
        key_id=sealing.key.key_id,
    )
    signed = sign(manifest, sealing.key)
    async with connection.transaction():
        await connection.execute(
            "insert into segments (number, facts, sealed_at, manifest) values ($1, $2, $3, $4)",
            manifest.number,
            manifest.facts,
            sealed_at,
            signed.content.decode(),
        )
        await connection.execute(
            """insert into sealed_streams (stream, version, hash)
               select * from unnest($1::text[], $2::bigint[], $3::bytea[])
               on conflict (stream) do update
               set version = excluded.version, hash = excluded.hash""",
            [span.stream for span in manifest.spans],
            [span.last for span in manifest.spans],
            [bytes.fromhex(span.hash) for span in manifest.spans],
        )
    await _put_bytes(sealing.place, manifest_name(manifest.number), signed.content)
    return signed


async def _put_bytes(place: Place, name: str, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(prefix="tollgate-seal-") as file:
        file.write(content)
        file.flush()
        await asyncio.to_thread(place.put, name, Path(file.name))
