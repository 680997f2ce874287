"""`python -m services.deployer.runner FOLDER`: the order comes on standard input, as JSON.

The folder is told only so that whoever lists processes sees which build this one runs. On another
machine than the deployer's, `--sealed` takes the place of the folder: the order is sealed in
`TOLLGATE_SEALED_ORDER`, for the private key in `TOLLGATE_RUNNER_KEY`.
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
    order = _sealed_order() if "--sealed" in sys.argv[1:] else _order_from_input()
    note_runner(Path(order.folder))
    adopt_orphans()
    return asyncio.run(_run(order))


def _order_from_input() -> Order:
    return msgspec.json.decode(sys.stdin.buffer.read(ORDER_BYTES_MAX), type=Order)


def _sealed_order() -> Order:
    """Return the order that was sent here, and make the folder that it names."""
    # To load what opens it is a sixth of a start, which runners on this machine do not need.
    from runtime.sealing import open_sealed  # noqa: PLC0415 - see above

    key, sealed = os.environ.pop("TOLLGATE_RUNNER_KEY"), os.environ.pop("TOLLGATE_SEALED_ORDER")
    order = msgspec.json.decode(open_sealed(sealed, key), type=Order)
    uid = order.uid if os.geteuid() == 0 else None
    folder = Path.cwd() / order.folder
    home = folder / "home"
    home.mkdir(parents=True)
    folder.chmod(0o700 if uid is None else 0o711)
    if uid is not None:
        os.chown(home, uid, uid)
    return msgspec.structs.replace(order, uid=uid, folder=str(folder))


async def _run(order: Order) -> int:
    async with Reporter(order.url, order.token) as reporter:
        return await carry_out(order, reporter)


if __name__ == "__main__":
    raise SystemExit(main())
