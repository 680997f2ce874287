"""How long syncs of a large repository take, from the bus to the bus.

The first; one of a new commit in which no module has changed; one of the same commit again.
"""

import asyncio
import json
import os
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError
from benchmarks.servers import Servers, Telling, publish, servers
from benchmarks.table import Row, Status
from contracts.catalog.v1 import SyncFinished
from contracts.gateway.v1 import SyncRequested
from contracts.subjects import facts_stream
from runtime.bus import Bus
from runtime.clock import system_clock
from runtime.ids import new_id
from services.catalog.terraform_files import read_terraform

MODULES: Final = 300
VARIABLES: Final = 40
FIRST_REACH: Final = 3.0
UNCHANGED_REACH: Final = 0.3
SAME_REACH: Final = 0.1
SYNC_SECONDS_MAX: Final = 120.0
_POLL_SECONDS: Final = 0.01
_VARIABLE: Final = """\
variable "option_{n}" {{
  description = "Option {n} of module {m}. {{{{UIMeta group=1 order={n} updatesafe }}}}"
  type        = string
  default     = "small"

  validation {{
    condition     = contains(["small", "large", "m-{m}"], var.option_{n})
    error_message = "Must be small or large."
  }}
}}

"""


def measure(status: Status) -> Row:
    """Return how long syncs take, beside a bare clone and the parsing of all files in one process.

    The time of a sync runs from its request on the bus until its report is there.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder))
        repository = _repository(place / "modules")
        with status("catalog sync: bare clone and parsing"):
            reference = _clone_and_parse(repository, place / "clone")
        with (
            status("catalog sync: first, new commit, same commit"),
            servers(place / "data") as up,
            up.service("catalog"),
        ):
            first, unchanged, same = asyncio.run(_three_syncs(up, repository))
    return Row(
        name="catalog-sync",
        what=f"sync of {MODULES} modules with {VARIABLES} variables each: first; a new commit that "
        "changes none; the same commit again",
        reach=f"≤ {FIRST_REACH:g} ×, ≤ {UNCHANGED_REACH:g} × and ≤ {SAME_REACH:g} × bare clone and "
        "parsing",
        measured=f"{first:.2f} s, {unchanged:.2f} s, {same:.2f} s",
        reference=f"{first / reference:.2f} ×, {unchanged / reference:.2f} × and "
        f"{same / reference:.2f} × bare `git clone` and parsing alone, {reference:.2f} s",
        reached=first <= FIRST_REACH * reference
        and unchanged <= UNCHANGED_REACH * reference
        and same <= SAME_REACH * reference,
    )


def _repository(folder: Path) -> Path:
    for module in range(MODULES):
        directory = folder / f"module-{module}"
        directory.mkdir(parents=True)
        (directory / "module.yaml").write_text(f"name: module-{module}\ncredit_cost: 5\n")
        (directory / "main.tf").write_text('resource "terraform_data" "all" {}\n')
        (directory / "README.md").write_text(f"# Module {module}\n")
        variables = "".join(_VARIABLE.format(n=n, m=module) for n in range(VARIABLES))
        (directory / "variables.tf").write_text(variables)
    _git("init", "--quiet", str(folder))
    _commit(folder)
    return folder


def _commit(folder: Path) -> None:
    _git("-C", str(folder), "add", ".")
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    _git("-C", str(folder), *identity, "commit", "--quiet", "-m", "modules")


def _git(*arguments: str) -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(("git", *arguments), env=environment, capture_output=True, check=False)  # noqa: S603 - the arguments are ours
    if done.returncode != 0:
        raise NotMeasuredError(f"git: {done.stderr.decode('utf-8', 'replace').strip()}")


def _clone_and_parse(repository: Path, into: Path) -> float:
    begun = time.perf_counter()
    _git("clone", "--quiet", "--no-local", str(repository), str(into))
    for file in sorted(into.rglob("*.tf")):
        read_terraform(file.name, file.read_bytes())
    return time.perf_counter() - begun


async def _three_syncs(up: Servers, repository: Path) -> tuple[float, float, float]:
    async with up.bus_as("gateway") as people, up.administrator() as administrator:
        syncs = _Syncs(people, administrator.jetstream(), repository)
        first = await syncs.seconds("PUBLISHED")
        (repository / "NOTES.md").write_text("Nothing that concerns a module.\n")
        _commit(repository)
        return first, await syncs.seconds("UNCHANGED"), await syncs.seconds("UNCHANGED")


class _Syncs:
    """Asks for syncs as the gateway does, and waits for their reports."""

    def __init__(self, bus: Bus, reports: JetStreamContext, repository: Path) -> None:
        self._bus = bus
        self._reports = reports
        self._repository = repository
        self._told = Telling()

    async def seconds(self, outcome: str) -> float:
        """Return how many seconds a sync took in which all modules had this outcome."""
        request = self._request()
        row = self._told.row(f"request-{request.request_id}", request)
        begun = time.perf_counter()
        await publish(self._bus, [row])
        while time.perf_counter() - begun < SYNC_SECONDS_MAX:
            report = await self._last_report()
            if report.get("sync_id") == request.sync_id:
                seconds = time.perf_counter() - begun
                found = [module["outcome"] for module in report["modules"]]
                if found != [outcome] * MODULES:
                    raise NotMeasuredError(f"the sync ended otherwise: {report['error']}")
                return seconds
            await asyncio.sleep(_POLL_SECONDS)
        raise NotMeasuredError(f"the sync took longer than {SYNC_SECONDS_MAX:g} seconds")

    def _request(self) -> SyncRequested:
        now = system_clock.now()
        return SyncRequested(
            request_id=new_id(),
            requested_by="bench",
            requested_at=now,
            expires_at=now + timedelta(hours=1),
            sync_id=new_id(),
            scope="platform",
            partner_id=None,
            repository_url=str(self._repository),
            branch=None,
            sealed_token=None,
        )

    async def _last_report(self) -> dict[str, Any]:
        try:
            message = await self._reports.get_last_msg(
                facts_stream("catalog"), SyncFinished.bus_subject()
            )
        except NotFoundError:
            return {}
        data: dict[str, Any] = json.loads(message.data or b"{}").get("data", {})
        return data
