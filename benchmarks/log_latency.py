"""How long a line that a module prints takes until a client who follows the log has it."""

import asyncio
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import aiohttp

from benchmarks.customers import Customer, quantile, shop
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, system
from benchmarks.table import Row, Status
from runtime.clock import system_clock
from services.deployer.terraform import find_terraform

LINES: Final = 300
REACH_MS: Final = 250.0
SECONDS_MAX: Final = 120.0
_PRINTED: Final = "(local-exec): at "
_COMMAND: Final = f"for i in $(seq {LINES}); do date +'at %s%N'; sleep 0.07; done"
"""Each line says when it was printed, in nanoseconds of the same machine's clock."""


def measure(status: Status) -> Row:
    """Return the time from a line's printing to its arrival by HTTP, beside Terraform's own.

    In it are Terraform, the runner's looks at its output, the deployer, the bus, the gateway.
    """
    terraform = find_terraform(None)
    if terraform is None:
        raise NotMeasuredError("neither terraform nor tofu is on the PATH")
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        with status("log latency: starting a system"), system(place / "data") as up:

            async def follow() -> list[float]:
                async with shop(up, place, customers=1, command=_COMMAND) as opened:
                    deployment = await opened.deploys(opened.customers[0])
                    async with asyncio.timeout(SECONDS_MAX):
                        return await _follow(opened.customers[0], deployment["id"])

            took = asyncio.run(follow())
        with status("log latency: bare Terraform"):
            bare = _bare(terraform, place / "bare")
    p50, p99, of_bare = quantile(took, 0.5), quantile(took, 0.99), quantile(bare, 0.5)
    return Row(
        name="log-latency",
        what="a line that a module prints → seen by a client that follows the log",
        reach=f"p99 ≤ {REACH_MS:g} ms",
        measured=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, {len(took)} lines",
        reference=f"bare Terraform, read through a pipe: p50 {of_bare:.1f} ms, "
        f"p99 {quantile(bare, 0.99):.1f} ms",
        reached=len(took) == LINES and p99 <= REACH_MS,
    )


async def _follow(customer: Customer, deployment_id: str) -> list[float]:
    """Return each line's age in milliseconds when it came."""
    path = f"/api/deployments/{deployment_id}/logs"
    headers = {"Accept": "text/event-stream"}
    bound = aiohttp.ClientTimeout(total=None, sock_read=SECONDS_MAX)
    took: list[float] = []
    async with customer.client.get(path, headers=headers, timeout=bound) as answer:
        async for line in answer.content:
            if line.startswith(b"event: end"):
                return took
            if line.startswith(b"data:"):
                took += _age(line.decode())
    raise NotMeasuredError("the log ended before its end was told")


def _age(line: str) -> list[float]:
    """Return the age of a line that says when it was printed; nothing of another."""
    _, found, at = line.partition(_PRINTED)
    return [system_clock.now().timestamp() * 1000 - int(at) / 1e6] if found else []


def _bare(terraform: str, folder: Path) -> list[float]:
    folder.mkdir()
    main = {"resource": {"terraform_data": {"it": {"provisioner": {"local-exec": {
        "command": _COMMAND}}}}}}  # fmt: skip
    (folder / "main.tf.json").write_text(json.dumps(main))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,
    }
    init = (terraform, "init", "-input=false")
    subprocess.run(init, cwd=folder, env=environment, check=True, capture_output=True)
    apply = (terraform, "apply", "-input=false", "-auto-approve", "-no-color")
    took: list[float] = []
    with subprocess.Popen(
        apply, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            took += _age(line)
    return took
