"""The fake as one HTTP server: Stripe's API, the pages, the strings to pull, and `/readyz`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from devkit.stripe_fake.api import Api
from devkit.stripe_fake.behaviour import Behaviour
from devkit.stripe_fake.control import Control
from devkit.stripe_fake.errors import StripeError
from devkit.stripe_fake.pages import Pages
from devkit.stripe_fake.payments import Payments
from devkit.stripe_fake.store import Store
from devkit.stripe_fake.webhooks import Webhooks
from runtime.clock import Clock, system_clock

BODY_BYTES_MAX: Final = 65_536


@dataclass(frozen=True)
class Options:
    """Where it listens, keeps its file and sends webhooks, and the keys that it goes by."""

    port: int
    file: Path
    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    webhook_url: str | None
    clock: Clock = system_clock


@asynccontextmanager
async def serving(options: Options) -> AsyncIterator[str]:
    """Serve on the loopback address for a while; give where."""
    store = Store(options.file)
    behaviour = Behaviour()
    payments = Payments(store, behaviour, options.clock)
    webhooks = Webhooks(
        store, options.clock, url=options.webhook_url, secret=options.webhook_secret
    )
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_refusals])
    app.add_routes([web.get("/readyz", _ready)])
    app.add_routes(Api(store, payments, behaviour, api_key=options.api_key).routes())
    app.add_routes(Pages(store, payments).routes())
    app.add_routes(Control(store, payments, webhooks, behaviour, options.clock).routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port)
    await site.start()
    telling = asyncio.create_task(webhooks.run(), name="webhooks")
    telling.add_done_callback(_say_why)
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await runner.cleanup()
        store.close()


def _say_why(telling: asyncio.Task[None]) -> None:
    """Webhooks end when the server does; else it is a bug, and nobody is told anything any more."""
    if not telling.cancelled():
        structlog.get_logger().critical("webhooks.ended", exc_info=telling.exception())


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer what a page cannot do with Stripe's words for it."""
    try:
        return await handler(request)
    except StripeError as error:
        return web.Response(text=str(error), status=error.status)


async def _ready(_: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})
