"""Where there is no more: memory for Terraform itself, and room on the disk that builds run on."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.deployer.runner.log_file import NO_DISK, WAITING_BYTES_MAX, LogFile, Redactor
from tests.integration.deployer.modules import module, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import lacking, program

DISK_MIB = 24


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Give a folder on a disk of its own, which is soon full."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a disk")
    folder = Path(tempfile.mkdtemp(prefix="tollgate-disk-"))
    words = ("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0711", "tmpfs", str(folder))
    made = subprocess.run(words, check=False, capture_output=True)
    if made.returncode != 0:
        shutil.rmtree(folder)
        lacking("mount", f"no small disk can be made here: {made.stderr!r}")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)
    folder.rmdir()


class TestMemory:
    """What Terraform itself cannot have is the module's fault, and the limit is told."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"build_memory_mib_max": 64}

    async def test_a_module_that_is_too_much_for_terraform_is_told_the_limit(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        program("terraform")
        much = 'output "much" { value = length(setproduct(range(1000), range(1000))) }'
        deployment_id = await deployer.deploy(module(tmp_path / "much", much), {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = json.loads(await deployer.last_fact(deployment_id))
        assert (told["code"], told["platform_fault"]) == ("MEMORY_EXCEEDED", False)
        assert "64 MiB" in told["message"]


class TestFullDisk:
    """The disk of builds is full before a build has used what it may."""

    @pytest.fixture
    def folder(self, small_disk: Path) -> Path:
        return small_disk

    async def test_the_build_ends_says_so_and_keeps_its_log_and_state_and_the_next_one_works(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        program("terraform")
        fills = "cat /dev/zero > big; for n in 1 2 3; do echo number $n; done; exit 5"
        made = 'resource "terraform_data" "made" { input = 1 }'
        folder = running(tmp_path / "fills", f"sleep 0.5; {fills}", made)
        deployment_id = await deployer.deploy(folder, {})
        assert await deployer.until_ended(deployment_id) == "build_failed"
        told = json.loads(await deployer.last_fact(deployment_id))
        assert (told["code"], told["platform_fault"]) == ("DISK_FULL", True)
        assert told["message"].startswith("The disk that builds run on is full.")
        assert told["owns_resources"] is True
        assert "Failed: The disk that builds run on is full." in await deployer.log(deployment_id)
        await deployer.until_no_runner()
        again = await deployer.deploy(running(tmp_path / "quick", "echo hello"), {})
        assert await deployer.until_ended(again) == "build_succeeded"


class TestLog:
    """A log whose disk is full waits in memory, within a bound, and loses no line in silence."""

    def test_what_comes_meanwhile_is_read_at_once_and_written_later(self, small_disk: Path) -> None:
        path = small_disk / "build.log"
        log = LogFile(path, Redactor([]), bytes_max=DISK_MIB * 1024**2)
        log.write("before")
        self.fill(small_disk / "big")
        for number in range(2_000):
            log.write(f"meanwhile {number} €")
        expected = "before\n" + "".join(f"meanwhile {number} €\n" for number in range(2_000))
        assert read_whole(log).decode() == expected
        (small_disk / "big").unlink()
        log.write("after")
        assert path.read_text() == f"{expected}after\n"
        assert read_whole(log).decode() == f"{expected}after\n"
        log.close()

    def test_what_is_too_much_is_left_out_with_one_mark(self, small_disk: Path) -> None:
        path = small_disk / "build.log"
        log = LogFile(path, Redactor([]), bytes_max=DISK_MIB * 1024**2)
        self.fill(small_disk / "big")
        for _ in range(WAITING_BYTES_MAX // 100):
            log.write("x" * 199)
        (small_disk / "big").unlink()
        log.write("after")
        log.close()
        told = path.read_text()
        assert told.count(NO_DISK) == 1
        assert told.endswith(f"{NO_DISK}after\n")
        assert len(told) <= WAITING_BYTES_MAX + 65_536

    def fill(self, path: Path) -> None:
        with pytest.raises(OSError, match="No space left"), path.open("wb", buffering=0) as file:
            while file.write(bytes(65_536)):
                pass


def read_whole(log: LogFile) -> bytes:
    """Return a log piece by piece, as a runner sends it."""
    read = b""
    while piece := log.read(len(read), 1_000):
        read += piece
    return read
