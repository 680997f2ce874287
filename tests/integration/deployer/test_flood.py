"""A module that prints without measure: the log is cut, and its runner needs no more for it.

Terraform itself tells about 1 MiB of output a second, so that a hundred MiB take minutes.
"""

import asyncio
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.deployer.runner.log_file import FULL
from tests.integration.deployer.modules import running
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
