"""`python -m devkit.stripe_fake`: runs the fake in the foreground, as `tollgate up` does.

Told by its environment, so that no key stands in a list of processes:
`STRIPE_FAKE_PORT`, `_FILE`, `_API_KEY`, `_WEBHOOK_SECRET`, and `_WEBHOOK_URL` where there is one.
"""

import asyncio
import os
import signal
from pathlib import Path

import structlog

from devkit.stripe_fake.server import Options, serving
from runtime.telemetry import configure_logging

PREFIX = "STRIPE_FAKE_"


def main() -> None:
    """Serve until told to stop."""
    configure_logging("stripe", level="info", log_format="json")
    told = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
    }
    options = Options(
        port=int(told["port"]),
        file=Path(told["file"]),
        api_key=told["api_key"],
        webhook_secret=told["webhook_secret"],
        webhook_url=told.get("webhook_url"),
    )
    asyncio.run(_serve(options))


async def _serve(options: Options) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(options) as url:
        structlog.get_logger().info("stripe_fake.started", url=url, webhook=options.webhook_url)
        await stopped.wait()


if __name__ == "__main__":
    main()
