"""A program of its own that takes webhooks: prints its port, and answers 204 to all."""

import asyncio
import sys

from aiohttp import web


async def take(request: web.Request) -> web.Response:
    """Read what was sent and say that it was taken."""
    await request.read()
    return web.Response(status=204)


async def main() -> None:
    """Listen on any free port of this machine, until killed."""
    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
