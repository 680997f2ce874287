"""The whole system in containers, where a Docker engine and the images are present."""

import json
import os
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from devkit.demo_repository import make_repository
from devkit.ports import free_port
from tests.support.containers import image, images
from tests.support.tools import lacking, program

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = ("docker-compose.yml", "deploy/compose/trial.yml")
UP_SECONDS_MAX: Final = 300
BUILD_SECONDS_MAX: Final = 60.0

pytestmark = [pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Composed:
    """The system of docker-compose.yml, under a name and on a port of its own."""

    project: str
    port: int
    repositories: Path

    def compose(self, *words: str, told: str = "") -> subprocess.CompletedProcess[str]:
        """Run `docker compose`, which may fail."""
        files = [word for file in FILES for word in ("--file", file)]
        return subprocess.run(
            [program("docker"), "compose", *files, "--project-name", self.project, *words],
            cwd=ROOT,
            env={
                **os.environ,
                "TOLLGATE_PORT": str(self.port),
                "TOLLGATE_REPOSITORIES": str(self.repositories),
            },
            input=told,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS_MAX,
            check=False,
        )

    def tollgate(self, service: str, *words: str, told: str = "") -> str:
        """Return what a command in a service's container prints."""
        done = self.compose("exec", "--no-TTY", service, "tollgate", *words, told=told)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def call(self, path: str, token: str, body: object = None, method: str | None = None) -> Any:
        """Return the gateway's answer; a refusal raises."""
        request = urllib.request.Request(  # noqa: S310 - http, to this machine
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            return json.load(answer)

    def account(self, email: str, role: str) -> str:
        """Return a new account's token."""
        words = ("user", "create", "--email", email, "--role", role, "--password-stdin")
        self.tollgate("gateway", *words, told="a long password\n")
        return self.tollgate("gateway", "token", "create", "--email", email)

    def reaches(self, service: str, address: str) -> bool:
        """Return whether a service's container can connect to host:port."""
        host, port = address.split(":")
        script = f"import socket; socket.create_connection(('{host}', {port}), timeout=2)"
        words = ("exec", "--no-TTY", service, "python3", "-c", script)
        return self.compose(*words).returncode == 0

    def ended(self, path: str, token: str, running: set[str]) -> Any:
        """Return what stands at a path once its status is none of those."""
        deadline = time.monotonic() + BUILD_SECONDS_MAX
        while (found := self.call(path, token))["status"] in running:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        return found


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Composed]:
    """Give the system, up, with the example modules in a repository; then nothing is left of it."""
    for service in ("postgres", "nats"):
        image(service)
    if "tollgate:latest" not in images():
        lacking("docker", "the image tollgate:latest is not on this machine: docker build .")
    # The container's user is another one than who runs the test.
    tmp_path.chmod(0o755)
    make_repository(tmp_path / "modules")
    system = Composed(f"tollgate-test-{secrets.token_hex(4)}", free_port(), tmp_path)
    try:
        up = system.compose("up", "--no-build", "--wait")
        assert up.returncode == 0, up.stderr[-4_000:]
        yield system
    finally:
        system.compose("down", "--volumes", "--timeout", "5")


def test_compose_up_ends_with_a_system_that_deploys_modules(composed: Composed) -> None:
    admin = composed.account("admin@demo.example", "admin")
    settings = {"platform_repository": {"url": "file:///repositories/modules"}, "signup_award": 200}
    composed.call("/api/settings", admin, settings, "PATCH")
    sync = composed.call("/api/syncs", admin, {"scope": "platform"})
    assert (
        composed.ended(f"/api/syncs/{sync['id']}", admin, {"QUEUED", "RUNNING"})["status"] == "DONE"
    )

    user = composed.account("user@demo.example", "user")
    [website] = composed.call("/api/modules?search=static-website", user)["items"]
    asked = {"module_id": website["id"], "variables": {"domain": "www.example.com"}}
    deployment = composed.call("/api/deployments", user, asked)
    path = f"/api/deployments/{deployment['id']}"
    assert composed.ended(path, user, {"QUEUED", "PROVISIONING"})["status"] == "SUCCESS"
    composed.tollgate("ledger", "ledger", "verify")

    assert composed.reaches("gateway", "nats:4222")
    assert not composed.reaches("gateway", "deployer:8080")

    # What is stopped and made anew has lost nothing.
    assert composed.compose("down").returncode == 0
    assert composed.compose("up", "--no-build", "--wait").returncode == 0
    assert composed.call(path, user)["status"] == "SUCCESS"
