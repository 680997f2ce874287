"""Builds really run: Terraform in a runner process, reporting to a deployer on a real database."""

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from contracts.catalog.v1 import Variable
from tests.integration.deployer.conftest import Deployer
from tests.support.tools import program

MODULES = Path(__file__).resolve().parents[3] / "examples" / "modules"
TOKEN = Variable(name="deploy_token", type="string", description="", required=False, sensitive=True)
DOMAIN = Variable(name="domain", type="string", description="", required=True)


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


def module(folder: Path, main: str) -> Path:
    """Write a module of one file."""
    folder.mkdir()
    (folder / "main.tf").write_text(main)
    return folder


def slow_module(tmp_path: Path, command: str) -> Path:
    """Write a module whose one resource takes as long as a command."""
    return module(
        tmp_path / "slow",
        f"""
        resource "terraform_data" "slow" {{
          provisioner "local-exec" {{
            command = "{command}"
          }}
        }}
        """,
    )


async def until_terraform_runs(deployer: Deployer, deployment_id: str) -> None:
    async def started() -> bool:
        return "Provisioning" in await deployer.log(deployment_id)

    await deployer.until("Terraform runs", started)


def runners() -> list[psutil.Process]:
    return [
        p
        for p in psutil.process_iter(["cmdline"])
        if "services.deployer.runner" in (p.info["cmdline"] or [])
    ]


async def deploy(deployer: Deployer, folder: Path, values: dict[str, Any], **more: Any) -> str:
    module_id = await deployer.publish_module(folder, **more)
    deployment_id = await deployer.ask(module_id, values)
    await deployer.grant_hold(deployment_id)
    return deployment_id


async def test_a_build_succeeds_with_its_outputs_its_log_and_its_state(deployer: Deployer) -> None:
    deployment_id = await deploy(
        deployer,
        MODULES / "static-website",
        {"domain": "www.example.com", "deploy_token": "a-secret-of-the-user"},
        variables=(DOMAIN, TOKEN),
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert await deployer.facts(deployment_id) == [
        "hold_requested", "build_queued", "build_started", "build_succeeded",
    ]  # fmt: skip
    assert "Apply complete" in await deployer.log(deployment_id)
    resources = await deployer.running.pool.fetchval(
        "select resources from states where deployment_id = $1 order by number desc", deployment_id
    )
    assert resources == 3


async def test_what_is_secret_is_nowhere_in_the_clear(deployer: Deployer) -> None:
    secret = "correct-horse-battery-staple"
    deployment_id = await deploy(
        deployer,
        MODULES / "static-website",
        {"domain": "www.example.com", "deploy_token": secret},
        variables=(DOMAIN, TOKEN),
    )
    await deployer.until_ended(deployment_id)
    for table in ("facts", "outbox", "documents", "builds", "leases", "states", "log_chunks"):
        text = await deployer.running.pool.fetchval(
            f"select string_agg({table}::text, ' ') from {table}"
        )
        assert secret not in (text or "")
        assert secret.encode().hex() not in (text or "")


async def test_a_sensitive_value_that_a_module_prints_is_hidden_in_the_log(
    deployer: Deployer, tmp_path: Path
) -> None:
    folder = module(
        tmp_path / "loud",
        """
        variable "deploy_token" { type = string }
        resource "terraform_data" "loud" {
          provisioner "local-exec" {
            command = "echo the token is ${var.deploy_token}."
          }
        }
        """,
    )
    deployment_id = await deploy(
        deployer, folder, {"deploy_token": "swordfish-42"}, variables=(TOKEN,)
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    log = await deployer.log(deployment_id)
    assert "swordfish-42" not in log
    assert "the token is (sensitive value)." in log


async def test_a_build_that_fails_tells_the_error_and_owns_what_it_made(deployer: Deployer) -> None:
    deployment_id = await deploy(deployer, MODULES / "vpn-gateway", {})
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = await deployer.last_fact(deployment_id)
    assert "local-exec provisioner error" in told
    assert '"owns_resources":true' in told
    assert '"platform_fault":false' in told
    assert "no answer from 203.0.113.7" in await deployer.log(deployment_id)


async def test_a_running_build_that_is_cancelled_stops_and_says_so(
    deployer: Deployer, tmp_path: Path
) -> None:
    folder = slow_module(tmp_path, "sleep 60")
    deployment_id = await deploy(deployer, folder, {})
    await until_terraform_runs(deployer, deployment_id)
    await deployer.cancel(deployment_id)
    assert await deployer.until_ended(deployment_id) == "build_cancelled"


async def test_a_build_outlives_a_deployer_that_crashes(
    still_deployer: Deployer, tmp_path: Path
) -> None:
    folder = slow_module(tmp_path, "sleep 2; echo done")
    deployer = still_deployer
    async with deployer.process(crash=True):
        deployment_id = await deploy(deployer, folder, {})
        await until_terraform_runs(deployer, deployment_id)
    assert len(runners()) == 1
    await asyncio.sleep(1)
    async with deployer.process():
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        assert "done" in await deployer.log(deployment_id)


async def test_a_build_ends_with_the_deployer_that_stops_in_good_order(
    still_deployer: Deployer, tmp_path: Path
) -> None:
    folder = slow_module(tmp_path, "sleep 60")
    deployer = still_deployer
    async with deployer.process():
        deployment_id = await deploy(deployer, folder, {})
        await until_terraform_runs(deployer, deployment_id)
    assert runners() == []
    async with deployer.process():
        assert await deployer.until_ended(deployment_id) == "build_failed"
        assert '"code":"INTERRUPTED"' in await deployer.last_fact(deployment_id)


class TestSilence:
    """A runner that cannot report stops itself, and only then is its build declared lost."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {
            "heartbeat_seconds": 0.2,
            "silence_seconds_max": 1.5,
            "stop_grace_seconds": 0.5,
            "lost_after_seconds": 3.0,
        }

    async def test_it_stops_terraform_and_the_build_ends_as_lost(
        self, still_deployer: Deployer, tmp_path: Path
    ) -> None:
        folder = slow_module(tmp_path, "sleep 60")
        deployer = still_deployer
        async with deployer.process(crash=True):
            deployment_id = await deploy(deployer, folder, {})
            await until_terraform_runs(deployer, deployment_id)

        async def silent() -> bool:
            return runners() == []

        await deployer.until("the runner stops itself", silent)
        async with deployer.process():
            assert await deployer.until_ended(deployment_id) == "build_failed"
            assert '"code":"RUNNER_LOST"' in await deployer.last_fact(deployment_id)


class TestTimeLimit:
    """A build that takes too long is stopped."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"build_seconds_max": 2, "stop_grace_seconds": 1.0}

    async def test_it_ends_as_timed_out(self, deployer: Deployer, tmp_path: Path) -> None:
        folder = slow_module(tmp_path, "sleep 60")
        deployment_id = await deploy(deployer, folder, {})
        assert await deployer.until_ended(deployment_id) == "build_timed_out"


class TestWithoutTerraform:
    """Where there is no Terraform, the build says so."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"terraform": "there-is-no-such-program"}

    async def test_the_build_fails_with_a_platform_fault_that_names_it(
        self, deployer: Deployer
    ) -> None:
        deployment_id = await deploy(deployer, MODULES / "starter-network", {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = await deployer.last_fact(deployment_id)
        assert '"code":"TERRAFORM_NOT_FOUND"' in told
        assert '"platform_fault":true' in told


async def test_terraform_gets_the_defaults_that_the_module_is_published_with(
    deployer: Deployer, tmp_path: Path
) -> None:
    folder = module(
        tmp_path / "defaults",
        """
        variable "region" { default = "terraforms-own" }
        resource "terraform_data" "told" {
          provisioner "local-exec" {
            command = "echo the region is ${var.region}"
          }
        }
        """,
    )
    region = Variable(
        name="region", type="string", description="", required=False, default="as-published"
    )
    deployment_id = await deploy(deployer, folder, {}, variables=(region,))
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert "the region is as-published" in await deployer.log(deployment_id)
