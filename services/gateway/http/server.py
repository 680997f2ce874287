"""Serves the application in the service's own event loop, and drains it."""

import asyncio
import logging
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.process import StartError

BACKLOG: Final = 1_024
DRAIN_SECONDS: Final = 15.0
"""Within the process's own bound: calls end within ten, streams at once."""


async def serve(
    app: ASGIApp, *, host: str, port: int, stopping: asyncio.Event, linger_seconds: float
) -> None:
    """Serve until cancelled or until the process stops; then finish the calls that were begun.

    A process that stops is not ready from that moment on. For a while it still takes calls, and
    asks each caller to come on another connection next time: so nobody sends a call on one that
    is closed in that moment, which a caller may not repeat.
    """
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    logging.getLogger("_granian").setLevel(logging.ERROR)
    server = Server(
        _Leaving(app, stopping),
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve(), name="granian")
    stop = asyncio.create_task(stopping.wait(), name="http stop")
    try:
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            _raise_why(serving, host, port)
    finally:
        stop.cancel()
        try:
            if stopping.is_set() and not serving.done():
                await asyncio.sleep(linger_seconds)
        finally:
            # Whoever cancels does not want to wait; the port is given back all the same.
            server.stop()  # type: ignore[no-untyped-call]  # granian's
            await _drained(serving)


class _Leaving:
    """Wraps the application: once the process stops, every answer is its connection's last."""

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._stopping.is_set():
                headers = [*message.get("headers", []), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_last)


def _raise_why(serving: "asyncio.Task[None]", host: str, port: int) -> None:
    error = serving.exception()
    if isinstance(error, OSError | RuntimeError):
        reason = str(error).partition("\n")[0]
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from error
    if error is not None:
        raise error
    raise RuntimeError("the HTTP server ended by itself")


async def _drained(serving: "asyncio.Task[None]") -> None:
    """Wait, bounded, until no call is in hand."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await asyncio.shield(serving)
    except TimeoutError:
        structlog.get_logger().warning("http.drain_timed_out", seconds=DRAIN_SECONDS)
        serving.cancel()
    except (OSError, RuntimeError):
        # It never served; why is told already.
        return
