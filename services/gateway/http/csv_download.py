"""A list as CSV (RFC 4180): written by the database, handed on in pieces, never held whole."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from runtime.connection import Connection
from services.gateway.gateway import Gateway
from services.gateway.http.problems import ProblemError

MEDIA_TYPE: Final = "text/csv"

DOWNLOADS_MAX: Final = 3
"""Downloads at a time, for each holds a connection while its reader reads."""

PIECES_MAX: Final = 8
"""Pieces that wait for a slow reader; then the database waits too."""

_slots = asyncio.Semaphore(DOWNLOADS_MAX)

Take = Callable[[bytes], Coroutine[Any, Any, None]]
Copy = Callable[[Connection, Take], Coroutine[Any, Any, None]]

DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The list: a page of it as JSON, or all of it with `Accept: text/csv`.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


def wants_csv(accept: str) -> bool:
    """Whether a caller asks for CSV rather than JSON."""
    return any(part.partition(";")[0].strip() == MEDIA_TYPE for part in accept.lower().split(","))


async def csv_response(gateway: Gateway, name: str, copy: Copy) -> StreamingResponse:
    """Return a download of what `copy` hands over; a 429 while there are too many."""
    if _slots.locked():
        raise ProblemError(
            "TOO_MANY_REQUESTS", "too many downloads at a time", headers={"Retry-After": "5"}
        )
    return _Download(_pieces(gateway, copy), name)


class _Download(StreamingResponse):
    """Sends pieces. When its reader has gone nothing is left of it, not even until the next GC."""

    def __init__(self, pieces: AsyncGenerator[bytes], name: str) -> None:
        super().__init__(
            pieces,
            media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )
        self._pieces = pieces

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()


async def _pieces(gateway: Gateway, copy: Copy) -> AsyncGenerator[bytes]:
    """Give CSV in pieces. A failure breaks the answer off, so that nobody takes it for whole."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES_MAX)

    async def take(piece: bytes) -> None:
        # No cell holds a line break, so each of these is the end of a line.
        await pieces.put(bytes(piece).replace(b"\n", b"\r\n"))

    async def write() -> None:
        try:
            async with gateway.connection() as connection:
                await _copied(connection, copy, take)
        except Exception:
            # What was written before is read first. Of who has left, nobody would ever read it.
            await pieces.put(None)
            raise
        await pieces.put(None)

    async with _slots:
        writing = asyncio.create_task(write(), name="csv")
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await writing
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def _copied(connection: Connection, copy: Copy, take: Take) -> None:
    """Write all; a connection that is left in the middle is of no use to whoever gets it next."""
    try:
        await copy(connection, take)
    except BaseException:
        connection.terminate()
        raise
