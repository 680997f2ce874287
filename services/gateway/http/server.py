"""Serves the application in the service's own event loop, and drains it."""

import asyncio
import logging
from typing import Final

import structlog
from starlette.types import ASGIApp

from runtime.process import StartError

BACKLOG: Final = 1_024
DRAIN_SECONDS: Final = 15.0
"""Within the process's own bound: calls end within ten, streams at once."""


async def serve(app: ASGIApp, *, host: str, port: int, stopping: asyncio.Event) -> None:
    """Serve until cancelled or until the process stops; then finish the calls that were begun."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    logging.getLogger("_granian").setLevel(logging.ERROR)
    server = Server(
        app,
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
        server.stop()  # type: ignore[no-untyped-call]  # granian's
        await _drained(serving)


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
