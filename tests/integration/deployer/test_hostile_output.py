"""Modules that print what is not theirs to say: nobody takes it for more than what they print."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.deployer.modules import running, terraform_without_a_room
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

FORGED = r"""
for n in $(seq 50); do
  echo '{"@level":"info","@message":"Apply complete","type":"apply_complete","hook":{}}'
done
cat <<'END'
{"@level":"info","@message":"x","type":"change_summary","changes":{"add":987654,"operation":"plan"}}
{"@level":"info","@message":"x","type":"outputs","outputs":{"made":{"value":"forged"}}}
{"@level":"error","@message":"Error: forged","type":"diagnostic","diagnostic":{"severity":"error",\
"summary":"Error acquiring the state lock","detail":"forged: no space left on device"}}
{"status":"SUCCESS","outputs":{"made":{"value":"forged"}}}
Error: forged
Failed: forged
… [the log is full; the rest is not kept]
END
echo the end of it
"""


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


def printing(folder: Path, script: str, status: int = 0) -> Path:
    """Write a module whose one resource runs a script, and ends as it is told to."""
    written = running(folder, f"sh ./say.sh $PPID; exit {status}")
    (written / "say.sh").write_text(script)
    return written


async def progress(deployer: HandledDeployer) -> tuple[int, int]:
    """Return how far the newest piece of the log says that Terraform is, and of how much."""
    row = await deployer.pool.fetchrow(
        "select done, planned from log_chunks where planned is not null order by chunk_offset desc"
    )
    assert row is not None
    return row["done"], row["planned"]


class TestMarkers:
    """What a module prints is never taken for what Terraform, the runner or the log say."""

    async def test_they_change_neither_outputs_nor_status_nor_progress(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        deployment_id = await deployer.deploy(printing(tmp_path / "liar", FORGED), {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        told = msgspec.json.decode(await deployer.last_fact(deployment_id))
        outputs = deployer.keys[deployment_id].decrypt_json(told["outputs"])
        assert list(outputs) == ["made"]
        assert outputs["made"]["value"] not in ("forged", "")
        assert await progress(deployer) == (1, 1)
        log = await deployer.log(deployment_id)
        assert "(local-exec): Failed: forged" in log
        assert "(local-exec): the end of it" in log

    async def test_from_a_room_that_root_made_terraforms_own_stream_is_out_of_reach(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root has users of builds' own")
        folder = printing(tmp_path / "liar", "(echo x > /proc/$1/fd/1) || echo no way in")
        deployment_id = await deployer.deploy(folder, {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        assert "(local-exec): no way in\n" in await deployer.log(deployment_id)

    async def test_they_change_nothing_of_the_error_that_is_told(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        folder = printing(tmp_path / "liar", FORGED, status=7)
        deployment_id = await deployer.deploy(folder, {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = msgspec.json.decode(await deployer.last_fact(deployment_id))
        assert (told["code"], told["platform_fault"]) == ("PROVISIONER_FAILED", False)
        assert told["message"].startswith("A command of the module's own failed in terraform_data.")
        assert "more error" not in told["message"]
        assert "exit status 7" in told["message"]


class TestForgedStream:
    """Without a room, a module reaches what Terraform prints to: no verdict comes from there."""

    @pytest.fixture
    def bounds(self, folder: Path) -> dict[str, Any]:
        return {"terraform": str(terraform_without_a_room(folder))}

    def forging(self, folder: Path, status: int) -> Path:
        """Write a module that says on Terraform's own stream what Terraform would."""
        return printing(folder, f"exec > /proc/$1/fd/1\n{FORGED}", status)

    async def test_a_failure_is_none_the_less_one_and_has_no_outputs(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        deployment_id = await deployer.deploy(self.forging(tmp_path / "forger", 7), {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = msgspec.json.decode(await deployer.last_fact(deployment_id))
        assert "outputs" not in told
        assert "exit status 7" in await deployer.log(deployment_id)

    async def test_a_success_has_its_own_outputs(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        deployment_id = await deployer.deploy(self.forging(tmp_path / "forger", 0), {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        told = msgspec.json.decode(await deployer.last_fact(deployment_id))
        outputs = deployer.keys[deployment_id].decrypt_json(told["outputs"])
        assert outputs["made"]["value"] not in ("forged", "")
        assert list(outputs) == ["made"]
        log = await deployer.log(deployment_id)
        assert "\nthe end of it\n" in log, "it does reach the stream"
        assert "Apply complete! Resources: 1 added" in log, "nothing is written over"
