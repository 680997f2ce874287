"""Endpoints of the test's own: they keep what they are sent, and answer as they are told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Sent:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """Return what the body says."""
        event: dict[str, Any] = msgspec.json.decode(self.body)
        return event


@dataclass
class Receiver:
    """An endpoint; `respond` may be replaced at any time."""

    url: str = ""
    respond: Respond | None = None
    sent: list[Sent] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Keep a request and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.sent.append(Sent(headers, await request.read()))
        self.came.set()
        if self.respond is not None:
            return await self.respond(request)
        return web.Response(status=204)


def answering(status: int, **options: Any) -> Respond:
    """Return what answers with a status."""

    async def respond(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, **options)

    return respond


@asynccontextmanager
async def receiver(
    respond: Respond | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Give an endpoint on this machine; with TLS it is https."""
    here = Receiver(respond=respond)
    app = web.Application()
    app.router.add_post("/{path:.*}", here.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        here.url = f"http{'' if tls is None else 's'}://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield here
    finally:
        await runner.cleanup()
