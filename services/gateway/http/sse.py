"""Server-sent events: how they are written, and streams of them."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import StreamingResponse

from services.gateway.metrics import SSE_CLIENTS

HEARTBEAT_SECONDS: Final = 15.0
HEARTBEAT: Final = b": heartbeat\n\n"
RETRY_MS: Final = 1_000
MEDIA_TYPE: Final = "text/event-stream"
ID_LENGTH_MAX: Final = 64


def opening() -> bytes:
    """Return what a stream begins with: how soon to come back when it is cut off."""
    return b"retry: %d\n: connected\n\n" % RETRY_MS


def event_bytes(*, kind: str, data: str, event_id: str | None = None) -> bytes:
    """Return one event; `data` may have lines."""
    lines = [] if event_id is None else [f"id: {event_id}"]
    lines.append(f"event: {kind}")
    normal = data.replace("\r\n", "\n").replace("\r", "\n")
    lines += [f"data: {line}" for line in normal.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def stream(events: AsyncIterator[bytes], *, of: str) -> StreamingResponse:
    """Return the answer that streams events, which no proxy may hold back.

    `of` names what is streamed, for the count of those who listen.
    """
    return StreamingResponse(
        _counted(events, of),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _counted(events: AsyncIterator[bytes], of: str) -> AsyncIterator[bytes]:
    with SSE_CLIENTS.labels(stream=of).track_inprogress():
        async for event in events:
            yield event
