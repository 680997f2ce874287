"""What the deployer finds of isolation on a machine, and what it does where there is none."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.deployer.builds import LeaseTokens
from services.deployer.executor import ExecutorError
from services.deployer.isolation import Isolation, isolation
from services.deployer.local_executor import LocalExecutor
from services.deployer.settings import DeployerSettings
from tests.integration.deployer.conftest import SETTINGS_AND_KEY
from tests.support.ordinary_user import ordinary_user
from tests.support.tools import program

ROOT = Path(__file__).resolve().parents[3]
BUILD_UID = 60_706
WHAT_IS_FOUND = """
import json, sys
from pathlib import Path
from services.deployer.isolation import isolation
found = isolation(Path(sys.argv[1]), 60706, None)
print(json.dumps([found.in_room, found.first_build_uid]))
"""


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """Give a folder that any user can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="tollgate-isolation-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def found_by(words: list[str], folder: Path, python: str, **more: Any) -> list[Any]:
    """Return what a process that is started in some way finds of isolation."""
    said = subprocess.run(
        [*words, python, "-c", WHAT_IS_FOUND, str(folder)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        **more,
    )
    found: list[Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def test_root_has_rooms_with_a_user_of_builds_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can have users of builds' own")
    found = isolation(tmp_path, BUILD_UID, program("terraform"))
    assert found == Isolation(in_room=True, first_build_uid=BUILD_UID)


def test_to_find_it_out_ends_no_build_of_the_same_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can have users of builds' own")
    build = subprocess.Popen(("sleep", "300"), user=BUILD_UID, group=BUILD_UID, extra_groups=[])
    try:
        assert isolation(tmp_path, BUILD_UID, None).in_room
        assert build.poll() is None
    finally:
        build.kill()
        build.wait()


def test_an_ordinary_user_has_rooms_where_the_kernel_lets_them(folder_for_all: Path) -> None:
    who = ordinary_user(folder_for_all)
    more: dict[str, Any] = {"env": who.environment}
    if who.uid is not None:
        more |= {"user": who.uid, "group": who.uid, "extra_groups": []}
    trial = subprocess.run(["unshare", "--user", "true"], check=False, **more)
    found = found_by([], folder_for_all, who.python, **more)
    assert found == [trial.returncode == 0, None]


def test_root_without_the_right_to_make_rooms_says_so(folder_for_all: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has rights to lose")
    words = [program("setpriv"), "--bounding-set", "-sys_admin"]
    found = found_by(words, folder_for_all, sys.executable, env={"PATH": os.environ["PATH"]})
    assert found == [False, BUILD_UID]


def test_no_room_is_found_where_the_program_does_not_run(tmp_path: Path) -> None:
    script = tmp_path / "terraform"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    assert isolation(tmp_path, BUILD_UID, str(script)) == Isolation(
        in_room=False, first_build_uid=None
    )


@pytest.mark.parametrize(
    ("uid", "told"),
    [(None, "run with the deployer's own rights"), (BUILD_UID, "reach the network")],
    ids=["as who we are", "as its own user"],
)
async def test_where_there_are_no_rooms_no_build_starts_unless_that_is_allowed(
    uid: int | None, told: str, parts: SETTINGS_AND_KEY
) -> None:
    program("terraform")
    settings: DeployerSettings = parts[0].model_copy(update={"allow_unisolated_builds": False})
    executor = LocalExecutor(settings, "http://127.0.0.1:1", Isolation(False, uid))
    with pytest.raises(ExecutorError) as refused:
        await executor.start("build-x-1", 1, LeaseTokens(runner="r", terraform="t"))
    assert refused.value.code == "BUILDS_NOT_ISOLATED"
    assert told in str(refused.value)
    assert "TOLLGATE_ALLOW_UNISOLATED_BUILDS" in str(refused.value)
    assert executor.folders() == []
