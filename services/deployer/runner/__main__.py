"""`python -m services.deployer.runner FOLDER`: the order comes on standard input, as JSON.

The folder is told only so that whoever lists processes sees which build this one runs.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from services.deployer.runner.build_run import carry_out
from services.deployer.runner.job import Order
from services.deployer.runner.processes import note_runner
from services.deployer.runner.program import adopt_orphans
from services.deployer.runner.reporting import Reporter

ORDER_BYTES_MAX = 65_536


def main() -> int:
    """Carry out the build; the exit status says only whether that was reported."""
    os.umask(0o077)
    order = msgspec.json.decode(sys.stdin.buffer.read(ORDER_BYTES_MAX), type=Order)
    note_runner(Path(order.folder))
    adopt_orphans()
    return asyncio.run(_run(order))


async def _run(order: Order) -> int:
    async with Reporter(order.url, order.token) as reporter:
        return await carry_out(order, reporter)


if __name__ == "__main__":
    raise SystemExit(main())
