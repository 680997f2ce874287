"""`python -m services.deployer.runner`: the order comes on standard input, as one JSON object."""

import asyncio
import json
import os
import sys
from pathlib import Path

from services.deployer.runner.build_run import BuildRun
from services.deployer.runner.reporting import Reporter

ORDER_BYTES_MAX = 65_536


def main() -> int:
    """Carry out the build; the exit status says only whether that was reported."""
    order = json.loads(sys.stdin.buffer.read(ORDER_BYTES_MAX))
    folder = Path(order["folder"])
    os.chdir(folder)
    return asyncio.run(_run(order["url"], order["token"], folder))


async def _run(url: str, token: str, folder: Path) -> int:
    async with Reporter(url, token) as reporter:
        return await BuildRun(reporter, folder).run()


if __name__ == "__main__":
    raise SystemExit(main())
