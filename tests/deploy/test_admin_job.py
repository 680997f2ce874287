"""The Job that runs a command as the administrator, made of an overlay's own."""

import subprocess
import sys
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from tests.deploy.manifests import KUBERNETES, OVERLAYS, Manifest, of_kind, rendered

SCRIPT = KUBERNETES / "admin_job.py"
WORDS = ("bus", "rebuild", "--check")


def made(overlay: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, str(SCRIPT), *words),
        input=yaml.safe_dump_all(rendered(overlay)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_any_command_runs_once_with_all_that_the_administrator_has(overlay: str) -> None:
    job: dict[str, Any] = yaml.safe_load(made(overlay, *WORDS).stdout)
    # What the server names is named here, so that it can be validated.
    named: Manifest = {**job, "metadata": {**job["metadata"], "name": "admin-1"}}
    kubernetes_validate.validate(named, "1.37", strict=True)
    of_release = of_kind(overlay, "Job")["migrate"]["spec"]["template"]
    pod = job["spec"]["template"]["spec"]

    [container] = pod["containers"]
    assert container["args"] == [*WORDS]
    told = {each["name"] for each in container["env"]}
    assert {
        "TOLLGATE_ADMIN_DSN_FILE",
        "TOLLGATE_NATS_URL",
        "TOLLGATE_NATS_ADMIN_PASSWORD_FILE",
    } <= told
    assert "initContainers" not in pod
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert job["metadata"]["generateName"] == "admin-"
    assert (
        job["metadata"]["namespace"] == of_kind(overlay, "Job")["migrate"]["metadata"]["namespace"]
    )
    # The network lets in what has the labels, and the secret is the one that is mounted there.
    assert job["spec"]["template"]["metadata"] == of_release["metadata"]
    assert pod["volumes"] == of_release["spec"]["volumes"]
    assert container["image"] == of_release["spec"]["containers"][0]["image"]


def test_without_a_command_it_says_so() -> None:
    answer = made("dev")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "which command?" in answer.stderr
