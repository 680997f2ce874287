"""Build logs, as text or live."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.gateway.gateway import Gateway
from services.gateway.http.access import signed_in
from services.gateway.http.deployments import visible_deployment
from services.gateway.http.door import Door
from services.gateway.http.parameters import Asker, IdInPath, IdInQuery, TheGateway
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.sse import (
    HEARTBEAT,
    HEARTBEAT_SECONDS,
    ID_LENGTH_MAX,
    MEDIA_TYPE,
    event_bytes,
    opening,
    stream,
)
from services.gateway.log_rows import StoredChunk, read_chunks
from services.gateway.queries.deployments import build_of
from services.gateway.wakes import log_topic, until_woken

router = resource("Deployments")

CHUNKS_MAX: Final = 32
POLL_SECONDS: Final = 0.5
GAP_SECONDS_MAX: Final = 5.0
"""How long a missing piece, or the last one, is waited for before the log goes on without it."""

OFFSET_MAX: Final = 2**53

_DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The log, as text or as server-sent events.",
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            MEDIA_TYPE: {"schema": {"type": "string"}},
        },
    }
}


@router.get("/api/deployments/{deployment_id}/logs", response_class=Response, responses=_DOCUMENTED)
@signed_in
async def logs(
    *,
    deployment_id: IdInPath,
    request: Request,
    gateway: TheGateway,
    asker: Asker,
    build: IdInQuery = None,
    after: Annotated[
        int, Query(ge=0, le=OFFSET_MAX, description="The byte of the log to begin with.")
    ] = 0,
    accept: Annotated[str, Header(max_length=500)] = "text/plain",
    last_event_id: Annotated[str | None, Header(max_length=ID_LENGTH_MAX)] = None,
) -> Response:
    """Read a build's log: as text as far as it goes, or live with `Accept: text/event-stream`.

    Live, `log` events carry the text, and the id of each is the byte to go on from; `progress`
    events say `{"done": 1, "planned": 3}`, resources; an `end` event comes after the last of them.
    """
    async with gateway.connection() as connection:
        await visible_deployment(connection, asker, deployment_id)
        found = await build_of(connection, deployment_id, build)
    if found is None:
        raise ProblemError("NOT_FOUND", "the deployment has no such build")
    if MEDIA_TYPE not in accept:
        return StreamingResponse(
            _text(gateway, found["id"], after), media_type="text/plain; charset=utf-8"
        )
    start = _offset(last_event_id) if last_event_id else after
    door: Door = request.app.state.door
    return stream(
        _live(
            request=request,
            gateway=gateway,
            door=door,
            deployment_id=deployment_id,
            build=found,
            start=start,
        ),
        of="logs",
    )


def _offset(last_event_id: str) -> int:
    if last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) <= OFFSET_MAX:
        return int(last_event_id)
    raise invalid("/Last-Event-ID", "is no id of ours", parameter="Last-Event-ID")


async def _text(gateway: Gateway, build_id: str, position: int) -> AsyncIterator[bytes]:
    """Give the log as far as it is here, a few chunks at a time."""
    while True:
        async with gateway.connection() as connection:
            chunks = await read_chunks(connection, build_id, position, CHUNKS_MAX)
        tail = _Tail(position)
        for chunk in chunks:
            tail.skip_to(chunk)
            piece = tail.take(chunk)
            if piece:
                yield piece
        if len(chunks) < CHUNKS_MAX or tail.position == position:
            return
        position = tail.position


@dataclass
class _Tail:
    """How far a log was read: up to this byte."""

    position: int
    ended: bool = False

    def fits(self, chunk: StoredChunk) -> bool:
        """Return whether nothing is missing before a chunk."""
        return chunk.start <= self.position

    def take(self, chunk: StoredChunk) -> bytes:
        """Return what of a chunk was not read yet."""
        piece = chunk.body[self.position - chunk.start :]
        self.position = max(self.position, chunk.stop)
        self.ended = self.ended or chunk.final
        return piece

    def skip_to(self, chunk: StoredChunk) -> None:
        """Go on without what is missing before a chunk."""
        self.position = max(self.position, chunk.start)


async def _live(
    *,
    request: Request,
    gateway: Gateway,
    door: Door,
    deployment_id: str,
    build: dict[str, Any],
    start: int,
) -> AsyncIterator[bytes]:
    yield opening()
    loop = asyncio.get_running_loop()
    tail = _Tail(start)
    beat_at = loop.time() + HEARTBEAT_SECONDS
    moved_at = loop.time()
    told: tuple[int | None, int | None] = (None, None)
    with gateway.wakes.waiting(log_topic(build["id"])) as woken:
        while not gateway.running.stopping.is_set():
            async with gateway.connection() as connection:
                chunks = await read_chunks(connection, build["id"], tail.position, CHUNKS_MAX)
                current = await build_of(connection, deployment_id, build["id"])
            patient = loop.time() - moved_at < GAP_SECONDS_MAX
            begun_at = tail.position
            for chunk in chunks:
                if not tail.fits(chunk):
                    if patient:
                        break
                    tail.skip_to(chunk)
                piece = tail.take(chunk)
                if piece:
                    moved_at = loop.time()
                    text = piece.decode("utf-8", "replace")
                    yield event_bytes(kind="log", data=text, event_id=str(tail.position))
                if chunk.planned is not None and (chunk.done, chunk.planned) != told:
                    told = (chunk.done, chunk.planned)
                    progress = {"done": chunk.done, "planned": chunk.planned}
                    yield event_bytes(kind="progress", data=json.dumps(progress))
            over = current is None or (current["finished_at"] is not None and not patient)
            if tail.ended or (over and tail.position == begun_at):
                yield event_bytes(kind="end", data="{}", event_id=str(tail.position))
                return
            if loop.time() >= beat_at:
                if not await _may_still(door, request):
                    return
                yield HEARTBEAT
                beat_at = loop.time() + HEARTBEAT_SECONDS
            if len(chunks) < CHUNKS_MAX:
                await until_woken(woken, POLL_SECONDS)


async def _may_still(door: Door, request: Request) -> bool:
    """Return whether whoever listens is still signed in."""
    try:
        return await door.principal(request) is not None
    except ProblemError:
        return False
