"""`tollgate up --demo`: accounts that sign in, modules to deploy, and the same again next time."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from devkit.demo import ROLES, WELCOME_CREDITS
from devkit.demo_repository import EXAMPLES, DemoRepositoryError, make_repository
from tests.support.folders import reachable_folder
from tests.support.up import ROOT, up


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_repository_holds_the_examples_in_one_commit_on_main(tmp_path: Path) -> None:
    commit = make_repository(tmp_path / "repository")

    assert git(tmp_path / "repository", "rev-parse", "main") == commit
    assert git(tmp_path / "repository", "rev-list", "--count", "main") == "1"
    files = set(git(tmp_path / "repository", "ls-files").splitlines())
    assert files == {
        path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*") if path.is_file()
    }


def test_unchanged_examples_make_no_commit_and_changed_ones_make_one(tmp_path: Path) -> None:
    source, repository = tmp_path / "source", tmp_path / "repository"
    (source / "network").mkdir(parents=True)
    (source / "network" / "main.tf").write_text("# one\n")
    first = make_repository(repository, source)

    assert make_repository(repository, source) == first
    (source / "network" / "main.tf").rename(source / "network" / "network.tf")
    second = make_repository(repository, source)

    assert second != first
    assert git(repository, "ls-files") == "network/network.tf"
    assert git(repository, "rev-list", "--count", "main") == "2"


def test_nobodys_git_configuration_has_a_say(tmp_path: Path) -> None:
    """A user whose Git signs commits, or has another default branch, gets the same repository."""
    configuration = tmp_path / "gitconfig"
    configuration.write_text("[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = trunk\n")
    script = (
        "import sys; from pathlib import Path; from devkit.demo_repository import make_repository\n"
        "make_repository(Path(sys.argv[1]))"
    )

    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "repository")],
        check=True,
        cwd=ROOT,
        env={**os.environ, "GIT_CONFIG_GLOBAL": str(configuration)},
    )

    assert git(tmp_path / "repository", "rev-list", "--count", "main") == "1"


def test_missing_examples_are_said(tmp_path: Path) -> None:
    with pytest.raises(DemoRepositoryError, match="no example modules"):
        make_repository(tmp_path / "repository", tmp_path / "nothing")


def call(url: str, token: str) -> Any:
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    return answer.raise_for_status().json()


def test_a_demo_has_accounts_credits_and_modules_and_keeps_them() -> None:
    with reachable_folder() as folder:
        check_demo(folder / "data")


def check_demo(data_dir: Path) -> None:
    with up(data_dir, "--demo") as running:
        gateway = running.wait_until_ready()["gateway"]
        demo = json.loads((data_dir / "demo.json").read_text())
        accounts = demo["accounts"]

        assert set(accounts) == set(ROLES)
        assert (data_dir / "demo.json").stat().st_mode & 0o777 == 0o600
        for role, account in accounts.items():
            me = call(f"{gateway}/api/me", account["token"])
            assert me["email"] == account["email"]
            assert role in me["roles"]
            assert f"{account['email']} " in running.output
        token = accounts["user"]["token"]
        balance = call(f"{gateway}/api/credits/balance", token)
        assert balance["available"] == WELCOME_CREDITS
        names = {module["name"] for module in call(f"{gateway}/api/modules", token)["items"]}
        assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == names
        running.stop()

    with up(data_dir, "--demo") as running:
        running.wait_until_ready()
        assert json.loads((data_dir / "demo.json").read_text()) == demo
        assert call(f"{gateway}/api/credits/balance", token)["available"] == WELCOME_CREDITS
