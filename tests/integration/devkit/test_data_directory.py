"""The data directory: one user at a time, of one layout, and never somebody else's folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devkit.data_directory import (
    LAYOUT,
    DataDirectoryError,
    lock,
    open_data_directory,
    read_json,
    write_json,
)
from devkit.secret_store import load_or_make


def test_a_directory_in_use_is_refused_and_names_the_process(tmp_path: Path) -> None:
    held = lock(tmp_path / "data", print)
    try:
        with pytest.raises(DataDirectoryError, match=f"process {os.getpid()}"):
            lock(tmp_path / "data", print)
    finally:
        os.close(held)
    os.close(lock(tmp_path / "data", print))


def test_a_lock_that_a_watchdog_still_holds_is_waited_for(tmp_path: Path) -> None:
    """The lock of a process that is gone, held on by one that inherited it."""
    holder = (
        "import os, subprocess, sys; from pathlib import Path\n"
        "from devkit.data_directory import lock\n"
        "held = lock(Path(sys.argv[1]), print)\n"
        "subprocess.Popen(['sleep', '1'], pass_fds=(held,), stdout=subprocess.DEVNULL)\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    subprocess.run([sys.executable, "-c", holder, str(tmp_path)], check=True, cwd=root)
    told: list[str] = []

    os.close(lock(tmp_path, told.append))

    assert len(told) == 1
    assert "waiting until what process" in told[0]


def test_a_directory_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "tollgate.json", {"layout": LAYOUT + 1, "made_by": "9.0"})
    with pytest.raises(DataDirectoryError, match=r"newer Tollgate \(9\.0"):
        open_data_directory(tmp_path, version="0.1.0")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"layout": "1"}', '{"layout": 0}'])
def test_a_damaged_marker_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tollgate.json").write_text(content)
    with pytest.raises(DataDirectoryError):
        open_data_directory(tmp_path, version="0.1.0")


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DataDirectoryError, match=r"thesis\.tex"):
        open_data_directory(tmp_path, version="0.1.0")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match="cannot be used"):
        lock(tmp_path / "file", print)


def test_secrets_are_made_once_and_only_we_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = load_or_make(path, ("ledger", "catalog"))

    assert load_or_make(path, ("ledger", "catalog")) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(made.databases.values()) | set(made.bus.values())) == 4


def test_secrets_that_a_newer_release_needs_are_added_to_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    old = load_or_make(path, ("ledger",))
    kept = json.loads(path.read_text())
    kept["signing_key"] = kept.pop("signing_keys")["ledger"]
    write_json(path, kept)

    new = load_or_make(path, ("ledger", "catalog"))

    assert new.databases["ledger"] == old.databases["ledger"]
    assert new.databases["catalog"]
    assert new.signing_keys["ledger"] == old.signing_keys["ledger"]
    assert new.signing_keys["revenue"]
    assert read_json(path)["signing_keys"] == new.signing_keys
