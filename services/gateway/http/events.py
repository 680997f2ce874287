"""What happens, live: only what the listener may see, at the moment that they may."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.credentials import Principal
from services.gateway.feed import FeedEvent
from services.gateway.gateway import Gateway
from services.gateway.http.access import signed_in
from services.gateway.http.door import Door
from services.gateway.http.parameters import Asker, TheGateway
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.sse import (
    HEARTBEAT,
    HEARTBEAT_SECONDS,
    ID_LENGTH_MAX,
    event_bytes,
    opening,
    stream,
)
from services.gateway.projections.client_events import PRINCIPAL

router = resource("Live")

POSITION_MAX: Final = 2**63 - 1
Scope = Literal["mine", "all"]

STREAM_DOCUMENTED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events, until the client or the server ends them.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/api/events", response_class=Response, responses=STREAM_DOCUMENTED)
@signed_in
async def events(
    *,
    request: Request,
    gateway: TheGateway,
    asker: Asker,
    scope: Annotated[Scope, Query(description="`mine` leaves out what is other people's.")] = "all",
    after: Annotated[
        str | None,
        Query(max_length=ID_LENGTH_MAX, description="As `Last-Event-ID`, which goes before it."),
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=ID_LENGTH_MAX)] = None,
) -> Response:
    """Listen: `deployment`, `balance`, `module`, `sync`, `revenue` and `webhook` events for you.

    Each has an id; who comes back with the last of them misses nothing for a day. Where something
    may have been missed all the same, a `reset` event says so: read what you show anew.
    """
    if last_event_id:
        position, missed = await _begin(gateway, last_event_id, "Last-Event-ID")
    else:
        position, missed = await _begin(gateway, after, "after")
    door: Door = request.app.state.door
    return stream(
        _listen(request, gateway, door, asker, position, scope=scope, missed=missed), of="events"
    )


async def _begin(gateway: Gateway, event_id: str | None, parameter: str) -> tuple[int, bool]:
    """Return the position to go on from, and whether something before it is lost."""
    if not event_id:
        return await gateway.feed.last_position(), False
    if not event_id.isascii() or not event_id.isdigit():
        raise invalid(f"/{parameter}", "is no id of ours", parameter=parameter)
    position = int(event_id)
    if position <= POSITION_MAX and await gateway.feed.covers(position):
        return position, False
    return await gateway.feed.last_position(), True


async def _listen(
    request: Request,
    gateway: Gateway,
    door: Door,
    asker: Principal,
    position: int,
    *,
    scope: Scope,
    missed: bool,
) -> AsyncIterator[bytes]:
    yield opening()
    if missed:
        yield event_bytes(kind="reset", data="{}", event_id=str(position))
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + HEARTBEAT_SECONDS
    async with gateway.feed.listening():
        while not gateway.running.stopping.is_set():
            found = await gateway.feed.after(position, max(0.0, beat_at - loop.time()))
            for event in found:
                position = event.position
                if event.kind == PRINCIPAL:
                    if event.user_id == asker.user_id:
                        still = await _still(door, request)
                        if still is None:
                            return
                        asker = still
                elif may_see(event, asker, scope):
                    yield event.wire
            if loop.time() >= beat_at:
                still = await _still(door, request)
                if still is None:
                    return
                asker = still
                yield HEARTBEAT
                beat_at = loop.time() + HEARTBEAT_SECONDS


def may_see(event: FeedEvent, asker: Principal, scope: Scope = "all") -> bool:
    """Return whether a listener is told of an event."""
    if event.everyone or (event.user_id is not None and event.user_id == asker.user_id):
        return True
    return scope == "all" and not event.roles.isdisjoint(asker.roles)


async def _still(door: Door, request: Request) -> Principal | None:
    """Return who listens as they are now, or nothing where they may no longer."""
    try:
        return await door.principal(request)
    except ProblemError:
        return None
