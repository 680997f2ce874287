"""Modules that mean no good, or know no measure: they end their own build, and nothing else."""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from runtime.archive import open_archive_store
from tests.integration.deployer.modules import EXAMPLES, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


OUTSIDE = Path(tempfile.gettempdir()) / f"tollgate-escaped-{os.getpid()}"


def tar(name: str, **more: Any) -> bytes:
    """Return an archive of one member, as nobody of ours would make it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 0 if more else len(b"evil")
        for field, value in more.items():
            setattr(member, field, value)
        archive.addfile(member, io.BytesIO(b"evil"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        tar("../../../escaped"),
        tar(f"{OUTSIDE}"),
        tar("main.tf", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        tar("main.tf", type=tarfile.LNKTYPE, linkname="../../runner.pid"),
        tar("main.tf", type=tarfile.CHRTYPE),
        b"this is no archive at all, and not a short one either" * 20,
    ],
    ids=["parent", "absolute", "symlink", "hard link", "device", "no archive"],
)
async def test_an_archive_that_leads_out_of_its_folder_is_refused(
    deployer: HandledDeployer, archive: bytes
) -> None:
    digest = open_archive_store(deployer.settings.archive_url).put(archive)
    deployment_id = await deployer.deploy(EXAMPLES / "starter-network", {}, archive_digest=digest)
    assert await deployer.until_ended(deployment_id) == "build_failed"
    told = msgspec.json.decode(await deployer.last_fact(deployment_id))
    assert (told["code"], told["platform_fault"]) == ("SOURCE_DAMAGED", True)
    await deployer.until_no_runner()  # which clears its own folder away, and no other
    assert not OUTSIDE.exists()
    assert list(deployer.settings.work_dir.parent.rglob("escaped")) == []


async def test_a_hundred_thousand_lines_come_whole_and_in_order(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    deployment_id = await deployer.deploy(running(tmp_path / "chatty", "seq 1 100000"), {})
    assert await deployer.until_ended(deployment_id) == "build_succeeded"
    log = await deployer.log(deployment_id)
    said = [line.rpartition("(local-exec): ")[2] for line in log.splitlines()]
    assert [int(line) for line in said if line.isdigit()] == list(range(1, 100_001))


class TestFork:
    """As a user of its own, a module starts no more processes than it may."""

    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        """Give a folder that any user can reach, which pytest's are not."""
        if os.geteuid() != 0:
            pytest.skip("only root can start programs as other users")
        folder = Path(tempfile.mkdtemp(prefix="tollgate-forks-"))
        folder.chmod(0o711)
        yield folder
        shutil.rmtree(folder)

    async def test_one_that_forks_and_forks_is_bounded_and_ended(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        forks = "for i in $(seq 1500); do sleep 4321 >/dev/null 2>&1 & done; echo all were started"
        deployment_id = await deployer.deploy(running(tmp_path / "forks", forks), {})
        await deployer.until_ended(deployment_id)
        log = await deployer.log(deployment_id)
        assert "(local-exec): all were started" not in log
        assert "annot fork" in log
        await deployer.until_no_runner()
        commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        assert not any("4321" in command for command in commands)
