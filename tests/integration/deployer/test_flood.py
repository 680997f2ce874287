"""Output without measure: the log is cut, whole up to there, and its runner needs no more for it.

Terraform itself tells about 1 MiB of output a second, so that a hundred MiB take minutes: those are
printed by a program that stands where Terraform is configured.
"""

import asyncio
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.deployer.runner.log_file import CUT, FULL, LINE_LENGTH_MAX
from tests.integration.deployer.modules import module, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

MIB = 1024**2


class TestFlood:
    """What is printed is many times what is kept of it, and of what the runner has on disk."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"log_bytes_max": MIB}

    async def test_the_log_is_cut_with_a_mark_and_what_it_needed_is_bounded(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        program("terraform")
        flood = "head -c 6291456 /dev/zero | tr '[:cntrl:]' x | fold -w 200"
        deployment_id = await deployer.deploy(running(tmp_path / "flood", flood), {})
        most = Most()
        watching = asyncio.create_task(most.watch(deployer))
        ended = await deployer.until_ended(deployment_id)
        watching.cancel()
        assert ended == "build_succeeded"
        log = await deployer.log(deployment_id)
        assert log.endswith(FULL)
        assert len(log.encode()) <= MIB
        assert 0 < most.memory_bytes < 200 * MIB
        # As JSON it is more than four times as much; what was read is given back at once.
        assert 0 < most.disk_bytes < 12 * MIB


PRINTS = """#!/bin/sh
case "$1" in
  version) echo prints v1 ;;
  apply)
    seq -f "%.0f" 0 9
    head -c 1048576 /dev/zero | tr '\\0' y; echo
    seq -f "%.0f {filling}" 10 {last}
    echo the end ;;
esac
"""
FILLING = 1_000


class TestHundredMebibytes:
    """The program that is configured prints a hundred MiB, with a line of one MiB among them."""

    @pytest.fixture
    def bounds(self, folder: Path) -> dict[str, Any]:
        prints = folder / "prints"
        prints.write_text(PRINTS.format(filling="x" * FILLING, last=100 * MIB // FILLING))
        prints.chmod(0o755)
        return {"log_bytes_max": 4 * MIB, "terraform": str(prints)}

    async def test_the_log_is_whole_up_to_where_it_is_cut(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        deployment_id = await deployer.deploy(module(tmp_path / "nothing", ""), {})
        most = Most()
        watching = asyncio.create_task(most.watch(deployer))
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        watching.cancel()
        log = await deployer.log(deployment_id)
        assert log.endswith(f"\n{FULL}")
        assert log.count(FULL) == 1
        assert 4 * MIB - 2 * FILLING < len(log.encode()) <= 4 * MIB
        begin = log.index("\n0\n") + 1
        *first, long, last = log[begin:].removesuffix(FULL).split("\n", 11)
        assert first == [str(number) for number in range(10)]
        assert long == "y" * LINE_LENGTH_MAX + CUT
        numbered = [line.partition(" ") for line in last.splitlines()]
        assert [number for number, *_ in numbered] == [
            str(number) for number in range(10, 10 + len(numbered))
        ]
        assert {text for *_, text in numbered} == {"x" * FILLING}
        assert 0 < most.memory_bytes < 200 * MIB
        # What the program is ahead of the runner is on disk, which counts as the build's.
        assert 0 < most.disk_bytes < 110 * MIB
        await deployer.until_no_runner()
        assert list(deployer.settings.work_dir.glob("build-*")) == []


class Most:
    """The most memory and disk that a runner was seen to use."""

    memory_bytes = 0
    disk_bytes = 0

    async def watch(self, deployer: HandledDeployer) -> None:
        """Look, until cancelled."""
        while True:
            for runner in deployer.runners():
                try:
                    self.memory_bytes = max(self.memory_bytes, runner.memory_info().rss)
                    disk = sum(_file_bytes(Path(f"/proc/{runner.pid}/fd")))
                    self.disk_bytes = max(self.disk_bytes, disk)
                except (psutil.Error, OSError):
                    continue
            await asyncio.sleep(0.1)


def _file_bytes(folder: Path) -> Iterator[int]:
    """Yield what the files that a process has open take on disk, those without a name too."""
    for path in list(folder.iterdir()):
        with suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield status.st_blocks * 512
