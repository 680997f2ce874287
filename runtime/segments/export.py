"""Hands on what an auditor needs: segments, manifests, public keys, and what is not sealed yet.

The tail is taken from one snapshot, together with the list of segments that it goes on from, so
the export holds each fact once. `verify --segments-only` checks it, and so does
`examples/audit/check_segments.py`, which knows nothing of Tollgate's code.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import asyncpg

from runtime.segments.manifest import file_digest, manifest_name, open_manifest
from runtime.segments.origin import Origin
from runtime.segments.places import Place
from runtime.segments.reader import snapshot
from runtime.segments.sealer import KEYS_NAME, SealError
from runtime.segments.segment import SegmentWriter
from runtime.segments.unsealed import read_unsealed
from runtime.segments.verification import TAIL_NAME
from runtime.signing import PublicKeys

Progress = Callable[[int, int], None]
"""Called with how many segments were copied, and how many there are."""

_MODE: Final = 0o755


class ExportError(SealError):
    """There is something in the folder already."""


async def export(
    origin: Origin,
    dsn: str,
    place: Place | None,
    keys: PublicKeys,
    folder: Path,
    *,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Write everything to a new or empty folder; return how many segments, and unsealed facts.

    Each segment is compared with its manifest as it is copied. What is interrupted leaves a folder
    without `keys.json`, which is written last.
    """
    await asyncio.to_thread(_prepare, folder)
    async with snapshot(dsn) as connection:
        rows = await connection.fetch("select number from segments order by number")
        numbers = [row["number"] for row in rows]
        unsealed = await _write_tail(connection, origin, folder / TAIL_NAME)
    if numbers and place is None:
        raise SealError("no place for segments: set TOLLGATE_SEGMENTS_URL")
    connection = await asyncpg.connect(dsn)
    try:
        for done, number in enumerate(numbers, 1):
            manifest = await connection.fetchval(
                "select manifest from segments where number = $1", number
            )
            if place is not None:
                await asyncio.to_thread(_copy, place, keys, manifest.encode(), folder)
            if progress is not None:
                progress(done, len(numbers))
    finally:
        await connection.close()
    (folder / KEYS_NAME).write_text(keys.to_json() + "\n")
    return len(numbers), unsealed


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ExportError(f"{folder} is not empty")


async def _write_tail(connection: asyncpg.Connection, origin: Origin, path: Path) -> int:
    writer = SegmentWriter(path, origin.columns)
    facts = 0
    async for rows in read_unsealed(connection, origin):
        await asyncio.to_thread(writer.write, rows)
        facts += len(rows)
    writer.close()
    return facts


def _copy(place: Place, keys: PublicKeys, content: bytes, folder: Path) -> None:
    manifest = open_manifest(content, keys).manifest
    target = folder / manifest.segment
    with place.fetch(manifest.segment) as source:
        shutil.copyfile(source, target)
    if file_digest(target) != (manifest.sha256, manifest.bytes):
        target.unlink()
        raise SealError(f"{manifest.segment} is not what was sealed: it was changed")
    (folder / manifest_name(manifest.number)).write_bytes(content)
