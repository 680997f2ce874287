"""Builds really run: Terraform in a runner process, reporting to a deployer on a real database."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.catalog.v1 import Variable
from services.deployer.build_users import USERS_MAX
from tests.integration.deployer.modules import DOMAIN, EXAMPLES, TOKEN, module, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


async def test_a_build_succeeds_with_its_outputs_its_log_and_its_state(
    deployer: HandledDeployer,
) -> None:
    deployment_id = await deployer.deploy(
        EXAMPLES / "static-website",
        {"domain": "www.example.com", "deploy_token": "a-secret-of-the-user"},
        variables=(DOMAIN, TOKEN),
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert await deployer.facts(deployment_id) == [
        "hold_requested", "build_queued", "build_started", "build_succeeded",
    ]  # fmt: skip
    assert "Apply complete" in await deployer.log(deployment_id)
    resources = await deployer.pool.fetchval(
        "select resources from states where deployment_id = $1 order by number desc", deployment_id
    )
    assert resources == 3
    told = msgspec.json.decode(await deployer.last_fact(deployment_id))
    outputs = deployer.keys[deployment_id].decrypt_json(told["outputs"])
    assert outputs["url"]["value"] == "https://www.example.com/"
    assert outputs["deploy_token"] == {
        "sensitive": True, "type": "string", "value": "a-secret-of-the-user",
    }  # fmt: skip


async def test_how_far_terraform_is_is_kept_with_what_it_prints(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    two = 'resource "terraform_data" "first" { input = 1 }'
    deployment_id = await deployer.deploy(running(tmp_path / "two", "echo hello", two), {})
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    rows = await deployer.pool.fetch(
        "select done, planned from log_chunks where planned is not null order by chunk_offset"
    )
    assert (rows[-1]["done"], rows[-1]["planned"]) == (2, 2)
    assert [row["done"] for row in rows] == sorted(row["done"] for row in rows)


async def test_the_log_ends_with_a_final_piece_and_nothing_is_left_behind(
    deployer: HandledDeployer,
) -> None:
    deployment_id = await deployer.deploy(EXAMPLES / "starter-network", {})
    await deployer.until_ended(deployment_id)
    finals = await deployer.pool.fetch(
        "select final from log_chunks where deployment_id = $1 order by chunk_offset", deployment_id
    )
    assert [row["final"] for row in finals].index(True) == len(finals) - 1
    await deployer.until_no_runner()

    async def cleared() -> bool:
        return list(deployer.settings.work_dir.iterdir()) == []

    await deployer.until("the folder is cleared away", cleared)
    assert await deployer.pool.fetchval("select count(*) from state_locks") == 0


async def test_what_is_secret_is_nowhere_in_the_clear(deployer: HandledDeployer) -> None:
    secret = "correct-horse-battery-staple"
    deployment_id = await deployer.deploy(
        EXAMPLES / "static-website",
        {"domain": "www.example.com", "deploy_token": secret},
        variables=(DOMAIN, TOKEN),
    )
    await deployer.until_ended(deployment_id)
    for table in ("facts", "outbox", "documents", "builds", "leases", "states", "log_chunks"):
        text = await deployer.pool.fetchval(f"select string_agg({table}::text, ' ') from {table}")
        assert secret not in (text or "")
        assert secret.encode().hex() not in (text or "")


LOUD = 'variable "deploy_token" { type = string }'


async def test_a_sensitive_value_that_a_module_prints_is_hidden_in_the_log(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    folder = running(tmp_path / "loud", "echo the token is ${var.deploy_token}.", LOUD)
    deployment_id = await deployer.deploy(
        folder, {"deploy_token": "swordfish-42"}, variables=(TOKEN,)
    )
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    log = await deployer.log(deployment_id)
    assert "swordfish-42" not in log
    assert "the token is (sensitive value)." in log


async def test_a_sensitive_value_is_hidden_in_the_error_too(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    folder = running(tmp_path / "loud", "echo ${var.deploy_token}; exit 7", LOUD)
    deployment_id = await deployer.deploy(
        folder, {"deploy_token": "swordfish-42"}, variables=(TOKEN,)
    )
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = await deployer.last_fact(deployment_id)
    assert "local-exec provisioner error" in told
    assert "exit status 7" in told
    assert "swordfish-42" not in told


async def test_a_build_that_fails_tells_the_error_and_owns_what_it_made(
    deployer: HandledDeployer,
) -> None:
    deployment_id = await deployer.deploy(EXAMPLES / "vpn-gateway", {})
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = await deployer.last_fact(deployment_id)
    assert "local-exec provisioner error" in told
    assert '"owns_resources":true' in told
    assert '"platform_fault":false' in told
    assert "no answer from 203.0.113.7" in await deployer.log(deployment_id)


async def test_a_module_that_terraform_cannot_read_fails_with_the_error_that_matters(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    folder = module(tmp_path / "broken", "output {")
    deployment_id = await deployer.deploy(folder, {})
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = msgspec.json.decode(await deployer.last_fact(deployment_id))
    assert told["code"] == "INIT_FAILED"
    assert "encountered problems" not in told["message"]
    assert "main.tf, line 1" in told["message"]
    assert told["owns_resources"] is False


async def test_a_source_that_is_not_in_the_archive_fails_as_the_platforms_fault(
    deployer: HandledDeployer,
) -> None:
    nothing = f"sha256:{'0' * 64}"
    deployment_id = await deployer.deploy(EXAMPLES / "starter-network", {}, archive_digest=nothing)
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = msgspec.json.decode(await deployer.last_fact(deployment_id))
    assert (told["code"], told["platform_fault"]) == ("SOURCE_MISSING", True)


async def test_a_running_build_that_is_cancelled_stops_and_says_so(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    deployment_id = await deployer.deploy(running(tmp_path / "slow", "sleep 60"), {})
    await deployer.until_log(deployment_id, "Provisioning")
    await deployer.cancel(deployment_id)
    assert await deployer.until_ended(deployment_id) == "build_cancelled"
    assert '"cancelled_by":"user-1"' in await deployer.last_fact(deployment_id)


async def test_what_a_module_leaves_in_the_background_is_ended(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    folder = running(tmp_path / "sneaky", "setsid sleep 54321 >/dev/null 2>&1 & echo started")
    deployment_id = await deployer.deploy(folder, {})
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    await deployer.until_no_runner()
    assert not _runs("54321")


@pytest.mark.parametrize("size_bytes", [30_000, 1_048_576])
async def test_a_very_long_line_is_cut_with_a_mark_and_stops_nothing(
    size_bytes: int, deployer: HandledDeployer, tmp_path: Path
) -> None:
    command = f"head -c {size_bytes} /dev/urandom | base64 -w 0; echo; echo the end"
    deployment_id = await deployer.deploy(running(tmp_path / "long", command), {})
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    log = await deployer.log(deployment_id)
    assert "(local-exec): the end" in log
    assert max(map(len, log.splitlines())) < 20_000
    # Of a line that is much longer yet, Terraform itself says nothing.
    assert ("[line cut]" in log) == (size_bytes < 65_536)


async def test_terraform_gets_the_defaults_that_the_module_is_published_with(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    folder = running(
        tmp_path / "defaults",
        "echo the region is ${var.region}",
        'variable "region" { default = "terraforms-own" }',
    )
    region = Variable(
        name="region", type="string", description="", required=False, default="as-published"
    )
    deployment_id = await deployer.deploy(folder, {}, variables=(region,))
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    assert "the region is as-published" in await deployer.log(deployment_id)


async def test_a_module_sees_no_environment_of_ours_and_only_the_states_token(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    deployment_id = await deployer.deploy(running(tmp_path / "curious", "env | sort"), {})
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    seen = {
        line.partition("(local-exec): ")[2].partition("=")[0]
        for line in (await deployer.log(deployment_id)).splitlines()
        if "(local-exec): " in line and "=" in line
    }
    ours = {name for name in seen if name.startswith(("TOLLGATE", "PYTHON", "NATS", "PG"))}
    assert "TF_HTTP_PASSWORD" in seen
    assert ours == set()


class TestTimeLimit:
    """A build that takes too long is stopped."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"build_seconds_max": 2, "stop_grace_seconds": 1.0}

    async def test_it_ends_as_timed_out(self, deployer: HandledDeployer, tmp_path: Path) -> None:
        command = "trap '' INT TERM; sleep 60"
        deployment_id = await deployer.deploy(running(tmp_path / "slow", command), {})
        assert await deployer.until_ended(deployment_id) == "build_timed_out"
        await deployer.until_no_runner()


class TestFullLog:
    """Much output is bounded, with a mark where it ends."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"log_bytes_max": 65_536}

    async def test_the_log_says_that_it_is_full_and_the_build_goes_on(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        later = """
        resource "terraform_data" "later" { input = terraform_data.running.id }
        resource "terraform_data" "last" { input = terraform_data.later.id }
        """
        folder = running(tmp_path / "chatty", "seq 1 20000", later)
        deployment_id = await deployer.deploy(folder, {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        log = await deployer.log(deployment_id)
        assert log.endswith("[the log is full; the rest is not kept]\n")
        assert len(log.encode()) <= 65_536
        newest = await deployer.pool.fetchrow(
            "select done, planned from log_chunks order by chunk_offset desc limit 1"
        )
        assert newest is not None
        assert tuple(newest.values()) == (3, 3), "how far it is goes on being told"


class TestWithoutTerraform:
    """Where there is no Terraform, the build says so."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"terraform": "there-is-no-such-program"}

    async def test_the_build_fails_with_a_platform_fault_that_names_it(
        self, deployer: HandledDeployer
    ) -> None:
        deployment_id = await deployer.deploy(EXAMPLES / "starter-network", {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = await deployer.last_fact(deployment_id)
        assert '"code":"TERRAFORM_NOT_FOUND"' in told
        assert '"platform_fault":true' in told


class TestIsolation:
    """As root, a module's code runs as a user who may touch nothing of ours."""

    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        """Give a folder that any user can reach, which pytest's are not."""
        if os.geteuid() != 0:
            pytest.skip("only root can start programs as other users")
        folder = Path(tempfile.mkdtemp(prefix="tollgate-isolation-"))
        folder.chmod(0o711)
        yield folder
        shutil.rmtree(folder)

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"allow_unisolated_builds": False}

    async def test_it_cannot_read_what_is_ours_nor_end_its_runner(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        secret = deployer.settings.work_dir.parent / "secret"
        secret.write_text("not for builds")
        secret.chmod(0o600)
        command = (
            f"id -u; cat {secret} || echo no secret; cat /proc/{os.getpid()}/environ "
            "|| echo no environment; kill -9 $(cat ../../runner.pid) || echo no kill"
        )
        deployment_id = await deployer.deploy(running(tmp_path / "nosy", command), {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        log = await deployer.log(deployment_id)
        first = deployer.settings.first_build_uid
        assert any(f"(local-exec): {uid}\n" in log for uid in range(first, first + USERS_MAX))
        assert "not for builds" not in log
        for answer in ("no secret", "no environment", "no kill"):
            assert f"(local-exec): {answer}" in log
        await deployer.until_no_runner()

    async def test_what_it_leaves_in_the_background_is_ended(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        folder = running(
            tmp_path / "sneaky", "cd /; setsid nohup sleep 98765 >/dev/null 2>&1 & echo started"
        )
        deployment_id = await deployer.deploy(folder, {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        await deployer.until_no_runner()
        assert not _runs("98765")


def _runs(word: str) -> bool:
    """Return whether a `sleep` of so many seconds runs."""
    import psutil

    return any(
        word in (process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )
