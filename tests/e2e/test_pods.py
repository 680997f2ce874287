"""The overlay `dev` runs: its pods, laid out as Kubernetes lays them out, do the main job.

Volumes, users, groups, capabilities, variables and arguments are the manifests'; Postgres and NATS
are made as their operator and chart make them. What only a cluster has is missing: its network and
its policies, its scheduler, and the seccomp profile.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.registry import SERVICES
from tests.deploy.manifests import ROOT, of_kind, rendered
from tests.support.folders import reachable_folder
from tests.support.tools import lacking, program

RUN_SECONDS_MAX: Final = 300
LOG_BYTES_SHOWN: Final = 2_000

pytestmark = pytest.mark.timeout(RUN_SECONDS_MAX + 60)


@pytest.fixture(scope="module")
def report() -> Iterator[dict[str, Any]]:
    """Run the pods once; say what came of it."""
    if os.geteuid() != 0:
        lacking("root", "only root can lay out pods of several users")
    program("unshare")
    rendered("dev")
    with reachable_folder() as folder:
        spaces = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
        done = subprocess.run(
            ("unshare", *spaces, sys.executable, "-m", "tests.e2e.pods", str(folder)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr}\n{tails(folder)}"
        yield json.loads((folder / "report.json").read_text())


def tails(folder: Path) -> str:
    """Return the ends of all logs."""
    return "\n".join(
        f"== {file.name}\n{file.read_text(errors='replace')[-LOG_BYTES_SHOWN:]}"
        for file in sorted(folder.glob("*.log"))
    )


def test_the_migration_ends_and_every_pod_waits_for_it(report: dict[str, Any]) -> None:
    assert report["migrated"] == {"databases": 0, "bus": 0}
    assert report["waited"] == dict.fromkeys(SERVICES, 0)


def test_every_service_becomes_ready(report: dict[str, Any]) -> None:
    assert report["ready"] == dict.fromkeys(SERVICES, 200)
    assert report["alive"] == dict.fromkeys(SERVICES, 200)


def test_the_main_job_is_done(report: dict[str, Any]) -> None:
    assert (report["synced"], report["deployed"]) == ("DONE", "SUCCESS")


def test_keda_finds_the_lag_of_every_consumer_it_scales_by(report: dict[str, Any]) -> None:
    found = {tuple(each) for each in report["lag"]}
    for scaled in of_kind("production", "ScaledObject").values():
        for trigger in (each["metadata"] for each in scaled["spec"]["triggers"]):
            assert (trigger["account"], trigger["stream"], trigger["consumer"]) in found


def test_only_volumes_can_be_written_to(report: dict[str, Any]) -> None:
    volumes = ["/tmp/x", "/var/lib/tollgate/work/x", "/var/lib/tollgate/segments/x"]  # noqa: S108
    assert report["writable"] == volumes


def test_every_service_ends_in_good_order(report: dict[str, Any]) -> None:
    assert report["ended"] == dict.fromkeys(SERVICES, 0)
