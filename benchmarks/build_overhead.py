"""How long a build takes here, beside a bare `terraform init && apply` of the same module."""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, System, system
from benchmarks.table import Row, Status
from services.deployer.terraform import find_terraform

MODULE: Final = "starter-network"
BUILDS: Final = 7
REACH: Final = 3.0
BUILD_SECONDS_MAX: Final = 120.0
_POLL_SECONDS: Final = 0.02
_EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples" / "modules"


def measure(status: Status) -> Row:
    """Return the median of builds, one at a time, beside that of bare runs in between them.

    A build's time runs from the request over HTTP until its success is read there: queue, hold,
    room, source, state, log, outputs and settlement are in it.
    """
    terraform = find_terraform(None)
    if terraform is None:
        raise NotMeasuredError("neither terraform nor tofu is on the PATH")
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("build overhead: starting the system"), system(place) as up:
            accounts = json.loads((place / "demo.json").read_text())["accounts"]
            token = accounts["user"]["token"]
            page = _ask(up, token, "GET", f"/api/modules?search={MODULE}")
            module_id = next(item["id"] for item in page["items"] if item["name"] == MODULE)
            for number in range(BUILDS + 1):
                with status(f"build overhead: {number} of {BUILDS}"):
                    ours.append(_build(up, token, module_id))
                    bare.append(_bare(terraform, Path(folder) / f"bare-{number}"))
    # The first of each warms caches up.
    built, reference = statistics.median(ours[1:]), statistics.median(bare[1:])
    return Row(
        name="build-overhead",
        what=f"`POST /api/deployments` → `SUCCESS` of the module {MODULE}",
        reach=f"≤ {REACH:g} × bare Terraform",
        measured=f"{built:.2f} s, of which {built - reference:.2f} s are ours",
        reference=f"{built / reference:.1f} × a bare `init && apply`, {reference:.2f} s",
        reached=built <= REACH * reference,
    )


def _build(up: System, token: str, module_id: str) -> float:
    begun = time.perf_counter()
    wanted = {"module_id": module_id, "variables": {}}
    deployment_id = _ask(up, token, "POST", "/api/deployments", wanted)["id"]
    told: Any = None
    while time.perf_counter() - begun < BUILD_SECONDS_MAX:
        told = _ask(up, token, "GET", f"/api/deployments/{deployment_id}")
        if told["status"] == "SUCCESS":
            return time.perf_counter() - begun
        if told["status"] not in {"QUEUED", "PROVISIONING"}:
            break
        time.sleep(_POLL_SECONDS)
    raise NotMeasuredError(f"the build did not succeed: {told}")


def _bare(terraform: str, folder: Path) -> float:
    shutil.copytree(_EXAMPLES / MODULE, folder)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,
    }
    begun = time.perf_counter()
    for words in (("init", "-input=false"), ("apply", "-input=false", "-auto-approve")):
        subprocess.run(
            (terraform, *words), cwd=folder, env=environment, check=True, capture_output=True
        )
    return time.perf_counter() - begun


def _ask(up: System, token: str, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own gateway
        up.endpoints["gateway"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own gateway
        return json.load(answer)
