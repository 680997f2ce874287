"""The whole system in containers, where a Docker engine and the images are present."""

import secrets
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.containers import image, images
from tests.support.tools import lacking, program

ROOT: Final = Path(__file__).resolve().parents[2]
UP_SECONDS_MAX: Final = 300

pytestmark = [pytest.mark.timeout(600)]


def compose(*words: str, project: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("docker"), "compose", "--project-name", project, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=UP_SECONDS_MAX,
        check=False,
    )


def test_compose_up_ends_with_a_system_that_works() -> None:
    for service in ("postgres", "nats"):
        image(service)
    if "tollgate:latest" not in images():
        lacking("docker", "the image tollgate:latest is not on this machine: docker build .")
    project = f"tollgate-test-{secrets.token_hex(4)}"
    try:
        up = compose("up", "--wait", "--detach", project=project)
        assert up.returncode == 0, up.stderr[-4_000:]
        words = ("exec", "--no-TTY", "ledger", "tollgate", "ledger", "verify")
        told = compose(*words, project=project)
        assert told.returncode == 0, told.stderr
    finally:
        compose("down", "--volumes", "--timeout", "5", project=project)
