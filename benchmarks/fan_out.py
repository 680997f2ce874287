"""How long one event takes from the first to the last of a thousand who listen."""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.raw_http import connect
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, system
from benchmarks.table import Row, Status

LISTENERS: Final = 1_000
EVENTS: Final = 20
AT_ONCE: Final = 50
REACH: Final = 20.0
PATIENCE_SECONDS: Final = 30.0
_BEGUN: Final = b": connected\n\n"
_TELL: Final = """
    insert into client_events (kind, user_id, roles, everyone, data)
    values ('module', null, '{}', true, $1)"""
_DATA: Final = json.dumps({"id": "bench", "text": "x" * 200})
_PLENTY: Final = "100000"
_ENVIRONMENT: Final = {
    "TOLLGATE_RATE_LIMIT_PER_SECOND": _PLENTY,
    "TOLLGATE_RATE_LIMIT_BURST": _PLENTY,
}


def measure(status: Status) -> Row:
    """Return how long an event for everybody is on its way from the first listener to the last.

    Beside the same bytes written to as many connections by a server that does nothing else; there
    both ends share a process, and here the listeners do.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with (
            status("fan-out: starting the system"),
            system(place, environment=_ENVIRONMENT) as up,
        ):
            account = json.loads((place / "demo.json").read_text())["accounts"]["user"]
            dsn, url = up.endpoints["postgres"]["gateway"], up.endpoints["gateway"]
            with status(f"fan-out: {LISTENERS:,} listeners"):
                ours = asyncio.run(_ours(dsn, url, account["token"]))
    with status("fan-out: a bare server"):
        bare = asyncio.run(_bare())
    return Row(
        name="fan-out",
        what=f"one event, from the first to the last of {LISTENERS:,} listeners (median)",
        reach=f"≤ {REACH:g} × a server that only writes",
        measured=f"{1000 * ours:.0f} ms",
        reference=f"{ours / bare:.1f} × {1000 * bare:.0f} ms",
        reached=ours <= REACH * bare,
    )


async def _ours(dsn: str, url: str, token: str) -> float:
    readers: list[asyncio.StreamReader] = []
    writers = []

    async def listen() -> None:
        reader, writer, request = await connect(url, "/api/events", token)
        writer.write(request)
        head = await reader.readuntil(_BEGUN)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise NotMeasuredError(f"a listener was answered {head[:200]!r}")
        readers.append(reader)
        writers.append(writer)

    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS * LISTENERS / 200):
            for _ in range(0, LISTENERS, AT_ONCE):
                await asyncio.gather(*(listen() for _ in range(AT_ONCE)))
        spreads = []
        for _ in range(EVENTS):
            hearing = asyncio.gather(*(_hears(reader, b"data: ") for reader in readers))
            await connection.execute(_TELL, _DATA)
            spreads.append(_spread(await asyncio.wait_for(hearing, PATIENCE_SECONDS)))
        return statistics.median(spreads)
    finally:
        for writer in writers:
            writer.close()
        await connection.close()


async def _bare() -> float:
    message = b"event: module\ndata: " + _DATA.encode() + b"\n\n"
    async with _writer_to_all() as (port, writers, all_came):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LISTENERS)]
        await all_came.wait()
        spreads = []
        for _ in range(EVENTS):
            hearing = asyncio.gather(*(_hears(reader, b"data: ") for reader, _ in pairs))
            await asyncio.sleep(0)
            for writer in writers:
                writer.write(message)
            spreads.append(_spread(await asyncio.wait_for(hearing, PATIENCE_SECONDS)))
        for _, writer in pairs:
            writer.close()
        return statistics.median(spreads)


@asynccontextmanager
async def _writer_to_all() -> AsyncIterator[tuple[int, list[asyncio.StreamWriter], asyncio.Event]]:
    writers: list[asyncio.StreamWriter] = []
    all_came = asyncio.Event()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if len(writers) == LISTENERS:
            all_came.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=LISTENERS)
    try:
        yield server.sockets[0].getsockname()[1], writers, all_came
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def _hears(reader: asyncio.StreamReader, mark: bytes) -> float:
    """Return when a line that begins so has come."""
    while not (await reader.readline()).startswith(mark):
        if reader.at_eof():
            raise NotMeasuredError("a listener was cut off")
    return time.perf_counter()


def _spread(heard: list[float]) -> float:
    return max(heard) - min(heard)
