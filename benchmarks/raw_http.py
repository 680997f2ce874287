"""The least that an HTTP client must do: write a request, and read as long an answer as it says."""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from benchmarks.running import NotMeasuredError

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
ANSWER_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True)
class Load:
    """What came of many calls: how many a second, and what the slowest hundredth took."""

    calls_per_second: float
    p99_ms: float


async def load(url: str, path: str, token: str, *, connections: int, calls: int) -> Load:
    """Return how fast a path is answered to so many connections at once, so often altogether.

    Each sends its next request when it has its last answer. An answer that is no 200 is an error.
    """
    left = iter(range(calls))
    took: list[float] = []

    async def work() -> None:
        reader, writer, request = await connect(url, path, token)
        for _ in left:
            begun = time.perf_counter()
            writer.write(request)
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await _answer(reader, path)
            took.append(time.perf_counter() - begun)
        writer.close()

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())
    seconds = time.perf_counter() - begun
    took.sort()
    return Load(calls / seconds, 1000 * took[int(0.99 * (len(took) - 1))])


async def connect(
    url: str, path: str, token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Return a connection, and the request to write to it."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    return reader, writer, request.encode()


async def _answer(reader: asyncio.StreamReader, path: str) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise NotMeasuredError(f"GET {path} was answered {head[:200]!r}")
    return await reader.readexactly(int(length[1]))
